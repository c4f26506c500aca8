package softphone

import (
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// autopilot decides what a softphone that answers by itself does next.
type autopilot struct {
	Auto
	weighed  string // the offer that chance has been asked about
	declines bool   // what it said
	at       string // the call or callback that is handled
	since    time.Time
	over     bool      // it has been ended, and the daemon is about to say so
	woken    *pb.Agent // who has been made ready, likewise
}

// next returns what to do now, or when to ask again; a zero time means after the
// next change.
func (a *autopilot) next(p *Phone, now time.Time) (*command, time.Time) {
	if a == nil || p.link != Open || p.busy != nil {
		return nil, time.Time{}
	}
	if o := p.offer; o != nil {
		if id := o.GetOfferId(); a.weighed != id {
			a.weighed, a.declines = id, a.Chance() < a.Decline
		}
		if a.declines {
			return &command{kind: decline, offer: o.GetOfferId(), reason: "auto"}, time.Time{}
		}
		return &command{kind: accept, offer: o.GetOfferId()}, time.Time{}
	}
	switch agent := p.agent; agent.GetState() {
	case pb.AgentState_AGENT_STATE_TALKING:
		id := agent.GetCallId() + "/" + agent.GetCallbackId()
		if a.at != id {
			a.at, a.since, a.over = id, now, false
		}
		if a.over { // the end was asked for, and is to come
			return nil, time.Time{}
		}
		if due := a.since.Add(a.Handle); now.Before(due) {
			return nil, due
		}
		a.over = true
		if agent.GetCallbackId() != "" {
			return &command{kind: report, callback: agent.GetCallbackId(), result: a.Result}, time.Time{}
		}
		return &command{kind: complete, call: agent.GetCallId()}, time.Time{}
	case pb.AgentState_AGENT_STATE_NOT_READY:
		if a.woken == agent {
			return nil, time.Time{}
		}
		a.woken = agent
		switch agent.GetReason() {
		case "no_answer", "not_acknowledged", "lost", "busy", "unreachable": // not chosen by the agent
			return &command{kind: setReady}, time.Time{}
		}
	}
	return nil, time.Time{}
}
