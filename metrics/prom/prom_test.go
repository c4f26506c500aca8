package prom_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"greenlane/callback"
	"greenlane/metrics/prom"
	"greenlane/queue"
	"greenlane/tiering"
)

var update = flag.Bool("update", false, "rewrite testdata")

type fixed struct {
	snap *queue.Snapshot
	err  error
}

func (f fixed) Statistics(context.Context) (*queue.Snapshot, error) { return f.snap, f.err }

func waits(seconds ...float64) (n [len(queue.WaitBounds) + 1]int64) {
	for _, s := range seconds {
		n[queue.WaitBucket(time.Duration(s*float64(time.Second)))]++
	}
	return n
}

func snapshot() *queue.Snapshot {
	mid := queue.TierSnapshot{
		Tier: tiering.Mid, Waiting: 3, LateWaiting: 1, OldestWait: 21500 * time.Millisecond, Target: 0.85,
		Today: queue.Counts{AnsweredInTime: 3, AnsweredLate: 1},
	}
	mid.Totals = queue.Totals{
		Counts: queue.Counts{
			AnsweredInTime: 7, AnsweredLate: 2, AbandonedShort: 1, AbandonedInTime: 2, AbandonedLate: 3, TimedOut: 4, Overflowed: 5,
			Refused: 6, AnsweredWait: 90_500, AbandonedWait: 12_000,
		},
		Joined: 30, Completed: 8, Late: 9, Offers: 11, Talk: 300_000,
		Waits: waits(0.2, 0.5, 0.9, 1, 20, 20, 20, 20.001, 7200),
	}
	return &queue.Snapshot{
		Site: "main", Seq: 99, GreenChannelViolations: 0,
		Queues: []queue.QueueSnapshot{{
			Name: "billing", Open: true, Threshold: 20 * time.Second, Capacity: 50, Idle: 1, CallbacksWaiting: 2,
			Agents: map[queue.AgentState]int{queue.AgentReady: 2, queue.AgentTalking: 1}, Tiers: []queue.TierSnapshot{mid, {Tier: tiering.Blacklist}},
		}},
		AgentStates: map[queue.AgentState]int{queue.AgentReady: 2, queue.AgentTalking: 1},
		Callbacks: queue.CallbackSnapshot{
			ByState: map[callback.State]int{callback.StatePending: 4}, NextDue: 1_700_000_000_500, NextDeadline: 1_700_000_100_000,
			Totals: queue.CallbackTotals{Created: 10, Reached: 3, Refused: 1, Failed: 1, Missed: 1, Cancelled: 0, Attempts: 8},
		},
	}
}

func mainSite() *prom.Sites {
	return prom.NewSites(time.Second, nil, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}})
}

