// Package instant holds the one representation of time that Greenlane decides
// with: whole milliseconds since the Unix epoch. It reads no clock; whoever
// opens the door to a command reads the clock once and hands the instant down.
//
// Milliseconds are exact in a float64 until long after the year 200000, so the
// same arithmetic gives the same answer in Go and in a Redis script.
package instant

import "time"

// Instant is a moment in milliseconds since 1970-01-01T00:00:00Z. The zero
// value means "not set".
type Instant int64

// Of returns t truncated to the millisecond; the zero time gives the zero Instant.
func Of(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return Instant(t.UnixMilli())
}

// Time returns the instant in UTC; the zero Instant gives the zero time.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(i)).UTC()
}

// Add returns the instant d later; d is truncated to the millisecond.
func (i Instant) Add(d time.Duration) Instant { return i + Instant(d.Milliseconds()) }

// Sub returns the time from j to i, negative when i is the earlier one.
func (i Instant) Sub(j Instant) time.Duration { return time.Duration(i-j) * time.Millisecond }

// IsZero reports whether the instant is not set.
func (i Instant) IsZero() bool { return i == 0 }
