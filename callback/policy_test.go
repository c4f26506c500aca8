package callback_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenlane/callback"
	"greenlane/tiering"
)

func TestDefaultPolicy(t *testing.T) {
	p := callback.DefaultPolicy()
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if len(p.Tiers) != 1 || p.Tiers[0] != tiering.Mid || p.Zone.String() != "Asia/Shanghai" {
		t.Errorf("tiers %v, zone %v", p.Tiers, p.Zone)
	}
	other := callback.DefaultPolicy()
	other.Tiers[0] = tiering.VIP
	if p.Tiers[0] != tiering.Mid {
		t.Error("two default policies share their tiers")
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*callback.Policy)
		want   []string // the keys of the faults, in order
	}{
		{"default", func(*callback.Policy) {}, nil},
		{"no tiers", func(p *callback.Policy) { p.Tiers = nil }, nil},
		{"all tiers", func(p *callback.Policy) { p.Tiers = tiering.Tiers[:] }, nil},
		{"unset tier", func(p *callback.Policy) { p.Tiers = []tiering.Tier{tiering.Mid, 0} }, []string{"tiers[1]"}},
		{"tier beyond the last", func(p *callback.Policy) { p.Tiers = []tiering.Tier{5} }, []string{"tiers[0]"}},
		{"tier twice", func(p *callback.Policy) { p.Tiers = []tiering.Tier{tiering.Mid, tiering.Mid} }, []string{"tiers[1]"}},
		{"no delay", func(p *callback.Policy) { p.Delay = 0 }, nil},
		{"negative delay", func(p *callback.Policy) { p.Delay = -1 }, []string{"delay"}},
		{"delay as long as the deadline", func(p *callback.Policy) { p.Delay = p.Deadline }, []string{"delay"}},
		{"whole day", func(p *callback.Policy) { p.WindowFrom, p.WindowTo = 0, 24*time.Hour }, nil},
		{"empty window", func(p *callback.Policy) { p.WindowTo = p.WindowFrom }, []string{"window_to"}},
		{"window of a second", func(p *callback.Policy) { p.WindowTo = p.WindowFrom + time.Second }, nil},
		{"window of a nanosecond", func(p *callback.Policy) { p.WindowTo = p.WindowFrom + 1 }, []string{"window_to"}},
		{"across midnight", func(p *callback.Policy) { p.WindowFrom, p.WindowTo = 21*time.Hour, 9*time.Hour }, []string{"window_to"}},
		{"from before midnight", func(p *callback.Policy) { p.WindowFrom = -time.Hour }, []string{"window_from"}},
		{"to after midnight", func(p *callback.Policy) { p.WindowTo = 24*time.Hour + 1 }, []string{"window_to"}},
		{"from at the end", func(p *callback.Policy) { p.WindowFrom = 24 * time.Hour }, []string{"window_from", "window_to"}},
		{"no zone", func(p *callback.Policy) { p.Zone = nil }, []string{"zone"}},
		{"the machine's zone", func(p *callback.Policy) { p.Zone = time.Local }, []string{"zone"}},
		{"UTC", func(p *callback.Policy) { p.Zone = time.UTC }, nil},
		{"no attempt", func(p *callback.Policy) { p.MaxAttempts = 0 }, []string{"max_attempts"}},
		{"the most attempts", func(p *callback.Policy) { p.MaxAttempts = 100 }, nil},
		{"attempts without end", func(p *callback.Policy) { p.MaxAttempts = 101 }, []string{"max_attempts"}},
		{"no deadline", func(p *callback.Policy) { p.Deadline = 0 }, []string{"deadline", "delay", "escalate_before"}},
		{"deadline next year", func(p *callback.Policy) { p.Deadline = 365 * 24 * time.Hour }, []string{"deadline"}},
		{"no retry delay", func(p *callback.Policy) { p.RetryDelay = 0 }, []string{"retry_delay"}},
		{"escalated always", func(p *callback.Policy) { p.EscalateBefore = p.Deadline }, nil},
		{"escalated before it exists", func(p *callback.Policy) { p.EscalateBefore = p.Deadline + 1 }, []string{"escalate_before"}},
		{"never escalated", func(p *callback.Policy) { p.EscalateBefore = 0 }, nil},
		{"negative escalation", func(p *callback.Policy) { p.EscalateBefore = -1 }, []string{"escalate_before"}},
		{"negative short abandon", func(p *callback.Policy) { p.ShortAbandon = -1 }, []string{"short_abandon"}},
		{"the longest claim lease", func(p *callback.Policy) { p.ClaimLease = 90 * 24 * time.Hour }, nil},
		{"the shortest claim lease", func(p *callback.Policy) { p.ClaimLease = time.Second }, nil},
		{"no claim lease", func(p *callback.Policy) { p.ClaimLease = 0 }, []string{"claim_lease"}},
		{"zero policy", func(p *callback.Policy) { *p = callback.Policy{} },
			[]string{"deadline", "retry_delay", "claim_lease", "delay", "max_attempts", "window_to", "window_to", "zone"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := callback.DefaultPolicy()
			tc.change(&p)
			got := faults(p.Validate())
			if len(got) != len(tc.want) {
				t.Fatalf("faults %q, want %q", got, tc.want)
			}
			for i, key := range tc.want {
				if !strings.HasPrefix(got[i], "callback."+key+": ") {
					t.Errorf("fault %d is %q, want key callback.%s", i, got[i], key)
				}
			}
		})
	}
}

