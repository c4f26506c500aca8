package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapSlack is how much a daemon may allocate between two collections, however
// little of it lives. With the runtime's own rule a small daemon under load
// collects many times a second, and each time calls wait for processor time.
const heapSlack = 128 << 20

// usualGC is the runtime's own rule: a collection when the heap has doubled.
const usualGC = 100

// heapTuner sets the collector's percentage after each collection, so that the
// heap grows by heapSlack or by what lives, whichever is more.
type heapTuner struct {
	percent int
	live    []metrics.Sample
}

// TuneHeap has the process collect less often than the runtime's own rule says.
// Operators go first: with GOGC in the environment it does nothing, and a
// GOMEMLIMIT makes for more collections, as always. It is for a daemon's main,
// since it concerns the whole process.
func TuneHeap() {
	if os.Getenv("GOGC") != "" {
		return
	}
	t := &heapTuner{percent: usualGC, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	t.adjust()
	t.watch()
}

// watch has adjust called after the next collection, which finds the mark that
// nothing holds.
func (t *heapTuner) watch() {
	type mark struct{ _ *byte }
	runtime.AddCleanup(&mark{}, func(t *heapTuner) {
		t.adjust()
		t.watch()
	}, t)
}

func (t *heapTuner) adjust() {
	metrics.Read(t.live)
	percent := gcPercent(t.live[0].Value.Uint64())
	if percent != t.percent {
		debug.SetGCPercent(percent)
		t.percent = percent
	}
}

// gcPercent returns by how much of what lives the heap may grow, in percent; in
// steps of a tenth, since setting it stops the world for a moment.
func gcPercent(live uint64) int {
	if live == 0 {
		live = 4 << 20 // the runtime's smallest heap
	}
	percent := int(min(heapSlack*100/live, 100*usualGC))
	return max(usualGC, percent-percent%max(1, percent/10))
}
