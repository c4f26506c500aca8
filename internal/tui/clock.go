package tui

import (
	"math/rand/v2"
	"time"
)

// Clock is the daemon's clock, as far as this program can tell: waits and expiries
// are by it, and the clock of an agent's computer may be minutes off.
type Clock struct {
	now    func() time.Time
	offset time.Duration
	told   bool
}

// NewClock returns a clock that agrees with now until the daemon has told its own.
func NewClock(now func() time.Time) *Clock { return &Clock{now: now} }

// Now is the daemon's instant now.
func (c *Clock) Now() time.Time { return c.now().Add(c.offset) }

// Reset begins anew with an instant that the daemon has just told.
func (c *Clock) Reset(at time.Time) { c.offset, c.told = at.Sub(c.now()), true }

// Learn learns from a message that was made at an instant: the one that came
// fastest tells best.
func (c *Clock) Learn(at time.Time) {
	if d := at.Sub(c.now()); !c.told || d > c.offset {
		c.offset, c.told = d, true
	}
}

// Backoff gives delays between tries that grow, each by chance a little different,
// so that a room full of softphones does not come back to a daemon all at once.
type Backoff struct{ tries int }

// The first delay and the longest.
const (
	firstDelay = 250 * time.Millisecond
	lastDelay  = 8 * time.Second
)

// Next is how long to wait before the next try.
func (b *Backoff) Next() time.Duration {
	full := firstDelay
	for range b.tries {
		if full = full * 9 / 5; full >= lastDelay {
			full = lastDelay
			break
		}
	}
	b.tries++
	return full/2 + time.Duration(rand.Int64N(int64(full/2)+1))
}

// Reset begins anew, after something went well.
func (b *Backoff) Reset() { b.tries = 0 }
