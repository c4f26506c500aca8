package prom_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"greenlane/metrics/prom"
	"greenlane/queue"
	"greenlane/tiering"
)

func histogramOf(t *testing.T, totals queue.Totals) *dto.Histogram {
	t.Helper()
	snap := &queue.Snapshot{Site: "main", Queues: []queue.QueueSnapshot{{
		Name: "billing", Tiers: []queue.TierSnapshot{{Tier: tiering.VIP, Totals: totals}},
	}}}
	families, err := prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: snap}}).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "greenlane_wait_seconds" {
			return f.GetMetric()[0].GetHistogram()
		}
	}
	t.Fatal("no histogram")
	return nil
}

// TestTheHistogramHasTwentySecondsExactly: 20.000 s is in its bucket, 20.001 s is
// not.
func TestTheHistogramHasTwentySecondsExactly(t *testing.T) {
	h := histogramOf(t, queue.Totals{Waits: waits(1, 19.999, 20, 20.001, 21), Counts: queue.Counts{AnsweredWait: 82_000}})
	if h.GetSampleCount() != 5 || h.GetSampleSum() != 82 {
		t.Errorf("%d waits of %v s", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range h.GetBucket() {
		if b.GetUpperBound() == 20 {
			if b.GetCumulativeCount() != 3 {
				t.Errorf("%d up to 20 s", b.GetCumulativeCount())
			}
			return
		}
	}
	t.Error("no bucket at exactly 20 s")
}

// TestNativeAndClassicAgreeWithThePrometheusLibrary: the same waits, observed
// one by one by client_golang's own histogram, give the same buckets of both
// kinds.
func TestNativeAndClassicAgreeWithThePrometheusLibrary(t *testing.T) {
	var bounds []float64
	for _, b := range histogramOf(t, queue.Totals{}).GetBucket() {
		bounds = append(bounds, b.GetUpperBound())
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		oracle := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "x", Buckets: bounds, NativeHistogramBucketFactor: 1.2, NativeHistogramZeroThreshold: 0.5,
		})
		var totals queue.Totals
		for range round * round {
			// Milliseconds from nothing to the last bound that is told apart, on a
			// logarithmic scale, the bounds themselves among them.
			ms := int64(math.Exp(random.Float64() * math.Log(4_096_000)))
			if random.IntN(4) == 0 {
				ms = queue.WaitBounds[random.IntN(len(queue.WaitBounds))] + random.Int64N(2)
			}
			ms = min(ms, 4_096_000)
			totals.Waits[queue.WaitBucket(time.Duration(ms)*time.Millisecond)]++
			totals.Counts.AnsweredWait += ms
			oracle.Observe(float64(ms) / 1000)
		}
		var m dto.Metric
		if err := oracle.Write(&m); err != nil {
			t.Fatal(err)
		}
		got, want := histogramOf(t, totals), m.GetHistogram()
		if got.GetSchema() != want.GetSchema() || got.GetZeroThreshold() != want.GetZeroThreshold() || got.GetZeroCount() != want.GetZeroCount() {
			t.Fatalf("schema %d, zero %d; want %d, %d", got.GetSchema(), got.GetZeroCount(), want.GetSchema(), want.GetZeroCount())
		}
		equalCounts(t, buckets(got), buckets(want))
		for i, b := range want.GetBucket() {
			if g := got.GetBucket()[i]; g.GetCumulativeCount() != b.GetCumulativeCount() || g.GetUpperBound() != b.GetUpperBound() {
				t.Fatalf("classic bucket %v; want %v", g, b)
			}
		}
	}
}

// TestBeyondTheLastBound: a wait of many hours is counted, in the bucket after
// the last one that is told apart.
func TestBeyondTheLastBound(t *testing.T) {
	h := histogramOf(t, queue.Totals{Waits: waits(4096, 4097, 36_000)})
	equalCounts(t, buckets(h), map[int]int64{48: 1, 49: 2})
	if h.GetSampleCount() != 3 {
		t.Errorf("%d waits", h.GetSampleCount())
	}
}

// buckets reads a native histogram's sparse form.
func buckets(h *dto.Histogram) map[int]int64 {
	out := map[int]int64{}
	at, count, d := 0, int64(0), 0
	for _, s := range h.GetPositiveSpan() {
		at += int(s.GetOffset())
		for range s.GetLength() {
			count += h.GetPositiveDelta()[d]
			d++
			if count != 0 {
				out[at] = count
			}
			at++
		}
	}
	return out
}

func equalCounts(t *testing.T, got, want map[int]int64) {
	t.Helper()
	for i := range 64 {
		if got[i-10] != want[i-10] {
			t.Fatalf("native bucket %d has %d; want %d", i-10, got[i-10], want[i-10])
		}
	}
}
