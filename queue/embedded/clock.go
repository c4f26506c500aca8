package embedded

import (
	"sync"
	"time"

	"greenlane/internal/instant"
)

// clock turns a wall clock that people and NTP may set back into one that never
// runs back and never stands still: when the wall clock falls behind, time goes
// on at the pace of the monotonic clock until the wall clock has caught up. A
// clock that stood still instead would stop every timer meanwhile.
type clock struct {
	now func() time.Time

	mu   sync.Mutex
	read time.Time     // the last reading of now
	at   time.Duration // what it meant, since the Unix epoch
}

// newClock returns a clock that starts no earlier than floor.
func newClock(now func() time.Time, floor instant.Instant) *clock {
	c := &clock{now: now, read: now()}
	c.at = max(sinceEpoch(c.read), time.Duration(floor)*time.Millisecond)
	return c
}

// Now returns the instant.
func (c *clock) Now() instant.Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.now()
	// Sub uses the monotonic reading where there is one.
	c.at = max(c.at+max(0, t.Sub(c.read)), sinceEpoch(t))
	c.read = t
	return instant.Instant(c.at / time.Millisecond)
}

func sinceEpoch(t time.Time) time.Duration { return time.Duration(t.UnixNano()) }
