package prom_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"greenlane/metrics/prom"
	"greenlane/queue"
	"greenlane/tiering"
)

// BenchmarkScrape is one scrape of 200 queues in the text format, without the
// question to the engine.
func BenchmarkScrape(b *testing.B) {
	s := &queue.Snapshot{Site: "main"}
	for i := range 200 {
		q := snapshot().Queues[0]
		q.Name = fmt.Sprintf("queue-%03d", i)
		q.Tiers = nil
		for _, t := range tiering.Tiers {
			tier := snapshot().Queues[0].Tiers[0]
			tier.Tier = t
			for j := range tier.Totals.Waits {
				tier.Totals.Waits[j] = rand.Int64N(1000)
			}
			q.Tiers = append(q.Tiers, tier)
		}
		s.Queues = append(s.Queues, q)
	}
	g := prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: s}})
	b.ReportAllocs()
	for b.Loop() {
		families, err := g.Gather()
		if err != nil {
			b.Fatal(err)
		}
		size := 0
		for _, f := range families {
			n, err := expfmt.MetricFamilyToText(io.Discard, f)
			if err != nil {
				b.Fatal(err)
			}
			size += n
		}
		b.ReportMetric(float64(size), "bytes")
	}
}

// BenchmarkRequest is what counting costs a request.
func BenchmarkRequest(b *testing.B) {
	d, err := prom.NewDaemon(prometheus.NewRegistry(), "v")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.Request("/greenlane.v1.SwitchService/CallArrived", "OK", 123*time.Microsecond)
		}
	})
}
