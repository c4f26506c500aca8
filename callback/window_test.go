package callback_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

func TestFirstDue(t *testing.T) {
	window := func(from, to time.Duration) func(*callback.Policy) {
		return func(p *callback.Policy) { p.WindowFrom, p.WindowTo = from, to }
	}
	const h, m = time.Hour, time.Minute
	for _, tc := range []struct {
		name, zone   string
		change       func(*callback.Policy)
		hungUp, want string
	}{
		{"in the day", "Asia/Shanghai", nil, "2026-05-04 10:00 +0800", "2026-05-04 10:15 +0800"},
		{"lands on the opening", "Asia/Shanghai", nil, "2026-05-04 08:45 +0800", "2026-05-04 09:00 +0800"},
		{"a millisecond before the opening", "Asia/Shanghai", nil, "2026-05-04 08:44:59.999 +0800", "2026-05-04 09:00 +0800"},
		{"at night", "Asia/Shanghai", nil, "2026-05-04 02:00 +0800", "2026-05-04 09:00 +0800"},
		{"a millisecond before the close", "Asia/Shanghai", nil, "2026-05-04 20:44:59.999 +0800", "2026-05-04 20:59:59.999 +0800"},
		{"lands on the close", "Asia/Shanghai", nil, "2026-05-04 20:45 +0800", "2026-05-05 09:00 +0800"},
		{"the delay crosses midnight", "Asia/Shanghai", nil, "2026-12-31 23:50 +0800", "2027-01-01 09:00 +0800"},
		{"leap day", "Asia/Shanghai", nil, "2028-02-28 22:00 +0800", "2028-02-29 09:00 +0800"},
		{"another zone's evening", "Asia/Shanghai", nil, "2026-05-04 12:50 +0000", "2026-05-05 09:00 +0800"},
		{"Shanghai in the summer time of 1986", "Asia/Shanghai", nil, "1986-05-04 01:00 +0800", "1986-05-04 09:00 +0900"},
		{"half an hour off", "Asia/Kolkata", nil, "2026-05-04 20:44 +0530", "2026-05-04 20:59 +0530"},
		{"half an hour off, closed", "Asia/Kolkata", nil, "2026-05-04 15:15 +0000", "2026-05-05 03:30 +0000"},
		{"three quarters off", "Asia/Kathmandu", nil, "2026-05-04 23:00 +0545", "2026-05-05 09:00 +0545"},
		{"whole day", "Asia/Shanghai", window(0, 24*h), "2026-05-04 23:50 +0800", "2026-05-05 00:05 +0800"},
		{"until midnight", "Asia/Shanghai", window(9*h, 24*h), "2026-05-04 23:44:59.999 +0800", "2026-05-04 23:59:59.999 +0800"},
		{"until midnight, closed", "Asia/Shanghai", window(9*h, 24*h), "2026-05-04 23:45 +0800", "2026-05-05 09:00 +0800"},

		// New York 2026: 03-08 02:00 EST becomes 03:00 EDT, 11-01 02:00 EDT becomes 01:00 EST.
		{"night of 23 hours", "America/New_York", nil, "2026-03-07 21:00 -0500", "2026-03-08 09:00 -0400"},
		{"night of 25 hours", "America/New_York", nil, "2026-10-31 21:00 -0400", "2026-11-01 09:00 -0500"},
		{"opens in the skipped hour", "America/New_York", window(2*h+30*m, 4*h), "2026-03-08 01:00 -0500", "2026-03-08 03:00 -0400"},
		{"the skipped hour is all of the window", "America/New_York", window(2*h, 3*h), "2026-03-08 01:00 -0500", "2026-03-09 02:00 -0400"},
		{"closes in the skipped hour", "America/New_York", window(1*h, 2*h+30*m), "2026-03-08 01:50 -0500", "2026-03-09 01:00 -0400"},
		{"the delay jumps over the skipped hour", "America/New_York", window(0, 24*h), "2026-03-08 01:50 -0500", "2026-03-08 03:05 -0400"},
		{"repeated hour, first time", "America/New_York", window(1*h+30*m, 2*h), "2026-11-01 01:00 -0400", "2026-11-01 01:30 -0400"},
		{"repeated hour, between", "America/New_York", window(1*h+30*m, 2*h), "2026-11-01 01:50 -0400", "2026-11-01 01:30 -0500"},
		{"repeated hour, second time", "America/New_York", window(1*h+30*m, 2*h), "2026-11-01 01:20 -0500", "2026-11-01 01:35 -0500"},
		{"far in the future", "America/New_York", nil, "2199-03-09 23:00 -0500", "2199-03-10 09:00 -0400"},

		{"half an hour of summer time", "Australia/Lord_Howe", window(2*h, 2*h+15*m), "2026-10-04 01:30 +1030", "2026-10-05 02:00 +1100"},
		{"midnight is skipped", "America/Santiago", window(0, 1*h), "2026-09-05 23:30 -0400", "2026-09-07 00:00 -0300"},
		{"a whole day is skipped", "Pacific/Apia", nil, "2011-12-29 21:00 -1000", "2011-12-31 09:00 +1400"},
		{"before 1970", "Europe/London", nil, "1969-12-31 22:00 +0100", "1970-01-01 09:00 +0100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := in(t, tc.zone)
			if tc.change != nil {
				tc.change(&p)
			}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if got, want := p.FirstDue(at(t, tc.hungUp)), at(t, tc.want); got != want {
				t.Errorf("due %s, want %s", show(got, p.Zone), show(want, p.Zone))
			}
		})
	}
}

