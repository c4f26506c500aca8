package metrics_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/metrics"
	"greenlane/queue"
	"greenlane/tiering"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		inTime, late int64
		target       float64
		want         metrics.Verdict
		spare        int64
	}{
		{9, 1, 0.9, metrics.Met, 0}, // exactly the target
		{89, 11, 0.9, metrics.Missed, -10},
		{90, 10, 0.9, metrics.Met, 0},
		{91, 9, 0.9, metrics.Met, 1},
		{17, 3, 0.85, metrics.Met, 0},
		{100, 0, 0.85, metrics.Met, 17}, // 100 of 117 is 85.47 %, of 118 84.7 %
		{0, 1, 0.85, metrics.Missed, -6},
		{1, 0, 1, metrics.Met, 0},
		{1, 1, 1, metrics.Missed, -1},
		{5, 5, 0, metrics.NotJudged, 0}, // the blacklist
		{0, 0, 0.9, metrics.NotJudged, 0},
	} {
		n := queue.Counts{AnsweredInTime: c.inTime, AnsweredLate: c.late}
		if got := metrics.Judge(metrics.Headline, &n, c.target); got != c.want {
			t.Errorf("%d in time, %d late, target %v: %s, want %s", c.inTime, c.late, c.target, got, c.want)
		}
		if spare, ok := metrics.Spare(metrics.Headline, &n, c.target); ok != (c.want != metrics.NotJudged) || spare != c.spare {
			t.Errorf("%d in time, %d late, target %v: %d spare, %v; want %d", c.inTime, c.late, c.target, spare, ok, c.spare)
		}
	}
}

// TestSpareIsTheEdge: with all spare misses the target is still met, with one
// more it is not; and with all lacking answers it is met, with one less it is not.
func TestSpareIsTheEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 2000)
		c := queue.Counts{AnsweredInTime: n.Draw(t, "in time"), AnsweredLate: n.Draw(t, "late"), AbandonedLate: n.Draw(t, "abandoned")}
		target := float64(rapid.IntRange(1, 99).Draw(t, "percent")) / 100
		spare, ok := metrics.Spare(metrics.Headline, &c, target)
		if !ok {
			return
		}
		met := func(more int64, inTime bool) bool {
			k := c
			if inTime {
				k.AnsweredInTime += more
			} else {
				k.AnsweredLate += more
			}
			return metrics.Judge(metrics.Headline, &k, target) == metrics.Met
		}
		if spare >= 0 && (!met(spare, false) || met(spare+1, false)) {
			t.Fatalf("%+v, target %v: %d misses to spare is not the edge", c, target, spare)
		}
		if spare < 0 && (!met(-spare, true) || met(-spare-1, true)) {
			t.Fatalf("%+v, target %v: %d answers lacking is not the edge", c, target, -spare)
		}
	})
}

func TestTheBlacklistIsOutsideTheTarget(t *testing.T) {
	tiers := []queue.TierSnapshot{
		{Tier: tiering.VIP, Target: 0.9, Today: queue.Counts{AnsweredInTime: 9, AnsweredLate: 1}},
		{Tier: tiering.Mid, Target: 0.85, Today: queue.Counts{AnsweredInTime: 8, AbandonedLate: 2}},
		{Tier: tiering.Blacklist, Today: queue.Counts{AbandonedLate: 50}},
	}
	got := metrics.Judged(tiers, func(t *queue.TierSnapshot) *queue.Counts { return &t.Today })
	if level, _ := metrics.ServiceLevel(metrics.Headline, &got); level != 0.85 {
		t.Errorf("service level %v of %+v, want 0.85", level, got)
	}
}

func TestOccupancy(t *testing.T) {
	var a metrics.AgentTime
	for s, d := range map[queue.AgentState]time.Duration{
		queue.AgentReady: 2 * time.Hour, queue.AgentOffered: 10 * time.Minute, queue.AgentTalking: 5 * time.Hour,
		queue.AgentWrapUp: 50 * time.Minute, queue.AgentNotReady: time.Hour, queue.AgentSignedOut: 16 * time.Hour,
	} {
		a.Add(s, d)
	}
	if got, ok := metrics.Occupancy(&a); !ok || got != 0.75 {
		t.Errorf("occupancy %v, %v; want 0.75", got, ok)
	}
	if got, ok := metrics.OccupancyNow(map[queue.AgentState]int{queue.AgentReady: 1, queue.AgentTalking: 3, queue.AgentNotReady: 9}); !ok || got != 0.75 {
		t.Errorf("occupancy now %v, %v; want 0.75", got, ok)
	}
	if _, ok := metrics.OccupancyNow(map[queue.AgentState]int{queue.AgentNotReady: 9}); ok {
		t.Error("an occupancy of nobody")
	}
}

func TestLongestWait(t *testing.T) {
	q := &queue.QueueSnapshot{Tiers: []queue.TierSnapshot{{OldestWait: 3 * time.Second}, {OldestWait: 9 * time.Second}, {}}}
	if got := metrics.LongestWait(q); got != 9*time.Second {
		t.Errorf("longest wait %v", got)
	}
	if got := metrics.LongestWait(&queue.QueueSnapshot{}); got != 0 {
		t.Errorf("longest wait of nobody %v", got)
	}
}

func TestPromises(t *testing.T) {
	p := metrics.PromisesOf(&queue.CallbackTotals{Created: 20, Reached: 8, Refused: 1, Failed: 1, Missed: 2, Cancelled: 5})
	if got, ok := p.KeptShare(); !ok || got != 0.75 {
		t.Errorf("kept %v, %v; want 9 of 12", got, ok)
	}
	if _, ok := (&metrics.Promises{}).KeptShare(); ok {
		t.Error("a share of no promises")
	}
}

func TestExact(t *testing.T) {
	for _, f := range metrics.Formulas {
		if !f.Exact(5*time.Second, 20*time.Second) || !f.Exact(5*time.Second, 5*time.Second) {
			t.Errorf("%s is not exact with the defaults", f)
		}
		needs := f == metrics.AbandonsInTimeIgnored || f == metrics.AbandonsInTimeMet
		if f.Exact(5*time.Second, 3*time.Second) == needs {
			t.Errorf("%s with a short limit above the threshold", f)
		}
		if parsed, err := metrics.ParseFormula(f.Key()); err != nil || parsed != f {
			t.Errorf("ParseFormula(%q) = %v, %v", f.Key(), parsed, err)
		}
	}
}
