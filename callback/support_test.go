package callback_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the tests need zones on machines without a database, too

	"greenlane/callback"
	"greenlane/internal/instant"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// at reads "2026-03-08 01:30 -0500", or with seconds, as an instant.
func at(t testing.TB, s string) instant.Instant {
	t.Helper()
	for _, layout := range []string{"2006-01-02 15:04 -0700", "2006-01-02 15:04:05.999 -0700"} {
		if parsed, err := time.Parse(layout, s); err == nil {
			return instant.Of(parsed)
		}
	}
	t.Fatalf("%q is no instant", s)
	return 0
}

// in returns the default policy in another zone.
func in(t testing.TB, name string) callback.Policy {
	t.Helper()
	p := callback.DefaultPolicy()
	p.Zone = zone(t, name)
	return p
}

// clock is the wall clock of the zone, in another way than the package's own.
func clock(i instant.Instant, loc *time.Location) time.Duration {
	t := time.UnixMilli(int64(i)).In(loc)
	h, m, s := t.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second +
		time.Duration(t.Nanosecond())
}

// inside is the window's rule as doc.go states it.
func inside(p callback.Policy, i instant.Instant) bool {
	c := clock(i, p.Zone)
	return c >= p.WindowFrom && c < p.WindowTo
}

func show(i instant.Instant, loc *time.Location) string {
	return time.UnixMilli(int64(i)).In(loc).Format("2006-01-02 15:04:05.000 -0700")
}
