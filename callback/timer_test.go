package callback_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// advance applies everything that is due and writes it down.
func advance(t fataler, p callback.Policy, c *callback.Callback, now instant.Instant) string {
	var changes []string
	for {
		ch := c.Advance(p, now)
		if ch == callback.ChangeNone {
			return strings.Join(changes, " ")
		}
		changes = append(changes, ch.String())
		if len(changes) > 3 {
			t.Fatalf("more than three changes: %v", changes)
		}
	}
}

// TestTimeline lets a callback run from timer to timer and reads its life.
func TestTimeline(t *testing.T) {
	for _, tc := range []struct {
		name, hungUp string
		change       func(*callback.Policy)
		want         []string
	}{
		{"nobody takes it", "2026-05-04 20:00 +0800", nil, []string{
			"2026-05-04 20:15 due",
			"2026-05-04 21:00 deferred",
			"2026-05-05 09:00 due",
			"2026-05-05 18:00 escalated",
			"2026-05-05 20:00 missed",
		}},
		{"the deadline comes at night", "2026-05-04 20:00 +0800", func(p *callback.Policy) { p.Deadline = 3 * time.Hour }, []string{
			"2026-05-04 20:15 due",
			"2026-05-04 21:00 deferred",
			"2026-05-04 23:00 missed",
		}},
		{"escalated in the night", "2026-05-04 10:00 +0800", nil, []string{
			"2026-05-04 10:15 due",
			"2026-05-04 21:00 deferred",
			"2026-05-05 09:00 due escalated",
			"2026-05-05 10:00 missed",
		}},
		{"all day long", "2026-05-04 20:00 +0800", func(p *callback.Policy) { p.WindowFrom, p.WindowTo = 0, 24*time.Hour }, []string{
			"2026-05-04 20:15 due",
			"2026-05-05 18:00 escalated",
			"2026-05-05 20:00 missed",
		}},
		{"never escalated", "2026-05-04 10:00 +0800", func(p *callback.Policy) { p.EscalateBefore = 0; p.Deadline = time.Hour }, []string{
			"2026-05-04 10:15 due",
			"2026-05-04 11:00 missed",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := callback.DefaultPolicy()
			if tc.change != nil {
				tc.change(&p)
			}
			c := callback.New(p, "cb1", 1, at(t, tc.hungUp), 0, "+8613800138000", "q", tiering.Mid, "", "", 0)
			var got []string
			for {
				now, ok := c.NextTimer(p)
				if !ok {
					break
				}
				if early := c; early.Advance(p, now-1) != callback.ChangeNone {
					t.Errorf("a millisecond before %s: %v", show(now, p.Zone), early.State)
				}
				line := fmt.Sprintf("%s %s", now.Time().In(p.Zone).Format("2006-01-02 15:04"), advance(t, p, &c, now))
				if got = append(got, line); len(got) > 10 {
					break
				}
			}
			if got, want := strings.Join(got, "\n"), strings.Join(tc.want, "\n"); got != want {
				t.Errorf("\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// A daemon that was away finds every timer overdue.
func TestAdvanceAfterAnAbsence(t *testing.T) {
	for _, tc := range []struct {
		name  string
		state callback.State
		now   instant.Instant
		want  string
	}{
		{"scheduled, a minute late", callback.StatePending, due + 60_000, "due"},
		{"scheduled, now night", callback.StatePending, due + 11*60*60_000, "deferred"},
		{"scheduled, now the next morning", callback.StatePending, dead - 55*60_000, "deferred due escalated"},
		{"scheduled, now too late", callback.StatePending, dead + 60_000, "missed"},
		{"due, now night", callback.StateDue, due + 11*60*60_000, "deferred"},
		{"due, now the next morning", callback.StateDue, dead - 55*60_000, "deferred due escalated"},
		{"offered, now night", callback.StateOffered, due + 11*60*60_000, ""},
		{"offered, now the next morning", callback.StateOffered, dead - 55*60_000, "escalated"},
		{"offered, now too late", callback.StateOffered, dead, "missed"},
		{"claimed, still", callback.StateClaimed, until - 1, ""},
		{"claimed, lapsed", callback.StateClaimed, until, "lapsed"},
		{"claimed, lapsed at night", callback.StateClaimed, due + 11*60*60_000, "lapsed deferred"},
		{"claimed, lapsed and escalated", callback.StateClaimed, dead - 55*60_000, "lapsed escalated"},
		{"claimed, lapsed too late", callback.StateClaimed, dead + 60_000, "lapsed missed"},
		{"done", callback.StateDone, dead + 60_000, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := callback.DefaultPolicy()
			c := inState(t, p, tc.state)
			if got := advance(t, p, &c, tc.now); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
			if next, ok := c.NextTimer(p); ok != c.State.Open() || ok && next <= tc.now {
				t.Errorf("next timer %s, %v at %s", show(next, p.Zone), ok, show(tc.now, p.Zone))
			}
			checkRecord(t, p, c)
		})
	}
}

// The window closes when the wall clock says so, not when a day has so many hours.
func TestCloseInARepeatedHour(t *testing.T) {
	p := in(t, "America/New_York")
	p.Delay, p.WindowFrom, p.WindowTo = 0, time.Hour, 2*time.Hour
	for opens, closes := range map[string]string{
		"2026-11-01 01:10 -0400": "2026-11-01 02:00 -0500", // two hours without a break
		"2026-11-02 01:10 -0500": "2026-11-02 02:00 -0500",
		"2026-03-08 01:10 -0500": "2026-03-08 03:00 -0400", // where 02:00 would have been
	} {
		c := callback.New(p, "cb1", 1, at(t, opens), 0, "+1", "q", tiering.Mid, "", "", 0)
		must(t, c.BecomeDue(at(t, opens)))
		if next, ok := c.NextTimer(p); !ok || next != at(t, closes) {
			t.Errorf("open at %s: closes %s, want %s", opens, show(next, p.Zone), closes)
		}
	}
}

// The site's window is changed under callbacks that exist already.
func TestWindowChanges(t *testing.T) {
	old := callback.DefaultPolicy()
	p := old
	p.WindowFrom, p.WindowTo = 12*time.Hour, 14*time.Hour
	for _, s := range []callback.State{callback.StatePending, callback.StateDue} {
		c := inState(t, old, s)
		if next, ok := c.NextTimer(p); !ok || next != due {
			t.Errorf("%v: next timer %s", s, show(next, p.Zone))
		}
		if got := advance(t, p, &c, due); got != "deferred" || c.DueAt != at(t, "2026-05-04 12:00 +0800") {
			t.Errorf("%v: %q %+v", s, got, c)
		}
	}
}

// A claim taken long before the due time makes the callback due when it lapses.
func TestEarlyClaimLapses(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StatePending)
	must(t, c.Reschedule(p, t0+1, t0+5*60*60_000), c.Claim(t0+2, "ann", p.ClaimLease))
	if got := advance(t, p, &c, c.ClaimUntil); got != "lapsed" || c.State != callback.StateDue || c.Attempts != 0 {
		t.Errorf("%q %+v", got, c)
	}
}

// An offer that outlives the window is not followed by another one.
func TestReturnAfterTheClose(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StateOffered)
	must(t, c.Return())
	if got := advance(t, p, &c, due+11*60*60_000); got != "deferred" || c.DueAt != at(t, "2026-05-05 09:00 +0800") {
		t.Errorf("%q %+v", got, c)
	}
}

func TestEscalated(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StateDue)
	if c.Escalated(p, dead-2*60*60_000-1) || !c.Escalated(p, dead-2*60*60_000) {
		t.Error("escalation does not begin exactly EscalateBefore before the deadline")
	}
}
