package callback_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// The moments of the matrix: hung up at t0, everything inside the window.
const (
	t0    = instant.Instant(1_777_860_000_000) // 2026-05-04 10:00 in Shanghai
	due   = t0 + 15*60_000
	mid   = t0 + 60*60_000 // later than due, before everything else
	until = mid + 30*60_000
	dead  = t0 + 24*60*60_000
)

// inState returns a callback that came to a state the regular way; the claim
// of a claimed one is ann's and runs from mid to until.
func inState(t testing.TB, p callback.Policy, s callback.State) callback.Callback {
	t.Helper()
	c := callback.New(p, "cb1", 7, t0, t0-60_000, "+8613800138000", "billing", tiering.Mid, "call1", callback.ReasonAbandoned, 0)
	steps := map[callback.State][]func() error{
		callback.StatePending: {},
		callback.StateDue:     {func() error { return c.BecomeDue(due) }},
		callback.StateOffered: {func() error { return c.BecomeDue(due) }, c.Offer},
		callback.StateClaimed: {func() error { return c.Claim(mid, "ann", p.ClaimLease) }},
		callback.StateDone: {func() error { return c.Claim(mid, "ann", p.ClaimLease) },
			func() error { return c.Report(p, mid, "ann", callback.ResultReached) }},
		callback.StateFailed: {func() error { return c.Claim(mid, "ann", p.ClaimLease) },
			func() error { p.MaxAttempts = 1; return c.Report(p, mid, "ann", callback.ResultBusy) }},
		callback.StateMissed:    {func() error { return c.Miss(dead) }},
		callback.StateCancelled: {func() error { return c.Cancel(mid, "by hand") }},
	}
	for _, step := range steps[s] {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if c.State != s {
		t.Fatalf("state %v, want %v", c.State, s)
	}
	return c
}

// TestMatrix tries every transition in every state. A cell is the state
// afterwards, or the error; with an error nothing may have changed.
func TestMatrix(t *testing.T) {
	const (
		pending, nowDue, offered, claimed = callback.StatePending, callback.StateDue, callback.StateOffered, callback.StateClaimed
		done, failed, missed, cancelled   = callback.StateDone, callback.StateFailed, callback.StateMissed, callback.StateCancelled
	)
	state, held, early := callback.ErrState, callback.ErrClaimed, callback.ErrEarly
	over, notMine, badDue := callback.ErrDeadline, callback.ErrNotClaimant, callback.ErrDue
	ended := [4]any{state, state, state, state}
	p := callback.DefaultPolicy()
	report := func(now instant.Instant, by string, r callback.Result) func(*callback.Callback) error {
		return func(c *callback.Callback) error { return c.Report(p, now, by, r) }
	}
	claim := func(now instant.Instant, by string) func(*callback.Callback) error {
		return func(c *callback.Callback) error { return c.Claim(now, by, p.ClaimLease) }
	}
	reschedule := func(now, due instant.Instant) func(*callback.Callback) error {
		return func(c *callback.Callback) error { return c.Reschedule(p, now, due) }
	}
	night := due + 11*60*60_000 // 21:15
	for _, row := range []struct {
		name string
		do   func(*callback.Callback) error
		open [4]any // pending, due, offered, claimed
		end  [4]any // done, failed, missed, cancelled
	}{
		{"BecomeDue at DueAt", func(c *callback.Callback) error { return c.BecomeDue(due) }, [4]any{nowDue, state, state, state}, ended},
		{"BecomeDue early", func(c *callback.Callback) error { return c.BecomeDue(due - 1) }, [4]any{early, state, state, state}, ended},
		{"BecomeDue at the deadline", func(c *callback.Callback) error { return c.BecomeDue(dead) }, [4]any{over, state, state, state}, ended},
		{"Offer", func(c *callback.Callback) error { return c.Offer() }, [4]any{state, offered, state, state}, ended},
		{"Return", func(c *callback.Callback) error { return c.Return() }, [4]any{state, state, nowDue, state}, ended},
		{"Claim by the holder", claim(mid+1, "ann"), [4]any{claimed, claimed, claimed, claimed}, ended},
		{"Claim by another", claim(mid+1, "bob"), [4]any{claimed, claimed, claimed, held}, ended},
		{"Claim by another, lease over", claim(until+1, "bob"), [4]any{claimed, claimed, claimed, held}, ended},
		{"Claim by nobody", claim(mid+1, ""), [4]any{callback.ErrClaimant, callback.ErrClaimant, callback.ErrClaimant, callback.ErrClaimant},
			[4]any{callback.ErrClaimant, callback.ErrClaimant, callback.ErrClaimant, callback.ErrClaimant}},
		{"Claim at the deadline", claim(dead, "ann"), [4]any{over, over, over, over}, ended},
		{"Claim by another at the deadline", claim(dead, "bob"), [4]any{over, over, over, held}, ended},
		{"ClaimLapsed", func(c *callback.Callback) error { return c.ClaimLapsed(until) }, [4]any{state, state, state, nowDue}, ended},
		{"ClaimLapsed early", func(c *callback.Callback) error { return c.ClaimLapsed(until - 1) }, [4]any{state, state, state, early}, ended},
		{"Report reached", report(mid+1, "ann", callback.ResultReached), [4]any{state, state, state, done}, ended},
		{"Report refused", report(mid+1, "ann", callback.ResultRefused), [4]any{state, state, state, done}, ended},
		{"Report no answer", report(mid+1, "ann", callback.ResultNoAnswer), [4]any{state, state, state, pending}, ended},
		{"Report busy, late", report(until+1, "ann", callback.ResultBusy), [4]any{state, state, state, pending}, ended},
		{"Report reached after the deadline", report(dead+1, "ann", callback.ResultReached), [4]any{state, state, state, done}, ended},
		{"Report by another", report(mid+1, "bob", callback.ResultReached), [4]any{state, state, state, notMine}, ended},
		{"Report nothing", report(mid+1, "ann", callback.ResultUnset),
			[4]any{callback.ErrResult, callback.ErrResult, callback.ErrResult, callback.ErrResult},
			[4]any{callback.ErrResult, callback.ErrResult, callback.ErrResult, callback.ErrResult}},
		{"Reschedule", reschedule(mid, mid+1), [4]any{pending, pending, state, held}, ended},
		{"Reschedule to now", reschedule(mid, mid), [4]any{badDue, badDue, state, held}, ended},
		{"Reschedule to the deadline", reschedule(mid, dead), [4]any{badDue, badDue, state, held}, ended},
		{"Reschedule to the night", reschedule(mid, night), [4]any{callback.ErrWindow, callback.ErrWindow, state, held}, ended},
		{"Reschedule after the deadline", reschedule(dead, dead+1), [4]any{over, over, state, held}, ended},
		{"Cancel", func(c *callback.Callback) error { return c.Cancel(mid, "moved away") }, [4]any{cancelled, cancelled, cancelled, cancelled}, ended},
		{"Miss", func(c *callback.Callback) error { return c.Miss(dead) }, [4]any{missed, missed, missed, held}, ended},
		{"Miss early", func(c *callback.Callback) error { return c.Miss(dead - 1) }, [4]any{early, early, early, held}, ended},
		{"Defer at night", func(c *callback.Callback) error { return c.Defer(p, night) }, [4]any{pending, pending, state, state}, ended},
		{"Defer by day", func(c *callback.Callback) error { return c.Defer(p, mid) }, [4]any{early, early, state, state}, ended},
		{"Defer at the deadline", func(c *callback.Callback) error { return c.Defer(p, dead) }, [4]any{over, over, state, state}, ended},
		{"Escalate", func(c *callback.Callback) error { return c.Escalate(p, dead-2*60*60_000) }, [4]any{state, nowDue, offered, state}, ended},
		{"Escalate early", func(c *callback.Callback) error { return c.Escalate(p, dead-2*60*60_000-1) }, [4]any{state, early, early, state}, ended},
	} {
		cells := append(row.open[:], row.end[:]...)
		for i, s := range callback.States {
			t.Run(fmt.Sprintf("%s/%s", row.name, s), func(t *testing.T) {
				c := inState(t, p, s)
				before := c
				err := row.do(&c)
				switch want := cells[i].(type) {
				case callback.State:
					if err != nil || c.State != want || c == before {
						t.Errorf("%v, %v, want %v", c.State, err, want)
					}
				case error:
					if !errors.Is(err, want) || c != before {
						t.Errorf("error %v, want %v\nbefore %+v\nafter  %+v", err, want, before, c)
					}
				}
				checkRecord(t, p, c)
			})
		}
	}
}

// Answered has no error: it either cancels, marks or leaves alone.
func TestAnsweredInEveryState(t *testing.T) {
	p := callback.DefaultPolicy()
	for _, s := range callback.States {
		c := inState(t, p, s)
		before := c
		cancelled := c.Answered(mid + 1)
		switch {
		case s == callback.StateClaimed:
			before.ServedMeanwhile = true
			if cancelled || c != before {
				t.Errorf("%v: %v %+v", s, cancelled, c)
			}
		case s.Open():
			if !cancelled || c.State != callback.StateCancelled || c.EndReason != callback.EndAnswered || c.EndedAt != mid+1 {
				t.Errorf("%v: %v %+v", s, cancelled, c)
			}
		case cancelled || c != before:
			t.Errorf("%v: %v %+v", s, cancelled, c)
		}
	}
}

// fataler is what *testing.T and *rapid.T have in common here.
type fataler interface{ Fatalf(string, ...any) }

// checkRecord fails on a record that no sequence of commands may lead to.
func checkRecord(t fataler, p callback.Policy, c callback.Callback) {
	open := c.State.Open()
	for what, ok := range map[string]bool{
		"due after the deadline":                  c.DueAt <= c.Deadline,
		"due before it was made":                  c.DueAt >= c.CreatedAt,
		"more attempts than allowed":              c.Attempts <= p.MaxAttempts,
		"attempts and last attempt disagree":      (c.Attempts > 0) == c.LastResult.Valid(),
		"a claim without a holder":                c.State != callback.StateClaimed || c.ClaimedBy != "" && c.ClaimUntil != 0,
		"a holder without a claim":                !open || c.State == callback.StateClaimed || c.ClaimedBy == "",
		"a lease without a claim":                 c.State == callback.StateClaimed || c.ClaimUntil == 0,
		"ended without saying when, or the other": open == (c.EndedAt == 0),
		"ended without saying why, or the other":  open == (c.EndReason == ""),
		"pending at night":                        c.State != callback.StatePending || c.DueAt == c.Deadline || inside(p, c.DueAt),
		"served, and to be rung again":            !c.ServedMeanwhile || !open || c.State == callback.StateClaimed,
		"a deadline that moved":                   c.Deadline == c.CreatedAt+instant.Instant(p.Deadline/time.Millisecond),
	} {
		if !ok {
			t.Fatalf("%s: %+v", what, c)
		}
	}
}
