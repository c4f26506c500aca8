package decider

import (
	"fmt"
	"sync"

	"greenlane/queue"
)

// Views are the agents as the last commit left them, each with the live
// offer. Softphones look at them after every event that concerns them: they need
// not wait for the decider, nor for the commit that is under way.
type Views struct {
	mu sync.RWMutex
	of map[string]View
}

// View is what nobody changes any more once it is shown.
type View struct {
	agent *queue.Agent
	offer *queue.Offer
}

// ViewOf returns a view that lasts.
func ViewOf(a *queue.Agent, o *queue.Offer) View {
	res := queue.Result{Agent: a, Offer: o}
	res = res.Clone()
	return View{res.Agent, res.Offer}
}

// NewViews shows every agent of a machine.
func NewViews(m *queue.Machine) (*Views, error) {
	v := &Views{of: map[string]View{}}
	f := queue.AgentFilter{Limit: 1000}
	for more := true; more; more = f.After != "" {
		page, next, err := m.Agents(f)
		if err != nil {
			return nil, err
		}
		for i := range page {
			a, o, err := m.Agent(page[i].ID)
			if err != nil {
				return nil, err
			}
			v.of[a.ID] = View{a, o}
		}
		f.After = next
	}
	return v, nil
}

// Show replaces the views that a commit has changed.
func (v *Views) Show(changed []View, gone []string) {
	if len(changed) == 0 && len(gone) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range changed {
		v.of[a.agent.ID] = a
	}
	for _, id := range gone {
		delete(v.of, id)
	}
}

// Get returns copies of an agent and the live offer.
func (v *Views) Get(id string) (*queue.Agent, *queue.Offer, error) {
	v.mu.RLock()
	a, ok := v.of[id]
	v.mu.RUnlock()
	if !ok {
		return nil, nil, &queue.Error{Kind: queue.ErrAgentNotFound, Field: "agent_id", Detail: fmt.Sprintf("%q has not signed in", id)}
	}
	a = ViewOf(a.agent, a.offer)
	return a.agent, a.offer, nil
}

// Holder returns the agent to whom a callback is offered; "" is nobody.
func (v *Views) Holder(callback string) string {
	v.mu.RLock()
	defer v.mu.RUnlock()
	for id, a := range v.of {
		if a.offer != nil && a.offer.Callback != nil && a.offer.Callback.ID == callback {
			return id
		}
	}
	return ""
}
