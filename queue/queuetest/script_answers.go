package queuetest

import (
	"fmt"
	"strings"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// describe writes a callback in a few words.
func (s *Script) describe(cb *callback.Callback) string {
	text := fmt.Sprintf("%s %s due %s deadline %s attempts %d", cb.ID, cb.State, s.clock(cb.DueAt), s.clock(cb.Deadline), cb.Attempts)
	if cb.ClaimedBy != "" {
		text += " by " + cb.ClaimedBy
	}
	if cb.EndReason != "" {
		text += " (" + cb.EndReason + ")"
	}
	if cb.ServedMeanwhile {
		text += " served meanwhile"
	}
	return text
}

// snapshot prints each queue with its waiting callers and counts, and each agent.
func (s *Script) snapshot() error {
	snap, err := s.d.e.Snapshot(s.d.ctx())
	if err != nil {
		return err
	}
	for _, q := range snap.Queues {
		open := "open"
		if !q.Open {
			open = "closed"
		}
		s.answer("%s %s: %d working, %d idle, %d callbacks", q.Name, open, q.Working, q.Idle, q.CallbacksWaiting)
		for _, t := range q.Tiers {
			if t.Waiting == 0 && t.Today == (queue.Counts{}) && t.Totals.Joined == 0 {
				continue
			}
			s.answer("  %s: waiting %d, late %d, oldest %s; today %s", t.Tier, t.Waiting, t.LateWaiting, t.OldestWait, formatCounts(&t.Today))
		}
	}
	for i := range snap.Agents {
		s.showAgent(&snap.Agents[i])
	}
	if snap.GreenChannelViolations != 0 {
		s.answer("green channel violated %d times", snap.GreenChannelViolations)
	}
	return nil
}

// formatCounts names the counters that are not zero.
func formatCounts(c *queue.Counts) string {
	var out []string
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"in time", c.AnsweredInTime},
		{"answered late", c.AnsweredLate},
		{"abandoned short", c.AbandonedShort},
		{"abandoned in time", c.AbandonedInTime},
		{"abandoned late", c.AbandonedLate},
		{"timed out", c.TimedOut},
		{"overflowed", c.Overflowed},
		{"refused", c.Refused},
		{"late waiting", c.LateWaiting},
	} {
		if n.value != 0 {
			out = append(out, fmt.Sprintf("%s %d", n.name, n.value))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

func (s *Script) showAgent(a *queue.Agent) {
	text := fmt.Sprintf("%s %s", a.ID, a.State)
	if a.Reason != "" {
		text += " (" + a.Reason + ")"
	}
	text += " since " + s.clock(a.Since)
	if a.Call+a.Callback != "" {
		text += " on " + a.Call + a.Callback
	}
	if a.Offer != 0 {
		text += " offered " + queue.OfferID(a.Offer)
	}
	if a.NextPause {
		text += " then not ready (" + a.NextReason + ")"
	}
	s.answer("%s", text)
}

func (s *Script) agents() error {
	list, _, err := s.d.e.Agents(s.d.ctx(), queue.AgentFilter{})
	for i := range list {
		s.showAgent(&list[i])
	}
	return err
}

// calls prints every call that is kept, in the order of arrival.
func (s *Script) calls() error {
	list, _, err := s.d.e.Calls(s.d.ctx(), queue.CallFilter{})
	for _, c := range list {
		text := fmt.Sprintf("%s %s %s %s joined %s wait %s offers %d", c.ID, c.State, c.Queue, c.Tier, s.clock(c.JoinedAt), c.Wait(s.d.now()), c.Offers)
		if c.Reason != "" {
			text += " (" + c.Reason + ")"
		}
		if c.Agent != "" {
			text += " agent " + c.Agent
		}
		if len(c.DeclinedBy) > 0 {
			text += " not again to " + strings.Join(c.DeclinedBy, ",")
		}
		s.answer("%s", text)
	}
	return err
}

func (s *Script) callbacks() error {
	list, _, err := s.d.e.Callbacks(s.d.ctx(), queue.CallbackFilter{})
	for i := range list {
		s.answer("%s", s.describe(&list[i]))
	}
	if snap, snapErr := s.d.e.Snapshot(s.d.ctx()); snapErr == nil {
		s.answer("totals %+v", snap.Callbacks.Totals)
	}
	return err
}

// counts prints the totals of a queue: counts tier by tier.
func (s *Script) counts(w *words) error {
	snap, err := s.d.e.Snapshot(s.d.ctx())
	if err != nil {
		return err
	}
	only := w.next()
	for _, q := range snap.Queues {
		if only != "" && q.Name != only {
			continue
		}
		for _, t := range q.Tiers {
			if x := t.Totals; x.Joined != 0 || x.Counts != (queue.Counts{}) {
				s.answer("%s %s: joined %d, offers %d, completed %d, late %d, %s", q.Name, t.Tier, x.Joined, x.Offers, x.Completed, x.Late, formatCounts(&x.Counts))
			}
		}
	}
	return nil
}

func (s *Script) positions(sw string) error {
	list, err := s.d.e.Positions(s.d.ctx(), sw)
	for _, p := range list {
		s.answer("%s position %d", p.Call, p.Position)
	}
	return err
}

func (s *Script) explain(id string) error {
	info, err := s.d.e.Call(s.d.ctx(), id)
	if err != nil {
		s.answer("refused: %s", kindOf(err))
		return nil
	}
	var ahead []string
	for _, t := range tiering.Tiers {
		if n := info.AheadByTier[t]; n > 0 {
			ahead = append(ahead, fmt.Sprintf("%d %s", n, t))
		}
	}
	if info.AheadCallbacks > 0 {
		ahead = append(ahead, fmt.Sprintf("%d callbacks", info.AheadCallbacks))
	}
	s.answer("%s %s position %d, ahead: %s; %d work, %d idle; wait %s", id, info.Call.State, info.Position,
		strings.Join(ahead, ", "), info.Working, info.Idle, info.Call.Wait(s.d.now()).Round(time.Millisecond))
	for _, e := range info.Events {
		s.answer("  %s %s", s.clock(e.At), formatForScript(e))
	}
	return nil
}