// everything is all that a daemon exports.
func everything(t *testing.T) prometheus.Gatherer {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	d, err := prom.NewDaemon(reg, "v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		d.Open("session", func() int64 { return 1 }), d.Open("poll", func() int64 { return 2 }),
		d.Tiers(func() prom.Tiers { return prom.Tiers{Down: true, Failed: 3} }),
		d.Feed("main", func() prom.Feed { return prom.Feed{Lag: 1, Subscribers: 2, CutOff: 3} }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.Request("/greenlane.v1.SwitchService/CallArrived", "OK", time.Millisecond)
	d.Request("/greenlane.v1.AgentService/NextCall", "OK", -1)
	d.Commits("main")(3, time.Microsecond, time.Millisecond)
	d.RoundTrips("main")("arrive", time.Millisecond, nil)
	d.RoundTrips("main")("arrive", time.Second, errors.New("away"))
	d.Lookup("known", time.Microsecond)
	return prom.Gatherers{reg, mainSite()}
}

func text(t *testing.T, g prometheus.Gatherer, keep func(name string) bool) string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, f := range families {
		if keep(f.GetName()) {
			if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.String()
}

// TestSiteFigures: what a site exports, to be read.
func TestSiteFigures(t *testing.T) {
	const file = "testdata/site.prom"
	got := text(t, mainSite(), func(string) bool { return true })
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("exported:\n%s", got)
	}
}

// TestConventions lets the real promtool check names, units, help and order of
// everything that is exported.
func TestConventions(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here: .ci/need prometheus")
	}
	all := text(t, everything(t), func(string) bool { return true })
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(all)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	for _, want := range []string{
		`greenlaned_store_round_trip_duration_seconds_count{command="arrive",result="error",site="main"} 1`,
		`greenlaned_request_duration_seconds_count{code="OK",method="/greenlane.v1.SwitchService/CallArrived"} 1`,
		`greenlaned_event_lag_events{site="main"} 1`, `greenlaned_event_subscribers_cut_off_total{site="main"} 3`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(all, `greenlaned_request_duration_seconds_count{code="OK",method="/greenlane.v1.AgentService/NextCall"}`) {
		t.Error("a long poll's duration was observed")
	}
}

// TestSeriesAreInOrder checks what a registry would: no series twice, labels and
// names in order, the series of one metric with the same labels.
func TestSeriesAreInOrder(t *testing.T) {
	two := snapshot()
	two.Queues = append(two.Queues, two.Queues[0])
	two.Queues[1].Name = "orders"
	g := prom.Gatherers{everything(t), prom.NewSites(time.Second, nil, prom.Source{Site: "east", Engine: fixed{snap: two}})}[1]
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	metrics := map[string]bool{}
	for _, f := range families {
		if metrics[f.GetName()] {
			t.Errorf("%s comes twice", f.GetName())
		}
		metrics[f.GetName()] = true
		series, names := map[string]bool{}, ""
		for _, m := range f.GetMetric() {
			if !slices.IsSortedFunc(m.GetLabel(), func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) }) {
				t.Errorf("%s: labels %v", f.GetName(), m.GetLabel())
			}
			var key, has strings.Builder
			for _, l := range m.GetLabel() {
				key.WriteString(l.GetName() + "=" + l.GetValue() + ",")
				has.WriteString(l.GetName() + ",")
			}
			if names != "" && has.String() != names {
				t.Errorf("%s has series with the labels %s and with %s", f.GetName(), names, has.String())
			}
			names = has.String()
			if series[key.String()] {
				t.Errorf("%s{%s} comes twice", f.GetName(), key.String())
			}
			series[key.String()] = true
		}
	}
	all, err := everything(t).Gather()
	if err != nil || !slices.IsSortedFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) }) {
		t.Errorf("not by name, %v", err)
	}
}

// TestASiteThatDoesNotAnswerIsLeftOut: the others are scraped, and the gap is
// counted.
func TestASiteThatDoesNotAnswerIsLeftOut(t *testing.T) {
	s := prom.NewSites(time.Second, nil,
		prom.Source{Site: "dead", Engine: fixed{err: errors.New("away")}}, prom.Source{Site: "main", Engine: fixed{snap: snapshot()}})
	got := text(t, s, func(name string) bool {
		return name == "greenlaned_scrape_errors_total" || name == "greenlane_events_total"
	})
	want := `# HELP greenlaned_scrape_errors_total Scrapes in which the site's engine did not answer, so that its figures are missing.
# TYPE greenlaned_scrape_errors_total counter
greenlaned_scrape_errors_total{site="dead"} 1
greenlaned_scrape_errors_total{site="main"} 0
# HELP greenlane_events_total Events written to the site's log.
# TYPE greenlane_events_total counter
greenlane_events_total{site="main"} 99
`
	if got != want {
		t.Errorf("exported:\n%s", got)
	}
}

// TestWhatCannotBeGathered: the rest is exported with the error.
func TestWhatCannotBeGathered(t *testing.T) {
	broken := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, errors.New("broken") })
	families, err := prom.Gatherers{broken, mainSite()}.Gather()
	if err == nil || err.Error() != "broken" || len(families) == 0 {
		t.Errorf("%d families, %v", len(families), err)
	}
}
