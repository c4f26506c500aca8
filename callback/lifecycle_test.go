package callback_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

func TestNew(t *testing.T) {
	p := callback.DefaultPolicy()
	for _, tc := range []struct {
		name           string
		deadline       time.Duration
		hungUp, due    string // due: what is asked for
		wantDue, wantD string
	}{
		{"by the policy", 0, "2026-05-04 10:00 +0800", "", "2026-05-04 10:15 +0800", "2026-05-05 10:00 +0800"},
		{"in the evening", 0, "2026-05-04 20:50 +0800", "", "2026-05-05 09:00 +0800", "2026-05-05 20:50 +0800"},
		{"asked for", 0, "2026-05-04 10:00 +0800", "2026-05-04 14:00 +0800", "2026-05-04 14:00 +0800", "2026-05-05 10:00 +0800"},
		{"asked for the past", 0, "2026-05-04 10:00 +0800", "2026-05-03 14:00 +0800", "2026-05-04 10:00 +0800", "2026-05-05 10:00 +0800"},
		{"asked for the night", 0, "2026-05-04 10:00 +0800", "2026-05-04 22:00 +0800", "2026-05-05 09:00 +0800", "2026-05-05 10:00 +0800"},
		{"asked for the last minute", 0, "2026-05-04 10:00 +0800", "2026-05-05 09:59 +0800", "2026-05-05 09:59 +0800", "2026-05-05 10:00 +0800"},
		{"asked for the deadline", 0, "2026-05-04 10:00 +0800", "2026-05-05 10:00 +0800", "2026-05-05 09:55 +0800", "2026-05-05 10:00 +0800"},
		{"asked for too late", 0, "2026-05-04 10:00 +0800", "2026-05-06 14:00 +0800", "2026-05-05 09:55 +0800", "2026-05-05 10:00 +0800"},
		{"deadline at night", 4 * time.Hour, "2026-05-04 20:50 +0800", "", "2026-05-04 20:55 +0800", "2026-05-05 00:50 +0800"},
		{"no moment left", 4 * time.Hour, "2026-05-04 20:57 +0800", "", "2026-05-05 00:57 +0800", "2026-05-05 00:57 +0800"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := p
			if tc.deadline != 0 {
				p.Deadline = tc.deadline
			}
			var asked instant.Instant
			if tc.due != "" {
				asked = at(t, tc.due)
			}
			hungUp := at(t, tc.hungUp)
			c := callback.New(p, "cb1", 7, hungUp, 0, "+8613800138000", "billing", tiering.Mid, "", "by hand", asked)
			if c.DueAt != at(t, tc.wantDue) || c.Deadline != at(t, tc.wantD) {
				t.Errorf("due %s, deadline %s", show(c.DueAt, p.Zone), show(c.Deadline, p.Zone))
			}
			if c.State != callback.StatePending || c.ArrivedAt != hungUp || c.CreatedAt != hungUp {
				t.Errorf("%+v", c)
			}
		})
	}
	c := callback.New(p, "cb1", 7, t0, t0-60_000, "+8613800138000", "billing", tiering.Mid, "call1", callback.ReasonAbandoned, 0)
	want := callback.Callback{
		ID: "cb1", Seq: 7, Caller: "+8613800138000", Queue: "billing", Tier: tiering.Mid, State: callback.StatePending,
		CallID: "call1", Reason: "abandoned", CreatedAt: t0, ArrivedAt: t0 - 60_000, DueAt: due, Deadline: dead,
	}
	if c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
}

// must drives a callback and stops at the first refusal.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestThreeAttempts(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StateOffered)
	must(t, c.Claim(mid, "ann", p.ClaimLease), c.Report(p, mid+60_000, "ann", callback.ResultNoAnswer))
	if c.State != callback.StatePending || c.DueAt != mid+31*60_000 || c.Attempts != 1 || c.ClaimedBy != "" {
		t.Fatalf("%+v", c)
	}
	if c.LastResult != callback.ResultNoAnswer || c.LastAttemptAt != mid+60_000 || c.ClaimEpoch != 1 {
		t.Fatalf("%+v", c)
	}
	now := c.DueAt
	must(t, c.BecomeDue(now), c.Offer(), c.Claim(now, "bob", p.ClaimLease), c.Report(p, now, "bob", callback.ResultBusy))
	if c.DueAt != now+60*60_000 || c.ClaimEpoch != 2 {
		t.Fatalf("%+v", c)
	}
	now = c.DueAt
	must(t, c.BecomeDue(now), c.Claim(now, "ann", p.ClaimLease), c.Report(p, now, "ann", callback.ResultNoAnswer))
	if c.State != callback.StateFailed || c.EndReason != callback.EndAttempts || c.EndedAt != now || c.Attempts != 3 || c.ClaimedBy != "ann" {
		t.Fatalf("%+v", c)
	}
}

func TestReachedOnTheLastAttemptIsDone(t *testing.T) {
	p := callback.DefaultPolicy()
	p.MaxAttempts = 1
	c := inState(t, p, callback.StateClaimed)
	must(t, c.Report(p, mid, "ann", callback.ResultReached))
	if c.State != callback.StateDone || c.EndReason != callback.EndReached {
		t.Errorf("%+v", c)
	}
	c = inState(t, p, callback.StateClaimed)
	must(t, c.Report(p, mid, "ann", callback.ResultRefused))
	if c.State != callback.StateDone || c.EndReason != callback.EndRefused {
		t.Errorf("%+v", c)
	}
}

