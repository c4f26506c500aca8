package redisq_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

// longestGap is how long nothing may be acknowledged at a failover.
const longestGap = 5 * time.Second

// failoversOf is how many failovers the test makes, and the Sentinels' down-after:
// GREENLANE_FAILOVERS and GREENLANE_DOWN_AFTER. One failover is part of every run
// (TestFailover); this one measures many.
func failoversOf(t *testing.T) (n int, downAfter time.Duration) {
	t.Helper()
	downAfter = time.Second
	if s := os.Getenv("GREENLANE_DOWN_AFTER"); s != "" {
		var err error
		if downAfter, err = time.ParseDuration(s); err != nil {
			t.Fatalf("GREENLANE_DOWN_AFTER: %v", err)
		}
	}
	s := os.Getenv("GREENLANE_FAILOVERS")
	if s == "" {
		t.Skip("a measurement: set GREENLANE_FAILOVERS to the number of failovers")
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("GREENLANE_FAILOVERS: %q must be a whole number above 0", s)
	}
	return n, downAfter
}

// arrivals sends some hundred calls a second, and keeps which were acknowledged.
type arrivals struct {
	e     *redisq.Engine
	next  atomic.Int64
	over  chan struct{}
	mu    sync.Mutex
	acked map[string]uint64 // call -> its place
	last  time.Time         // the last acknowledgement
	gap   time.Duration     // the longest time between two
	got   chan struct{}     // one for each acknowledgement, when somebody waits
	why   atomic.Value      // the last error
}

// send sends calls until over is closed. What is not acknowledged is given up:
// it may be there, or not.
func (a *arrivals) send(t *testing.T) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-a.over:
			return
		case <-tick.C:
		}
		call := fmt.Sprint("c", a.next.Add(1))
		res, err := a.e.Do(ctxOf(t), &queue.Arrive{
			Request: queue.Request{ID: call, Print: 1}, Call: call, Switch: "s1", Tier: tiering.Ordinary,
		})
		if err != nil {
			if !errors.Is(err, queue.ErrUnavailable) {
				t.Error(err)
				return
			}
			a.why.Store(err.Error())
			continue
		}
		a.mu.Lock()
		now := time.Now()
		a.acked[call], a.gap, a.last = res.Call.Seq, max(a.gap, now.Sub(a.last)), now
		a.mu.Unlock()
		select {
		case a.got <- struct{}{}:
		default:
		}
	}
}

// await waits for n more acknowledgements.
func (a *arrivals) await(t *testing.T, n int) {
	t.Helper()
	for ctx := ctxOf(t); n > 0; n-- {
		select {
		case <-a.got:
		case <-ctx.Done():
			t.Fatalf("nothing is acknowledged any more: %v", a.why.Load())
		}
	}
}

func (a *arrivals) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last, a.gap = time.Now(), 0
}

func (a *arrivals) longest() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gap
}

// check compares what was acknowledged with what is there, and returns how much
// that was.
func (a *arrivals) check(t *testing.T) int {
	t.Helper()
	places := map[uint64]string{}
	for call, seq := range a.acked {
		if now := callOf(t, a.e, call).Call.Seq; now != seq {
			t.Errorf("acknowledged and lost: %s had place %d, and has %d", call, seq, now)
		}
		if places[seq] != "" {
			t.Errorf("%s and %s have place %d", call, places[seq], seq)
		}
		places[seq] = call
	}
	return len(a.acked)
}

// TestFailovers kills (-9) the master under Sentinel while calls arrive, again
// and again: how long nothing is acknowledged, and that nothing is lost that was,
// with WAIT 1.
func TestFailovers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds for each failover")
	}
	n, downAfter := failoversOf(t)
	s := redistest.StartSentinel(t, redistest.SentinelOptions{Replicas: 2, DownAfter: downAfter, Server: redistest.Options{AOF: true}})
	a := &arrivals{acked: map[string]uint64{}, over: make(chan struct{}), got: make(chan struct{})}
	a.e = open(t, s.Client(), redisq.Options{MinReplicas: 1, Timeout: time.Second}, func(site *queue.Site) {
		site.Queues[0].Capacity = 10_000_000
	})
	var sending sync.WaitGroup
	for range 4 {
		sending.Go(func() { a.send(t) })
	}
	stop := sync.OnceFunc(func() { close(a.over); sending.Wait() })
	defer stop()
	var gaps []time.Duration
	for i := range n {
		a.await(t, 200)
		old := s.Master()
		a.begin()
		old.Kill()
		s.AwaitFailover(old)
		a.await(t, 200)
		gaps = append(gaps, a.longest())
		t.Logf("failover %d: nothing was acknowledged for %v", i+1, a.longest().Round(time.Millisecond))
		old.Restart()
		s.AwaitReplicas(2)
	}
	stop()
	acked := a.check(t)
	slices.Sort(gaps)
	t.Logf("%d failovers, %d calls acknowledged; gaps: median %v, longest %v", n, acked, gaps[n/2], gaps[n-1])
	if longest := gaps[n-1]; longest > longestGap {
		t.Errorf("nothing was acknowledged for %v", longest)
	}
}
