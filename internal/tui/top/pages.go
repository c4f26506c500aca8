package top

import (
	"fmt"
	"slices"
	"strings"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// field adds a name and a value, if there is one.
func field(c *tui.Canvas, name string, ink tui.Ink, value string) {
	if value != "" {
		c.Row(new(tui.Row).Put(tui.Plain, "  ").Put(tui.Dim, name).To(18).Put(ink, value))
	}
}

func (m *model) callText(c *tui.Canvas) {
	ex := m.got.explained
	call := ex.GetCall()
	r := new(tui.Row).Put(tui.Plain, "  ").Put(tui.Bold, tui.Number(call.GetCaller())).Put(tui.Plain, "  ").
		Put(tui.TierInk(call.GetTier()), tui.TierName(call.GetTier())).Put(tui.Plain, "  "+call.GetQueue()+"  ").Put(tui.Bold, tui.CallState(call.GetState()))
	c.Row(r)
	if call.GetAnsweredAt() == nil && call.GetEndedAt() == nil {
		r := new(tui.Row).Put(tui.Plain, "  waits for ").Put(tui.Bold, tui.Span(c.Now.Sub(call.GetJoinedAt().AsTime())))
		if ex.GetEstimatedWait() != nil {
			r.Put(tui.Plain, ", estimated wait left "+tui.Span(ex.GetEstimatedWait().AsDuration()))
		}
		c.Row(r)
	}
	c.Blank()
	for _, reason := range ex.GetReasons() {
		c.Wrap(tui.Plain, tui.Clean(reason), 6)
	}
}

func (m *model) agentText(c *tui.Canvas, a *pb.Agent) {
	if a == nil {
		c.Put(tui.Dim, "This agent is not signed in any more.")
		return
	}
	field(c, "agent", tui.Bold, tui.Clean(a.GetAgentId()))
	field(c, "state", stateInk(a), stateOf(a)+" for "+tui.Span(c.Now.Sub(a.GetSince().AsTime())))
	field(c, "why", tui.Plain, tui.Plainly(a.GetReason()))
	if a.GetNotReadyAfter() {
		field(c, "then", tui.Soon, "not ready after this call")
	}
	field(c, "call", tui.Plain, tui.Clean(a.GetCallId()))
	field(c, "callback", tui.Plain, tui.Clean(a.GetCallbackId()))
	if a.GetWrapUpUntil() != nil {
		field(c, "ready in", tui.Plain, tui.Left(a.GetWrapUpUntil().AsTime().Sub(c.Now)))
	}
	field(c, "phone", tui.Plain, tui.Clean(a.GetEndpoint()))
	reach := "by no way now"
	switch {
	case a.GetRingBySwitch():
		reach = "the switch rings the phone"
	case a.GetAvailable():
		reach = "a softphone is connected"
	}
	field(c, "reached", tui.Plain, reach)
	queues := slices.Clone(a.GetQueues())
	slices.SortStableFunc(queues, func(a, b *pb.AgentQueue) int { return int(a.GetLevel() - b.GetLevel()) })
	for _, q := range queues {
		field(c, "serves", tui.Plain, fmt.Sprintf("%s, level %d", q.GetQueue(), max(q.GetLevel(), 1)))
	}
}

func (m *model) callbackText(c *tui.Canvas, cb *pb.Callback) {
	field(c, "caller", tui.Bold, m.number(cb.GetCaller()))
	field(c, "tier", tui.TierInk(cb.GetTier()), tui.TierName(cb.GetTier()))
	field(c, "queue", tui.Plain, cb.GetQueue())
	field(c, "state", tui.Plain, callbackWords[cb.GetState()])
	field(c, "due", tui.Plain, m.local(cb.GetDueAt().AsTime()).Format("01-02 15:04"))
	left := deadlineCell(cb, c.Now)
	field(c, "deadline", left.Ink, m.local(cb.GetDeadline().AsTime()).Format("01-02 15:04")+", in "+left.Text)
	field(c, "attempts", tui.Plain, fmt.Sprint(cb.GetAttempts()))
	if cb.GetLastResult() != pb.CallbackResult_CALLBACK_RESULT_UNSPECIFIED {
		last := strings.TrimPrefix(cb.GetLastResult().String(), "CALLBACK_RESULT_")
		field(c, "last time", tui.Plain, strings.ToLower(tui.Plainly(last)))
	}
	field(c, "who", tui.Plain, tui.Clean(cb.GetClaimedBy()))
	field(c, "promised because", tui.Plain, tui.Plainly(cb.GetReason()))
	field(c, "call", tui.Plain, tui.Clean(cb.GetCallId()))
	field(c, "note", tui.Plain, tui.Clean(cb.GetNote()))
	field(c, "id", tui.Dim, tui.Clean(cb.GetCallbackId()))
}
