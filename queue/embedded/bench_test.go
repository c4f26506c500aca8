package embedded

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/queue"
)

// benchDir is a directory on the disk that the figures are about: the one
// GREENLANE_BENCH_DIR names, else the test's own.
func benchDir(b *testing.B) string {
	if root := os.Getenv("GREENLANE_BENCH_DIR"); root != "" {
		dir, err := os.MkdirTemp(root, "bench")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return b.TempDir()
}

// BenchmarkDo measures commands/s with clients that each wait for the answer:
// a call arrives, an agent accepts what it is offered, the call is completed.
func BenchmarkDo(b *testing.B) {
	for _, clients := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchDo(b, clients, Options{}) })
	}
	b.Run("clients=64,nosync", func(b *testing.B) { benchDo(b, 64, Options{NoSync: true}) })
}

func benchDo(b *testing.B, clients int, opts Options) {
	var batches, batched, decided, committed atomic.Int64
	opts.Observe = func(n int, decide, commit time.Duration) {
		batches.Add(1)
		batched.Add(int64(n))
		decided.Add(int64(decide))
		committed.Add(int64(commit))
	}
	e, err := Open(benchDir(b), benchSite(), opts)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	defer e.Close(ctx)
	do := func(cmd queue.Command) queue.Result {
		res, err := e.Do(ctx, cmd)
		if err != nil {
			b.Error(err)
		}
		return res
	}
	for i := range clients {
		id := fmt.Sprintf("a%d", i)
		do(&queue.SignIn{Agent: id, Endpoint: "sip:" + id, Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
		do(&queue.Attach{Agent: id, Owner: "d1", Token: id, Presence: queue.PresentStream})
	}
	batches.Store(0)
	batched.Store(0)
	decided.Store(0)
	committed.Store(0)
	before := pageBytes(e)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N)/3; i = next.Add(1) {
				callLife(do, i)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.ReportMetric(float64(batched.Load())/float64(batches.Load()), "commands/commit")
	b.ReportMetric(float64(decided.Load())/float64(b.N)/1e3, "decide-us/op")
	b.ReportMetric(float64(committed.Load())/float64(batches.Load())/1e3, "us/commit")
	b.ReportMetric(float64(pageBytes(e)-before)/float64(b.N), "page-B/op")
	b.ReportMetric(0, "ns/op")
}

// benchSite keeps its agents without a daemon that renews their lease.
func benchSite() queue.Site {
	site := queue.DefaultSite("main")
	site.OwnerLease = time.Hour
	return site
}

// callLife is one caller served: three commands, each with a request id.
func callLife(do func(queue.Command) queue.Result, i int64) {
	call := do(benchArrival(i)).Call
	if call == nil || call.Offer == 0 {
		return // every agent is busy
	}
	call = do(&queue.Accept{Request: queue.Request{ID: fmt.Sprintf("9f3c-accept-%d", i)}, Offer: call.Offer}).Call
	if call != nil {
		do(&queue.Complete{Request: queue.Request{ID: fmt.Sprintf("9f3c-done-%d", i)}, Agent: call.Agent, Call: call.ID})
	}
}

func pageBytes(e *Engine) int64 {
	stats := e.store.db.Stats()
	return stats.TxStats.GetPageAlloc()
}
