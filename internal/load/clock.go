package load

import (
	"context"
	"sync/atomic"
	"time"
)

// clock is the day's time: it begins at a time of the day and runs speed times
// as fast as real time.
type clock struct {
	began atomic.Pointer[time.Time] // real; nil before start
	from  time.Duration             // of the day
	speed float64
}

func newClock(from time.Duration, speed float64) *clock { return &clock{from: from, speed: speed} }

// start lets the day begin now.
func (c *clock) start() {
	now := time.Now()
	c.began.Store(&now)
}

// real returns how long a span of the day takes.
func (c *clock) real(span time.Duration) time.Duration {
	return time.Duration(float64(span) / c.speed)
}

// virtual returns how much of the day passes in a real span.
func (c *clock) virtual(span time.Duration) time.Duration {
	return time.Duration(float64(span) * c.speed)
}

// now returns the time of the day; its beginning before start.
func (c *clock) now() time.Duration {
	began := c.began.Load()
	if began == nil {
		return c.from
	}
	return c.from + c.virtual(time.Since(*began))
}

// sleepUntil waits for a time of the day. It returns false when ctx ended first.
func (c *clock) sleepUntil(ctx context.Context, t time.Duration) bool {
	return sleep(ctx, c.real(t-c.now()))
}

// sleep waits for a span of the day. It returns false when ctx ended first.
func (c *clock) sleep(ctx context.Context, span time.Duration) bool {
	return sleep(ctx, c.real(span))
}

// sleep waits for a real span. It returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
