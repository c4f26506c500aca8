package redisq

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"greenlane/internal/redistest"
)

// TestClockOffset: a clock that is ahead or behind is told by how much, once when that
// begins and once when it is over.
func TestClockOffset(t *testing.T) {
	var by time.Duration
	var log bytes.Buffer
	e := &Engine{client: redistest.Start(t, redistest.Options{}).Client(), opts: Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return time.Now().Add(by) },
	}}
	for _, by = range []time.Duration{0, time.Hour, 2 * time.Hour, 0, 0, -time.Hour, 0} {
		if err := e.compareClocks(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := e.ClockOffset(); (got - by).Abs() > ClockWarn {
			t.Errorf("%v is told as %v", by, got)
		}
	}
	for _, what := range []string{"clock is not Redis's", "clock is Redis's again"} {
		if n := strings.Count(log.String(), what); n != 2 {
			t.Errorf("%q is said %d times in\n%s", what, n, log.String())
		}
	}
}
