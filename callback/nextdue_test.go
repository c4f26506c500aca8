package callback_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/callback"
	"greenlane/internal/instant"
)

func TestNextDue(t *testing.T) {
	const never = ""
	for _, tc := range []struct {
		name     string
		change   func(*callback.Policy)
		now      string
		attempts int
		deadline string
		want     string
	}{
		{"first retry", nil, "2026-05-04 10:00 +0800", 1, "2026-05-05 10:00 +0800", "2026-05-04 10:30 +0800"},
		{"second retry", nil, "2026-05-04 10:00 +0800", 2, "2026-05-05 10:00 +0800", "2026-05-04 11:00 +0800"},
		{"third retry", nil, "2026-05-04 10:00 +0800", 3, "2026-05-05 10:00 +0800", "2026-05-04 12:00 +0800"},
		{"no attempt counts as one", nil, "2026-05-04 10:00 +0800", 0, "2026-05-05 10:00 +0800", "2026-05-04 10:30 +0800"},
		{"closed by then", nil, "2026-05-04 20:40 +0800", 1, "2026-05-05 18:00 +0800", "2026-05-05 09:00 +0800"},
		{"exactly the margin before the deadline", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:35 +0800", "2026-05-04 10:30 +0800"},
		{"nearer to the deadline", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:34 +0800", "2026-05-04 10:29 +0800"},
		{"after the deadline", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:20 +0800", "2026-05-04 10:15 +0800"},
		{"the last time a retry makes sense", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:10 +0800", "2026-05-04 10:05 +0800"},
		{"too late for one", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:09:59.999 +0800", never},
		{"after the deadline already", nil, "2026-05-04 10:00 +0800", 1, "2026-05-04 10:00 +0800", never},
		{"deadline at night", nil, "2026-05-04 20:40 +0800", 1, "2026-05-05 03:00 +0800", "2026-05-04 20:55 +0800"},
		{"deadline at the opening", nil, "2026-05-04 20:40 +0800", 1, "2026-05-05 09:00 +0800", "2026-05-04 20:55 +0800"},
		{"deadline just after the opening", nil, "2026-05-04 20:40 +0800", 1, "2026-05-05 09:04 +0800", "2026-05-04 20:55 +0800"},
		{"deadline just after the opening, evening over", nil, "2026-05-04 20:52 +0800", 1, "2026-05-05 09:04 +0800", "2026-05-05 09:00 +0800"},
		{"reported at night, deadline before the opening", nil, "2026-05-04 21:10 +0800", 1, "2026-05-05 08:00 +0800", never},
		{"reported at night", nil, "2026-05-04 21:10 +0800", 1, "2026-05-05 10:00 +0800", "2026-05-05 09:00 +0800"},
		{"delay without measure", nil, "2026-05-04 10:00 +0800", 100, "2026-05-05 10:00 +0800", "2026-05-05 09:55 +0800"},
		{"short delays, short margin", func(p *callback.Policy) { p.RetryDelay = time.Minute },
			"2026-05-04 10:00 +0800", 2, "2026-05-04 10:02:30 +0800", "2026-05-04 10:01:30 +0800"},
		{"short delays, natural time without margin", func(p *callback.Policy) { p.RetryDelay = time.Minute },
			"2026-05-04 10:00 +0800", 1, "2026-05-04 10:01:30 +0800", "2026-05-04 10:01 +0800"},
		{"narrow window", func(p *callback.Policy) { p.WindowTo = p.WindowFrom + 2*time.Minute },
			"2026-05-04 09:01 +0800", 2, "2026-05-05 09:01:30 +0800", "2026-05-05 09:00 +0800"},
		{"whole day", func(p *callback.Policy) { p.WindowFrom, p.WindowTo = 0, 24*time.Hour },
			"2026-05-04 23:50 +0800", 1, "2026-05-05 00:10 +0800", "2026-05-05 00:05 +0800"},
		{"whole day, the last time", func(p *callback.Policy) { p.WindowFrom, p.WindowTo = 0, 24*time.Hour },
			"2026-05-04 23:50 +0800", 1, "2026-05-05 00:00 +0800", "2026-05-04 23:55 +0800"},
		{"short delays, natural time at the deadline", func(p *callback.Policy) { p.RetryDelay = time.Minute },
			"2026-05-04 10:00 +0800", 1, "2026-05-04 10:01 +0800", never},
		{"a natural time needs no margin to the close", nil, "2026-05-04 20:28 +0800", 1, "2026-05-04 21:03 +0800", "2026-05-04 20:58 +0800"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := callback.DefaultPolicy()
			if tc.change != nil {
				tc.change(&p)
			}
			due, ok := p.NextDue(at(t, tc.now), tc.attempts, at(t, tc.deadline))
			if ok != (tc.want != never) {
				t.Fatalf("due %s, %v, want %q", show(due, p.Zone), ok, tc.want)
			}
			if ok && due != at(t, tc.want) {
				t.Fatalf("due %s, want %s", show(due, p.Zone), tc.want)
			}
		})
	}
}

// The deadline rule over a change of the clocks, backwards.
func TestNextDueAcrossAClockChange(t *testing.T) {
	p := in(t, "America/New_York")
	for _, tc := range []struct {
		name                string
		to                  time.Duration
		now, deadline, want string
	}{
		{"the second of two repeated hours", 2 * time.Hour, "2026-11-01 00:00 -0400", "2026-11-01 05:00 -0500", "2026-11-01 01:55 -0500"},
		{"the first, when the deadline is between", 2 * time.Hour, "2026-11-01 00:00 -0400", "2026-11-01 01:03 -0500", "2026-11-01 01:55 -0400"},
		{"before the skipped hour", 2 * time.Hour, "2026-03-08 00:00 -0500", "2026-03-08 05:00 -0400", "2026-03-08 01:55 -0500"},
		{"the end of the skipped hour", 3*time.Hour + 5*time.Minute, "2026-03-08 00:00 -0500", "2026-03-08 05:00 -0400", "2026-03-08 03:00 -0400"},
	} {
		p.WindowFrom, p.WindowTo = time.Hour, tc.to
		if due, ok := p.NextDue(at(t, tc.now), 9, at(t, tc.deadline)); !ok || due != at(t, tc.want) {
			t.Errorf("%s: due %s, %v, want %s", tc.name, show(due, p.Zone), ok, tc.want)
		}
	}
}

// NextDue against its four rules, searched for minute by minute.
func TestNextDueFollowsItsRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		now := drawInstant(t, p.Zone)
		attempts := rapid.IntRange(1, 6).Draw(t, "attempts so far")
		deadline := now.Add(time.Duration(rapid.IntRange(-10, 72*60).Draw(t, "deadline in")) * time.Minute)

		want, wantOK := searchNextDue(p, now, attempts, deadline)
		due, ok := p.NextDue(now, attempts, deadline)
		if ok != wantOK || ok && due != want {
			t.Fatalf("now %s, deadline %s, window %v-%v: %s, %v, want %s, %v", show(now, p.Zone), show(deadline, p.Zone),
				p.WindowFrom, p.WindowTo, show(due, p.Zone), ok, show(want, p.Zone), wantOK)
		}
		if !ok {
			return
		}
		natural := now.Add(p.RetryDelay << (attempts - 1))
		if !inside(p, due) || due <= now || due >= deadline {
			t.Fatalf("due %s", show(due, p.Zone))
		}
		if due < natural && natural.Add(5*time.Minute) <= deadline && inside(p, natural) {
			t.Fatalf("due %s, before %s without need", show(due, p.Zone), show(natural, p.Zone))
		}
	})
}

func searchNextDue(p callback.Policy, now instant.Instant, attempts int, deadline instant.Instant) (instant.Instant, bool) {
	natural := now.Add(p.RetryDelay << (attempts - 1))
	for !inside(p, natural) {
		natural = natural.Add(time.Minute)
	}
	margin := min(5*time.Minute, p.RetryDelay, p.WindowTo-p.WindowFrom)
	if natural.Add(margin) <= deadline {
		return natural, true
	}
	for latest := deadline.Add(-margin); latest >= now.Add(margin); latest = latest.Add(-time.Minute) {
		if c := clock(latest, p.Zone); c >= p.WindowFrom && c <= p.WindowTo-margin {
			return latest, true
		}
	}
	return natural, natural < deadline
}
