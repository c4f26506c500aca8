package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	pb "greenlane/proto/greenlane/v1"
)

// figures gathers what a run measures. It is safe for concurrent use.
type figures struct {
	mu sync.Mutex
	// waits are of answered calls, by tier, by the daemon's count.
	waits map[pb.Tier]*hdrhistogram.Histogram
	// arrival is the time from sending an arrival until the softphone has the
	// offer, of calls that found an agent idle; free is the time from an agent's
	// last call being over until the softphone has the next offer, when one waited.
	arrival, free *hdrhistogram.Histogram
	late          int // accepts of offers that were gone
}

// longest is the longest time that histograms tell apart.
const longest = 24 * time.Hour

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func newFigures() *figures {
	f := &figures{waits: make(map[pb.Tier]*hdrhistogram.Histogram), arrival: newHistogram(), free: newHistogram()}
	for t := pb.Tier_TIER_VIP; t <= pb.Tier_TIER_BLACKLIST; t++ {
		f.waits[t] = newHistogram()
	}
	return f
}

// record adds a time to a histogram.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d, 0), longest).Microseconds()) // In range by the line itself.
}

// quantile returns a quantile of a histogram, 0 to 100; 0 when it is empty.
func quantile(h *hdrhistogram.Histogram, q float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(q)) * time.Microsecond
}

// quantiles sums a histogram up.
func quantiles(h *hdrhistogram.Histogram) Quantiles {
	return Quantiles{
		Count: h.TotalCount(), P50: quantile(h, 50), P90: quantile(h, 90), P99: quantile(h, 99),
		Max: time.Duration(h.Max()) * time.Microsecond,
	}
}

func (f *figures) answered(c *pb.Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h := f.waits[c.GetTier()]; h != nil {
		record(h, c.GetWait().AsDuration())
	}
}

// offered measures how an offer came: at once when an agent was idle, or when
// one became free.
func (f *figures) offered(a *agent, h *held) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch h.GetWhy() {
	case "longest_idle":
		// Of a call that was not offered before.
		if c := a.run.callerOf(h.GetCall().GetCallId()); c != nil && h.GetCall().GetOffers() == 1 {
			record(f.arrival, h.at.Sub(c.sent))
		}
	case "next_in_line":
		if h.GetCall() != nil && !a.freed.IsZero() && a.wrapUp == 0 {
			record(f.free, h.at.Sub(a.freed))
		}
	}
}

func (f *figures) tooLate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late++
}
