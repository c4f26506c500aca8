package callback

import (
	"fmt"
	"time"

	"greenlane/internal/instant"
)

const day = 24 * time.Hour

// dayMs is the length of a day whose clocks do not change, in milliseconds.
const dayMs = int64(day / time.Millisecond)

// Between two changes of a zone's clocks the wall clock is UTC plus a constant,
// and there a day is 24 hours. The functions below work inside one such stretch
// and go on in the next one when the answer is not in it. That is exact on
// every day of every zone; time.Date alone is not, since for a time of day that
// is skipped or repeated it does not say which of two instants it returns.

// wall returns the time of day in the policy's zone, in milliseconds since
// its clocks read 00:00.
func (p Policy) wall(at instant.Instant) int64 {
	_, offset := p.in(at).Zone()
	return mod(int64(at)+int64(offset)*1000, dayMs)
}

// in returns at in the policy's zone. It does not use Instant.Time, which
// gives no usable time for the instant zero.
func (p Policy) in(at instant.Instant) time.Time {
	t := time.UnixMilli(int64(at))
	if p.Zone == nil {
		return t.UTC()
	}
	return t.In(p.Zone)
}

// bounds returns the window in milliseconds of the day. A policy that
// Validate refuses because its window is empty has no window: always is true.
func (p Policy) bounds() (from, to int64, always bool) {
	from, to = max(0, p.WindowFrom.Milliseconds()), min(dayMs, p.WindowTo.Milliseconds())
	return from, to, from >= to || to-from == dayMs
}

// Inside reports whether callers may be rung at that instant: WindowFrom is
// inside, WindowTo is not.
func (p Policy) Inside(at instant.Instant) bool {
	from, to, always := p.bounds()
	if always {
		return true
	}
	clock := p.wall(at)
	return clock >= from && clock < to
}

// nextInside returns the earliest instant inside the window that is not
// before at.
func (p Policy) nextInside(at instant.Instant) instant.Instant {
	from, to, always := p.bounds()
	if always {
		return at
	}
	for {
		clock := p.wall(at)
		if clock >= from && clock < to {
			return at
		}
		next := at + instant.Instant(mod(from-clock, dayMs))
		_, end := p.in(at).ZoneBounds()
		if end.IsZero() || next < instant.Of(end) {
			return next
		}
		at = max(instant.Of(end), at+1)
	}
}

// closes returns the earliest instant outside the window that is not before
// at; ok is false when the window is the whole day.
func (p Policy) closes(at instant.Instant) (closed instant.Instant, ok bool) {
	from, to, always := p.bounds()
	if always {
		return 0, false
	}
	for {
		clock := p.wall(at)
		if clock < from || clock >= to {
			return at, true
		}
		next := at + instant.Instant(to-clock)
		_, end := p.in(at).ZoneBounds()
		if end.IsZero() || next < instant.Of(end) {
			return next, true
		}
		at = max(instant.Of(end), at+1)
	}
}

// latestInside returns the latest instant from floor to ceiling (both
// included) at which the window is open and its wall clock is at least margin
// away from WindowTo; ok is false when there is none.
func (p Policy) latestInside(floor, ceiling instant.Instant, margin time.Duration) (latest instant.Instant, ok bool) {
	from, to, always := p.bounds()
	if always {
		return ceiling, ceiling >= floor
	}
	last := max(from, min(to-1, to-margin.Milliseconds()))
	for at := ceiling; at >= floor; {
		clock := p.wall(at)
		if clock >= from && clock <= last {
			return at, true
		}
		previous := at - instant.Instant(mod(clock-last, dayMs))
		start, _ := p.in(at).ZoneBounds()
		if start.IsZero() || previous >= instant.Of(start) {
			return previous, previous >= floor
		}
		at = min(instant.Of(start), at) - 1
	}
	return 0, false
}

// mod is the remainder of a division that rounds down, for times before 1970.
func mod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}

// window writes the window for people.
func (p Policy) window() string {
	clock := func(d time.Duration) string {
		return fmt.Sprintf("%02d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	}
	zone := "UTC"
	if p.Zone != nil {
		zone = p.Zone.String()
	}
	return fmt.Sprintf("from %s to before %s in %s", clock(p.WindowFrom), clock(p.WindowTo), zone)
}

// local writes an instant for people, as the zone's clocks read.
func (p Policy) local(at instant.Instant) string {
	return p.in(at).Format(time.RFC3339)
}