func TestInside(t *testing.T) {
	p := callback.DefaultPolicy()
	for moment, want := range map[string]bool{
		"2026-05-04 08:59:59.999 +0800": false, "2026-05-04 09:00 +0800": true,
		"2026-05-04 20:59:59.999 +0800": true, "2026-05-04 21:00 +0800": false,
		"2026-05-04 02:00 +0000": true, "2026-05-04 14:00 +0000": false,
	} {
		if got := p.Inside(at(t, moment)); got != want {
			t.Errorf("%s: %v", moment, got)
		}
	}
	p.WindowFrom, p.WindowTo = 0, 24*time.Hour
	if !p.Inside(at(t, "2026-05-04 00:00 +0800")) || !p.Inside(at(t, "2026-05-04 23:59:59.999 +0800")) {
		t.Error("a whole day has a gap")
	}
}

// A policy that Validate refuses must not hang or panic all the same.
func TestRefusedPoliciesAnswer(t *testing.T) {
	for _, p := range []callback.Policy{
		{},
		{WindowFrom: 5 * time.Hour, WindowTo: 5*time.Hour + 1},
		{WindowFrom: 21 * time.Hour, WindowTo: 9 * time.Hour},
		{WindowFrom: -time.Hour, WindowTo: 50 * time.Hour},
		{WindowFrom: 30 * time.Hour, WindowTo: 50 * time.Hour},
		{RetryDelay: -time.Hour, Delay: -time.Hour, Deadline: -time.Hour, MaxAttempts: -1},
		{RetryDelay: 1 << 62},
	} {
		now := at(t, "2026-05-04 22:00 +0000")
		p.FirstDue(now)
		p.NextDue(now, -1, now.Add(time.Hour))
		p.NextDue(now, 1<<40, now.Add(time.Hour))
		c := callback.New(p, "c", 1, now, 0, "+1", "q", 0, "", "", 0)
		for range 4 {
			c.Advance(p, now)
		}
		c.NextTimer(p)
	}
}

var zones = []string{
	"Asia/Shanghai", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Europe/London", "Europe/Dublin",
	"Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "America/Santiago", "Africa/Casablanca",
	"America/St_Johns", "Asia/Tehran", "UTC",
}

// drawPolicy draws a sound policy with its times on whole minutes.
func drawPolicy(t *rapid.T) callback.Policy {
	p := callback.DefaultPolicy()
	loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
	if err != nil {
		t.Fatal(err)
	}
	minutes := func(label string, least, most int) time.Duration {
		return time.Duration(rapid.IntRange(least, most).Draw(t, label)) * time.Minute
	}
	p.Zone = loc
	if rapid.Bool().Draw(t, "window drawn") {
		p.WindowFrom = minutes("from", 0, 24*60-1)
		p.WindowTo = minutes("to", int(p.WindowFrom/time.Minute)+1, 24*60)
	}
	p.Deadline = minutes("deadline", 1, 72*60)
	p.Delay = minutes("delay", 0, int(p.Deadline/time.Minute)-1)
	p.EscalateBefore = minutes("escalate", 0, int(p.Deadline/time.Minute))
	p.RetryDelay = minutes("retry", 1, 180)
	p.ClaimLease = minutes("lease", 1, 120)
	p.MaxAttempts = rapid.IntRange(1, 5).Draw(t, "attempts")
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// drawInstant prefers the hours around a change of the zone's clocks.
func drawInstant(t *rapid.T, loc *time.Location) instant.Instant {
	minute := rapid.Int64Range(1_200_000_000/60, 2_200_000_000/60).Draw(t, "minute")
	base := time.Unix(minute*60, 0)
	if _, end := base.In(loc).ZoneBounds(); !end.IsZero() && rapid.Bool().Draw(t, "near a change") {
		base = end.Truncate(time.Minute).Add(time.Duration(rapid.IntRange(-2000, 200).Draw(t, "minutes off")) * time.Minute)
	}
	return instant.Of(base)
}

// FirstDue against a search minute by minute.
func TestFirstDueIsTheEarliest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		hungUp := drawInstant(t, p.Zone)
		want := hungUp.Add(p.Delay)
		for !inside(p, want) {
			want = want.Add(time.Minute)
		}
		if got := p.FirstDue(hungUp); got != want {
			t.Fatalf("hung up %s, window %v-%v: due %s, want %s", show(hungUp, p.Zone), p.WindowFrom, p.WindowTo,
				show(got, p.Zone), show(want, p.Zone))
		}
	})
}