func TestServedWhileClaimed(t *testing.T) {
	p := callback.DefaultPolicy()
	for r, want := range map[callback.Result]callback.State{
		callback.ResultNoAnswer: callback.StateCancelled, callback.ResultBusy: callback.StateCancelled,
		callback.ResultReached: callback.StateDone, callback.ResultRefused: callback.StateDone,
	} {
		p := p
		p.MaxAttempts = 1 // a caller who was served has not been failed
		c := inState(t, p, callback.StateClaimed)
		c.Answered(mid + 1)
		must(t, c.Report(p, mid+2, "ann", r))
		if c.State != want || c.Attempts != 1 || (want == callback.StateCancelled && c.EndReason != callback.EndAnswered) {
			t.Errorf("%v: %+v", r, c)
		}
	}
	c := inState(t, p, callback.StateClaimed)
	c.Answered(mid + 1)
	if ch := c.Advance(p, until); ch != callback.ChangeCancelled || c.State != callback.StateCancelled || c.EndReason != callback.EndAnswered {
		t.Errorf("lapsed: %v %+v", ch, c)
	}
}

func TestClaimRenewal(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StateClaimed)
	must(t, c.Claim(mid+60_000, "ann", p.ClaimLease))
	if c.ClaimUntil != until+60_000 || c.ClaimEpoch != 1 {
		t.Errorf("renewed: %+v", c)
	}
	must(t, c.Claim(mid+60_000, "ann", time.Second))
	if c.ClaimUntil != until+60_000 {
		t.Errorf("a shorter lease shortened the claim: %+v", c)
	}
	must(t, c.ClaimLapsed(c.ClaimUntil), c.Claim(until+90_000, "bob", p.ClaimLease))
	if c.ClaimEpoch != 2 || c.ClaimedBy != "bob" {
		t.Errorf("claimed anew: %+v", c)
	}
	if err := c.Report(p, until+90_000, "ann", callback.ResultReached); !errors.Is(err, callback.ErrNotClaimant) {
		t.Errorf("the old claimant's report: %v", err)
	}
}

func TestNoRetryLeftIsMissed(t *testing.T) {
	p := callback.DefaultPolicy()
	for _, now := range []instant.Instant{dead - 60_000, dead + 60_000} {
		c := inState(t, p, callback.StateClaimed)
		c.ClaimUntil = dead + 120_000
		must(t, c.Report(p, now, "ann", callback.ResultBusy))
		if c.State != callback.StatePending || c.DueAt != dead {
			t.Fatalf("%+v", c)
		}
		if next, ok := c.NextTimer(p); next != dead || !ok {
			t.Fatalf("timer %v %v", next, ok)
		}
		if ch := c.Advance(p, max(now, dead)); ch != callback.ChangeMissed || c.EndReason != callback.EndDeadline || c.Attempts != 1 {
			t.Fatalf("%v %+v", ch, c)
		}
	}
}

func TestRefusalsSayWhatIsAllowed(t *testing.T) {
	p := callback.DefaultPolicy()
	c := inState(t, p, callback.StatePending)
	err := c.Reschedule(p, mid, due+11*60*60_000)
	for _, want := range []string{"2026-05-04T21:15:00+08:00", "from 09:00:00 to before 21:00:00 in Asia/Shanghai"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if !errors.Is(err, callback.ErrDue) {
		t.Errorf("%v is no ErrDue", err)
	}
	err = c.Reschedule(p, mid, dead)
	if want := "after 2026-05-04T11:00:00+08:00 and before the deadline 2026-05-05T10:00:00+08:00 is allowed"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v lacks %q", err, want)
	}
	if err := (callback.Policy{WindowFrom: 9 * time.Hour, WindowTo: 10 * time.Hour}).CheckDue(1, 2, 3); !strings.Contains(err.Error(), "in UTC") {
		t.Error(err)
	}
}

// Whoever stores a record must get the same one back; every field has its number.
func TestStoredRecord(t *testing.T) {
	var c callback.Callback
	v := reflect.ValueOf(&c).Elem()
	seen := map[string]string{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		number, rest, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		if rest != "keyasint,omitempty" || seen[number] != "" {
			t.Errorf("%s has the tag %q", f.Name, f.Tag)
		}
		seen[number] = f.Name
		switch v.Field(i).Kind() {
		case reflect.String:
			v.Field(i).SetString(f.Name)
		case reflect.Bool:
			v.Field(i).SetBool(true)
		case reflect.Int, reflect.Int64:
			v.Field(i).SetInt(int64(i + 1))
		case reflect.Uint8, reflect.Uint64:
			v.Field(i).SetUint(uint64(i + 1))
		default:
			t.Errorf("%s is a %s: the record must copy by assignment", f.Name, v.Field(i).Kind())
		}
	}
	stored, err := cbor.Marshal(c)
	must(t, err)
	var back callback.Callback
	must(t, cbor.Unmarshal(stored, &back))
	if back != c {
		t.Errorf("%+v, want %+v", back, c)
	}
}
