package callback_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// life drives one callback with random commands in rising time, and keeps its
// own short record of who holds it.
type life struct {
	p      callback.Policy
	c      callback.Callback
	now    instant.Instant
	holder string // by the commands that were accepted; "" when nobody's
	epoch  uint64
}

func TestRandomLives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &life{p: drawPolicy(t)}
		l.now = drawInstant(t, l.p.Zone)
		var asked instant.Instant
		if rapid.Bool().Draw(t, "due asked for") {
			asked = l.now.Add(time.Duration(rapid.IntRange(-60, 5000).Draw(t, "due in")) * time.Minute)
		}
		l.c = callback.New(l.p, "cb1", 1, l.now, 0, "+8613800138000", "q", tiering.Mid, "", "", asked)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			l.step(t)
		}
	})
}

func (l *life) step(t *rapid.T) {
	next, ok := l.c.NextTimer(l.p)
	switch rapid.SampledFrom([]string{"stay", "minutes", "timer", "before timer"}).Draw(t, "time") {
	case "minutes":
		l.now = l.now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "minutes")) * time.Minute)
	case "timer":
		if ok {
			l.now = max(l.now, next)
		}
	case "before timer":
		if ok {
			l.now = max(l.now, next-1)
		}
	}
	before := l.c
	what := rapid.SampledFrom([]string{
		"advance", "advance", "offer", "return", "claim", "claim", "report", "report", "reschedule", "cancel", "answered",
		"become due", "lapse", "miss", "defer", "escalate",
	}).Draw(t, "command")
	err := l.do(t, what, before)
	checkRecord(t, l.p, l.c)
	switch {
	case err != nil && l.c != before:
		t.Fatalf("%s was refused (%v) and changed\n%+v to\n%+v", what, err, before, l.c)
	case !before.State.Open() && l.c != before:
		t.Fatalf("%s changed the ended\n%+v to\n%+v", what, before, l.c)
	case l.c.ClaimEpoch != l.epoch:
		t.Fatalf("%s: epoch %d, want %d", what, l.c.ClaimEpoch, l.epoch)
	case l.c.State == callback.StateClaimed && l.c.ClaimedBy != l.holder:
		t.Fatalf("%s: %s holds it, want %s", what, l.c.ClaimedBy, l.holder)
	}
}

func (l *life) do(t *rapid.T, what string, before callback.Callback) (err error) {
	who := rapid.SampledFrom([]string{"ann", "bob", "cy"}).Draw(t, "who")
	switch what {
	case "advance":
		l.advance(t)
	case "offer":
		err = l.c.Offer()
	case "return":
		err = l.c.Return()
	case "claim":
		if err = l.c.Claim(l.now, who, l.p.ClaimLease); err == nil {
			l.claimed(t, who, before)
		}
	case "report":
		r := rapid.SampledFrom(callback.Results[:]).Draw(t, "result")
		if err = l.c.Report(l.p, l.now, who, r); err == nil {
			l.reported(t, who, r, before)
		}
	case "reschedule":
		due := l.now.Add(time.Duration(rapid.IntRange(-10, 2000).Draw(t, "due in")) * time.Minute)
		err = l.c.Reschedule(l.p, l.now, due)
	case "cancel":
		err = l.c.Cancel(l.now, "by hand")
	case "answered":
		l.c.Answered(l.now)
	case "become due":
		err = l.c.BecomeDue(l.now)
	case "lapse":
		if err = l.c.ClaimLapsed(l.now); err == nil {
			l.holder = ""
		}
	case "miss":
		err = l.c.Miss(l.now)
	case "defer":
		err = l.c.Defer(l.p, l.now)
	case "escalate":
		err = l.c.Escalate(l.p, l.now)
	}
	return err
}

// advance applies what time asks for; afterwards nothing is left to do now.
func (l *life) advance(t *rapid.T) {
	before := l.c
	changes := advance(t, l.p, &l.c, l.now)
	if l.c.State != callback.StateClaimed {
		l.holder = ""
	}
	if next, ok := l.c.NextTimer(l.p); ok != l.c.State.Open() || ok && next <= l.now {
		t.Fatalf("at %s after %q the next timer is %s: %+v", show(l.now, l.p.Zone), changes, show(next, l.p.Zone), l.c)
	}
	if next, ok := before.NextTimer(l.p); (changes != "") != (ok && next <= l.now) {
		t.Fatalf("at %s the timer %s (%v) and the changes %q disagree: %+v", show(l.now, l.p.Zone), show(next, l.p.Zone), ok, changes, before)
	}
	if l.c.State == callback.StateDue && !inside(l.p, l.now) {
		t.Fatalf("can be offered at %s: %+v", show(l.now, l.p.Zone), l.c)
	}
	if l.c.Attempts != before.Attempts {
		t.Fatalf("time counted an attempt: %+v", l.c)
	}
}

func (l *life) claimed(t *rapid.T, who string, before callback.Callback) {
	if l.holder != "" && l.holder != who {
		t.Fatalf("%s claimed what %s holds: %+v", who, l.holder, before)
	}
	if l.now >= l.c.Deadline {
		t.Fatalf("claimed after the deadline: %+v", l.c)
	}
	if l.holder == "" {
		l.epoch++
	}
	l.holder = who
}

func (l *life) reported(t *rapid.T, who string, r callback.Result, before callback.Callback) {
	if l.holder != who {
		t.Fatalf("%s reported on what %q holds", who, l.holder)
	}
	l.holder = ""
	if l.c.Attempts != before.Attempts+1 || l.c.LastResult != r || l.c.LastAttemptAt != l.now {
		t.Fatalf("the attempt was not counted once: %+v", l.c)
	}
	again := r == callback.ResultNoAnswer || r == callback.ResultBusy
	if again && before.ServedMeanwhile != (l.c.State == callback.StateCancelled) {
		t.Fatalf("served meanwhile %v, and then %v", before.ServedMeanwhile, l.c.State)
	}
	if again == (l.c.State == callback.StateDone) {
		t.Fatalf("%v, and then %v", r, l.c.State)
	}
	if l.c.State == callback.StatePending && l.c.DueAt <= l.now && l.c.DueAt != l.c.Deadline {
		t.Fatalf("rung again at once: %+v", l.c)
	}
}

// BenchmarkLife is one callback from the abandon to the caller reached.
func BenchmarkLife(b *testing.B) {
	p := callback.DefaultPolicy()
	b.ReportAllocs()
	for b.Loop() {
		c := callback.New(p, "cb1", 1, t0, t0, "+8613800138000", "q", tiering.Mid, "call1", callback.ReasonAbandoned, 0)
		sink, _ = c.NextTimer(p)
		c.Advance(p, due)
		sink, _ = c.NextTimer(p)
		_ = c.Offer()
		_ = c.Claim(due, "ann", p.ClaimLease)
		_ = c.Report(p, due, "ann", callback.ResultReached)
	}
}

// BenchmarkNextDue is a retry that the deadline cuts short: the longest way.
func BenchmarkNextDue(b *testing.B) {
	p := callback.DefaultPolicy()
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = p.NextDue(t0, 3, t0+60*60_000)
	}
}