func faults(err error) []string {
	if err == nil {
		return nil
	}
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range joined.Unwrap() {
		all = append(all, e.Error())
	}
	return all
}

func TestEarns(t *testing.T) {
	const number = tiering.Number("+8613800138000")
	p := callback.DefaultPolicy()
	for _, tc := range []struct {
		name   string
		tier   tiering.Tier
		caller tiering.Number
		waited time.Duration
		want   bool
		why    string
	}{
		{"mid", tiering.Mid, number, time.Minute, true, ""},
		{"exactly the limit", tiering.Mid, number, 5 * time.Second, true, ""},
		{"a millisecond short", tiering.Mid, number, 5*time.Second - time.Millisecond, false, callback.NotShortAbandon},
		{"a clock that ran backwards", tiering.Mid, number, -time.Second, false, callback.NotShortAbandon},
		{"withheld", tiering.Mid, "", time.Minute, false, callback.NotWithheld},
		{"withheld and short", tiering.Mid, "", 0, false, callback.NotWithheld},
		{"vip", tiering.VIP, number, time.Minute, false, callback.NotTier},
		{"ordinary", tiering.Ordinary, number, time.Minute, false, callback.NotTier},
		{"blacklist, withheld and short", tiering.Blacklist, "", 0, false, callback.NotTier},
		{"tier not known", tiering.TierUnset, number, time.Minute, false, callback.NotTier},
	} {
		if got, why := p.Earns(tc.tier, tc.caller, tc.waited); got != tc.want || why != tc.why {
			t.Errorf("%s: %v %q, want %v %q", tc.name, got, why, tc.want, tc.why)
		}
	}
	p.Tiers = nil
	if got, why := p.Earns(tiering.Mid, number, time.Minute); got || why != callback.NotTier {
		t.Errorf("nobody's abandons: %v %q", got, why)
	}
}

func TestNames(t *testing.T) {
	for _, s := range callback.States {
		if got, err := callback.ParseState(strings.ToUpper(s.String())); got != s || err != nil {
			t.Errorf("%v: %v, %v", s, got, err)
		}
	}
	for _, r := range callback.Results {
		if got, err := callback.ParseResult(strings.ToUpper(r.String())); got != r || err != nil || !r.Valid() {
			t.Errorf("%v: %v, %v", r, got, err)
		}
	}
	for _, name := range []string{"", "unset", "state(9)", "ringing"} {
		if s, err := callback.ParseState(name); err == nil || s != callback.StateUnset {
			t.Errorf("state %q: %v, %v", name, s, err)
		}
		if r, err := callback.ParseResult(name); err == nil || r != callback.ResultUnset || r.Valid() {
			t.Errorf("result %q: %v, %v", name, r, err)
		}
	}
	_, err := callback.ParseResult("x")
	if !strings.Contains(err.Error(), "reached, no_answer, busy or refused is allowed") {
		t.Error(err)
	}
	for _, got := range []string{callback.State(9).String(), callback.Result(9).String(), callback.Change(9).String(), callback.Change(7).String()} {
		if !strings.Contains(got, "(") {
			t.Error(got)
		}
	}
	open := map[callback.State]bool{
		callback.StatePending: true, callback.StateDue: true, callback.StateOffered: true, callback.StateClaimed: true,
	}
	for s := callback.State(0); s < 12; s++ {
		if s.Open() != open[s] {
			t.Errorf("%v: open %v", s, s.Open())
		}
	}
}