// Days of 24 hours against time.Date, which is unambiguous there.
func TestFirstDueAgreesWithTheCalendar(t *testing.T) {
	p := in(t, "Asia/Kolkata")
	rapid.Check(t, func(t *rapid.T) {
		hungUp := instant.Instant(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "hung up"))
		natural := hungUp.Add(p.Delay).Time().In(p.Zone)
		y, m, d := natural.Date()
		from := time.Date(y, m, d, 9, 0, 0, 0, p.Zone)
		want := natural
		if natural.Before(from) {
			want = from
		} else if !natural.Before(time.Date(y, m, d, 21, 0, 0, 0, p.Zone)) {
			want = time.Date(y, m, d+1, 9, 0, 0, 0, p.Zone)
		}
		if got := p.FirstDue(hungUp); got != instant.Of(want) {
			t.Fatalf("hung up %s: due %s, want %s", show(hungUp, p.Zone), show(got, p.Zone), want)
		}
	})
}

func FuzzFirstDue(f *testing.F) {
	f.Add(int64(1_772_953_200_000), uint8(1), uint16(120), uint16(180), uint32(900)) // New York, spring
	f.Add(int64(1_793_509_200_000), uint8(1), uint16(90), uint16(120), uint32(900))  // New York, autumn
	f.Add(int64(1_325_239_200_000), uint8(8), uint16(540), uint16(1260), uint32(900))
	f.Add(int64(0), uint8(2), uint16(0), uint16(1440), uint32(0))
	f.Add(int64(-1), uint8(0), uint16(540), uint16(1260), uint32(1))
	f.Fuzz(func(t *testing.T, ms int64, zoneIndex uint8, from, to uint16, delay uint32) {
		const exact = 1 << 53 // beyond, an Instant is no longer the same number in every engine
		p := in(t, zones[int(zoneIndex)%len(zones)])
		p.WindowFrom, p.WindowTo = time.Duration(from)*time.Minute, time.Duration(to)*time.Minute
		p.Delay, p.Deadline = time.Duration(delay)*time.Second, 90*24*time.Hour
		if p.Validate() != nil || ms < -exact || ms > exact {
			t.Skip()
		}
		hungUp := instant.Instant(ms)
		natural := hungUp.Add(p.Delay)
		due := p.FirstDue(hungUp)
		if due < natural || !inside(p, due) || !p.Inside(due) {
			t.Fatalf("%s %v-%v: natural %s, due %s", p.Zone, p.WindowFrom, p.WindowTo, show(natural, p.Zone), show(due, p.Zone))
		}
		if due.Sub(natural) > 72*time.Hour {
			t.Fatalf("%s %v-%v: natural %s, due only %s", p.Zone, p.WindowFrom, p.WindowTo, show(natural, p.Zone), show(due, p.Zone))
		}
		if due == natural {
			return
		}
		for _, before := range []instant.Instant{natural, due - 1} {
			if inside(p, before) {
				t.Fatalf("%s %v-%v: due %s, but %s is inside", p.Zone, p.WindowFrom, p.WindowTo, show(due, p.Zone), show(before, p.Zone))
			}
		}
		for before := natural; before < due; before = before.Add(time.Minute) {
			if inside(p, before) {
				t.Fatalf("%s %v-%v: due %s, but %s is inside", p.Zone, p.WindowFrom, p.WindowTo, show(due, p.Zone), show(before, p.Zone))
			}
		}
	})
}

// The decisions are on the path of every abandon and every tick.
func TestNothingIsAllocated(t *testing.T) {
	p := in(t, "America/New_York")
	night := at(t, "2026-05-04 23:00 -0400")
	c := callback.New(p, "cb1", 1, night, 0, "+1", "q", tiering.Mid, "", "", 0)
	for name, f := range map[string]func(){
		"FirstDue":  func() { sink = p.FirstDue(night) },
		"NextDue":   func() { sink, _ = p.NextDue(night, 3, night.Add(10*time.Hour+time.Minute)) },
		"NextTimer": func() { sink, _ = c.NextTimer(p) },
		"Advance":   func() { c := c; c.Advance(p, c.DueAt) },
		"Earns":     func() { p.Earns(tiering.Mid, "+1", time.Minute) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

var sink instant.Instant

func BenchmarkFirstDue(b *testing.B) {
	for _, name := range []string{"Asia/Shanghai", "America/New_York", "Asia/Kolkata"} {
		p := in(b, name)
		for _, tc := range []struct {
			name   string
			hungUp instant.Instant
		}{{"inside", at(b, "2026-05-04 12:00 +0000")}, {"closed", at(b, "2026-05-04 23:00 +0000")}} {
			if name != "America/New_York" {
				tc.hungUp = tc.hungUp.Add(-8 * time.Hour)
			}
			tc.hungUp = tc.hungUp.Add(4 * time.Hour)
			b.Run(name+"/"+tc.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					sink = p.FirstDue(tc.hungUp)
				}
			})
		}
	}
}
