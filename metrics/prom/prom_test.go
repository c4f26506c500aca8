package prom_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"greenlane/callback"
	"greenlane/metrics/prom"
	"greenlane/queue"
	"greenlane/tiering"
)

type fixed struct {
	snap *queue.Snapshot
	err  error
}

func (f fixed) Snapshot(context.Context) (*queue.Snapshot, error) { return f.snap, f.err }

func snapshot() *queue.Snapshot {
	mid := queue.TierSnapshot{Tier: tiering.Mid, Waiting: 3, LateWaiting: 1, OldestWait: 21500 * time.Millisecond, Target: 0.85}
	mid.Totals = queue.Totals{
		Counts: queue.Counts{
			AnsweredInTime: 7, AnsweredLate: 2, AbandonedShort: 1, AbandonedInTime: 2, AbandonedLate: 3, TimedOut: 4, Overflowed: 5,
			Refused: 6, AnsweredWait: 90_500, AbandonedWait: 12_000,
		},
		Joined: 30, Completed: 8, Late: 9, Offers: 11, Talk: 300_000,
	}
	mid.Totals.Waits[0] = 4                     // up to 1 s
	mid.Totals.Waits[5] = 3                     // up to 20 s
	mid.Totals.Waits[len(queue.WaitBounds)] = 2 // beyond 10 min
	return &queue.Snapshot{
		Site: "main", Seq: 99, GreenChannelViolations: 0,
		Queues: []queue.QueueSnapshot{{
			Name: "billing", Open: true, Threshold: 20 * time.Second, Capacity: 50, Idle: 1, CallbacksWaiting: 2,
			Agents: map[queue.AgentState]int{queue.AgentReady: 2, queue.AgentTalking: 1}, Tiers: []queue.TierSnapshot{mid},
		}},
		Agents: []queue.Agent{{ID: "a", State: queue.AgentReady}, {ID: "b", State: queue.AgentReady}, {ID: "c", State: queue.AgentTalking}},
		Callbacks: queue.CallbackSnapshot{
			ByState: map[callback.State]int{callback.StatePending: 4}, NextDue: 1_700_000_000_500, NextDeadline: 1_700_000_100_000,
			Totals: queue.CallbackTotals{Created: 10, Reached: 3, Refused: 1, Failed: 1, Missed: 1, Cancelled: 0, Attempts: 8},
		},
	}
}

func TestSiteFigures(t *testing.T) {
	want, err := os.ReadFile("testdata/site.prom")
	if err != nil {
		t.Fatal(err)
	}
	c := prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}})
	if err := testutil.CollectAndCompare(c, strings.NewReader(string(want))); err != nil {
		t.Error(err)
	}
}

// TestConventions runs the checks of promtool over everything that is exported.
func TestConventions(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	d, err := prom.NewDaemon(reg, "v1")
	if err != nil {
		t.Fatal(err)
	}
	reg.MustRegister(prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}}))
	if err := d.Open(reg, "session", func() int64 { return 1 }); err != nil {
		t.Fatal(err)
	}
	if err := d.Tiers(reg, func() prom.Tiers { return prom.Tiers{Down: true} }); err != nil {
		t.Fatal(err)
	}
	d.Request("/greenlane.v1.SwitchService/CallArrived", "OK", time.Millisecond)
	d.Request("/greenlane.v1.AgentService/NextCall", "OK", -1)
	d.Commits("main")(3, time.Microsecond, time.Millisecond)
	d.Lookup("known", time.Microsecond)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "greenlane_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "greenlane_daemon_request_duration_seconds" && len(f.GetMetric()) != 1 {
			t.Errorf("a long poll's duration was observed: %v", f)
		}
	}
}

func TestTheHistogramHasTwentySecondsExactly(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}}))
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "greenlane_answered_wait_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		for _, b := range h.GetBucket() {
			if b.GetUpperBound() == 20 {
				if b.GetCumulativeCount() != 7 || h.GetSampleCount() != 9 || h.GetSampleSum() != 90.5 {
					t.Errorf("%v", h)
				}
				return
			}
		}
	}
	t.Error("no bucket at exactly 20 s")
}

// TestASiteThatDoesNotAnswerIsLeftOut: the others are scraped, and the gap is
// counted.
func TestASiteThatDoesNotAnswerIsLeftOut(t *testing.T) {
	c := prom.NewSites(time.Second, nil,
		prom.Source{Site: "dead", Engine: fixed{err: errors.New("away")}}, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}})
	want := `
# HELP greenlane_daemon_scrape_errors_total Scrapes in which the site's engine did not answer, so that its figures are missing.
# TYPE greenlane_daemon_scrape_errors_total counter
greenlane_daemon_scrape_errors_total{site="dead"} 1
greenlane_daemon_scrape_errors_total{site="main"} 0
# HELP greenlane_events_total Events written to the site's log.
# TYPE greenlane_events_total counter
greenlane_events_total{site="main"} 99
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "greenlane_daemon_scrape_errors_total", "greenlane_events_total"); err != nil {
		t.Error(err)
	}
}

// BenchmarkScrape is one scrape of 200 queues and 10,000 agents.
func BenchmarkScrape(b *testing.B) {
	s := &queue.Snapshot{Site: "main", Agents: make([]queue.Agent, 10_000)}
	for i := range s.Agents {
		s.Agents[i] = queue.Agent{ID: fmt.Sprint("agent", i), State: queue.AgentReady + queue.AgentState(i%5)}
	}
	for i := range 200 {
		q := snapshot().Queues[0]
		q.Name = fmt.Sprint("queue", i)
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
	reg := prometheus.NewRegistry()
	reg.MustRegister(prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: s}}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reg.Gather(); err != nil {
			b.Fatal(err)
		}
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
