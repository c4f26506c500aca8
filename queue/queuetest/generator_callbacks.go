package queuetest

import (
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// someCallback names an open callback if there is one.
func (g *Generator) someCallback(st *queue.State) *callback.Callback {
	var open []*callback.Callback
	for _, cb := range st.Callbacks {
		if cb.State.Open() {
			open = append(open, cb)
		}
	}
	switch {
	case len(open) > 0 && !g.oneIn("any callback", 10):
		return open[g.src.Intn("open callback", len(open))]
	case len(st.Callbacks) > 0:
		return st.Callbacks[g.src.Intn("callback", len(st.Callbacks))]
	}
	return &callback.Callback{ID: "cb-7"}
}

func (g *Generator) callbackCommand(st *queue.State) queue.Command {
	cb := g.someCallback(st)
	claimant := append([]string{"boss"}, genAgents...)[g.src.Intn("claimant", 1+len(genAgents))]
	if cb.ClaimedBy != "" && !g.oneIn("other claimant", 6) {
		claimant = cb.ClaimedBy
	}
	n := g.src.Intn("callback command", 9)
	if cb.State == callback.StateClaimed && n > 4 && n < 8 {
		n = 0
	}
	switch {
	case len(st.Callbacks) == 0 || n == 8:
		return &queue.CreateCallback{Request: g.request(), Caller: pick(g, "caller", genCallers), Queue: g.queueName("queue"), Tier: g.tier(), DueAt: g.future(st)}
	case n < 3:
		return &queue.ReportCallback{Request: g.request(), Callback: cb.ID, Claimant: claimant, Result: callback.Results[g.src.Intn("outcome", 4)]}
	case n < 6:
		return &queue.ClaimCallback{Request: g.request(), Callback: cb.ID, Claimant: claimant, OnDuty: n == 5}
	case n == 6:
		return &queue.RescheduleCallback{Request: g.request(), Callback: cb.ID, DueAt: g.future(st)}
	}
	return &queue.CancelCallback{Request: g.request(), Callback: cb.ID, Reason: "not wanted"}
}

func (g *Generator) future(st *queue.State) instant.Instant {
	if g.oneIn("no time", 3) {
		return 0
	}
	return g.now.Add([]time.Duration{time.Minute, time.Hour, -time.Second, 5 * time.Hour, 23 * time.Hour, 30 * time.Hour}[g.src.Intn("future", 6)])
}
