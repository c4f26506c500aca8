package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// BenchmarkRestart measures from Open to the first answer, with many calls
// waiting and as much finished business as the defaults keep. late says that the
// daemon was away so long that meanwhile every one of them passed its threshold.
func BenchmarkRestart(b *testing.B) {
	for _, c := range []struct {
		waiting, served int
		late            bool
	}{{100_000, 0, false}, {100_000, 100_000, false}, {100_000, 0, true}} {
		b.Run(fmt.Sprintf("waiting=%d,served=%d,late=%v", c.waiting, c.served, c.late), func(b *testing.B) {
			site, dir, clock := benchSite(), benchDir(b), newTestClock()
			e := openSite(b, dir, site, Options{NoSync: true, Now: clock.Now})
			populate(b, e, c.waiting, c.served)
			shut(b, e)
			killed, err := os.ReadFile(filepath.Join(dir, "main.db"))
			if err != nil {
				b.Fatal(err)
			}
			clock.move(2 * time.Second)
			if c.late {
				clock.move(time.Minute)
			}
			runtime.GC()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				writeSite(b, dir, killed)
				b.StartTimer()
				e, err := Open(dir, site, Options{Now: clock.Now})
				if err != nil {
					b.Fatal(err)
				}
				snap, err := e.Snapshot(context.Background())
				if err != nil || snap.Queues[0].Tiers[0].Waiting == 0 {
					b.Fatal(err)
				}
				b.StopTimer()
				shut(b, e)
			}
			b.ReportMetric(float64(len(killed))/1e6, "file-MB")
		})
	}
}

// populate has calls served, then leaves others waiting.
func populate(b testing.TB, e *Engine, waiting, served int) {
	do := func(cmd queue.Command) queue.Result {
		res, err := e.Do(context.Background(), cmd)
		if err != nil {
			b.Error(err)
		}
		return res
	}
	const clients = 256
	for i := range clients {
		id := fmt.Sprint("a", i)
		do(&queue.SignIn{Agent: id, Endpoint: "sip:" + id, Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
		do(&queue.Attach{Agent: id, Owner: "d1", Token: id, Presence: queue.PresentStream})
	}
	each(clients, served, func(i int) { callLife(do, int64(i)) })
	for i := range clients {
		do(&queue.SignOut{Agent: fmt.Sprint("a", i)})
	}
	each(clients, waiting, func(i int) { do(benchArrival(int64(served + i))) })
}

func each(workers, n int, f func(i int)) {
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}

// BenchmarkWaitingMemory reports the heap per waiting call, engine and machine.
func BenchmarkWaitingMemory(b *testing.B) {
	const waiting = 200_000
	site := benchSite()
	for range b.N {
		e := openSite(b, benchDir(b), site, Options{NoSync: true})
		before := heap()
		each(256, waiting, func(i int) {
			cmd := benchArrival(int64(i))
			cmd.Request = queue.Request{}
			if _, err := e.Do(context.Background(), cmd); err != nil {
				b.Error(err)
			}
		})
		b.ReportMetric(float64(heap()-before)/waiting, "B/call")
		shut(b, e)
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func benchArrival(i int64) *queue.Arrive {
	return &queue.Arrive{
		Request: queue.Request{ID: fmt.Sprintf("9f3c-arrive-%d", i), Print: uint64(i)},
		Call:    fmt.Sprintf("sw1-%08x-%d", i*2654435761, i), Switch: "sw1", Caller: tiering.Number(fmt.Sprintf("+86138%08d", i)),
		Dialed: "+864001234567", Tier: tiering.Tiers[i%3],
	}
}
