package prom

import (
	"math"

	dto "github.com/prometheus/client_model/go"

	"greenlane/queue"
)

// classicBounds are the bounds, in milliseconds, of the classic histogram's
// buckets. All stand in queue.WaitBounds, so that every bucket is exact; 20 s is
// among them for the service level. They are few, since each of them is a line for
// every queue and tier in every scrape; the native histogram is the fine one.
var classicBounds = [...]int64{10_000, 20_000, 30_000, 60_000, 120_000, 300_000}

// The native histogram has 2^schema buckets for each doubling, and one for all
// waits up to zeroThreshold seconds, which are no wait.
const (
	schema        = 2
	zeroThreshold = 0.5
)

// What the tables below say of the engine's fine bucket of a wait.
const toZero = math.MinInt

var (
	upperBounds = func() (out [len(classicBounds)]float64) {
		for i, b := range classicBounds {
			out[i] = float64(b) / 1000
		}
		return out
	}()
	// classicEnd is the first fine bucket that is not below each classic bound.
	classicEnd = func() (out [len(classicBounds)]int) {
		for i, b := range classicBounds {
			for out[i] < len(queue.WaitBounds) && queue.WaitBounds[out[i]] <= b {
				out[i]++
			}
		}
		return out
	}()
	// nativeBucket is the native bucket of each fine one. What lies beyond the
	// last bound, 4096 s, goes into the bucket after it.
	nativeBucket = func() (out [len(queue.WaitBounds) + 1]int) {
		n := -4 // 2^(-4/4) s is the zero threshold
		for i := range out {
			for i < len(queue.WaitBounds) && queue.WaitBounds[i] > int64(math.Floor(1000*math.Exp2(float64(n)/(1<<schema)))) {
				n++
			}
			switch {
			case i == len(queue.WaitBounds):
				out[i] = n + 1
			case n == -4:
				out[i] = toZero
			default:
				out[i] = n
			}
		}
		return out
	}()
)

// waits is one histogram in one piece of memory.
type waits struct {
	metric    dto.Metric
	histogram dto.Histogram
	count     uint64
	sum       float64
	buckets   [len(classicBounds)]dto.Bucket
	counts    [len(classicBounds)]uint64
	list      [len(classicBounds)]*dto.Bucket
	zero      uint64
}

var (
	nativeSchema  = int32(schema)
	nativeNothing = zeroThreshold
)

// histogram returns the waits of answered calls as a histogram of both kinds: a
// scraper that asks for the text format gets the classic one.
func histogram(t *queue.Totals, labels []*dto.LabelPair) *dto.Metric {
	w := new(waits)
	fine := 0
	for i := range w.buckets {
		for ; fine < classicEnd[i]; fine++ {
			w.count += uint64(t.Waits[fine])
		}
		w.counts[i] = w.count
		b := &w.buckets[i]
		b.UpperBound, b.CumulativeCount = &upperBounds[i], &w.counts[i]
		w.list[i] = b
	}
	for ; fine < len(t.Waits); fine++ {
		w.count += uint64(t.Waits[fine])
	}
	w.sum = float64(t.Counts.AnsweredWait) / 1000
	h := &w.histogram
	h.SampleCount, h.SampleSum, h.Bucket = &w.count, &w.sum, w.list[:]
	h.Schema, h.ZeroThreshold, h.ZeroCount = &nativeSchema, &nativeNothing, &w.zero
	h.PositiveSpan, h.PositiveDelta = native(&t.Waits, &w.zero)
	w.metric.Label, w.metric.Histogram = labels, h
	return &w.metric
}

// native returns the sparse buckets: runs of neighbours, and each count as its
// difference from the one before.
func native(counts *[len(queue.WaitBounds) + 1]int64, zero *uint64) (spans []*dto.BucketSpan, deltas []int64) {
	end, before := 0, int64(0) // the first bucket that is not written yet, the last count written
	for i := 0; i < len(counts); {
		bucket, n := nativeBucket[i], int64(0)
		for ; i < len(counts) && nativeBucket[i] == bucket; i++ {
			n += counts[i]
		}
		switch {
		case bucket == toZero:
			*zero = uint64(n)
			continue
		case n == 0:
			continue
		}
		if len(spans) > 0 && bucket == end {
			*spans[len(spans)-1].Length++
		} else {
			offset, length := int32(bucket-end), uint32(1)
			spans = append(spans, &dto.BucketSpan{Offset: &offset, Length: &length})
		}
		deltas = append(deltas, n-before)
		end, before = bucket+1, n
	}
	return spans, deltas
}
