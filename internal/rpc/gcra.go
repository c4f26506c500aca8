package rpc

import "time"

// gcra is a token bucket in one number (the generic cell rate algorithm of ITU-T
// I.371): the time at which the bucket will be full again, on a clock that starts
// at zero. A bucket that was never used is full. Unlike golang.org/x/time/rate it
// can give a token back later, which an arrival that turns out to be known needs,
// and a hundred thousand of them are small.
type gcra time.Duration

// pace is how a bucket fills: burst tokens at once, one more every interval. The
// zero pace has no limit.
type pace struct {
	burst    int
	interval time.Duration
}

// perMinute is n at once and n a minute; 0 and less mean no limit.
func perMinute(n int) pace {
	if n <= 0 {
		return pace{}
	}
	return pace{burst: n, interval: max(1, time.Minute/time.Duration(n))}
}

// take takes a token at now and returns the bucket without it; false means that
// there is none, and that nothing was taken.
func (g gcra) take(now time.Duration, p pace) (gcra, bool) {
	if p.interval == 0 {
		return g, true
	}
	full := max(time.Duration(g), now) + p.interval
	if full-now > time.Duration(p.burst)*p.interval {
		return g, false
	}
	return gcra(full), true
}

// give puts a token back.
func (g gcra) give(p pace) gcra { return g - gcra(p.interval) }
