package report_test

import (
	"testing"
	"time"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/load"
	"greenlane/internal/load/day"
	"greenlane/internal/report"
	pb "greenlane/proto/greenlane/v1"
)

// TestTheReportSaysWhatTheDaemonCounts: after a day of calls, moves, tiers that
// change and everything that goes wrong, the report over today has for each queue
// and tier the figures of GetSnapshot.
func TestTheReportSaysWhatTheDaemonCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a day")
	}
	ms := func(n int64) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }
	cfg := config.Default()
	cfg.Listen, cfg.HTTP, cfg.Data = "127.0.0.1:0", "", t.TempDir()
	site := &cfg.Sites[0]
	site.ShortAbandon = ms(10)
	usual := site.Queues[0]
	site.Queues, site.DefaultQueue = nil, "service"
	for _, name := range []string{"service", "stocks"} {
		q := usual
		q.Name, q.Threshold, q.OfferTimeout = name, ms(25), ms(300)
		site.Queues = append(site.Queues, q)
	}
	site.Queues[0].Capacity, site.Queues[0].MaxWait = 15, ms(500)
	site.Queues[1].Overflow = config.Overflow{After: ms(40), To: "service"}
	a := apptest.Start(t, cfg, app.Options{})
	play(t, a.Addr().String())

	conn, err := load.Dial(a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	known, err := report.Look(t.Context(), conn, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Make(t.Context(), conn, known, report.Options{From: known.DayStart, To: known.Now, Interval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := pb.NewSupervisorServiceClient(conn).GetSnapshot(t.Context(), &pb.GetSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	compare(t, r, snap)
	if len(r.Missing) > 0 || r.Agents.Talking == 0 || r.Agents.Ready == 0 {
		t.Errorf("missing %v, agents %+v", r.Missing, r.Agents)
	}
}

func play(t *testing.T, addr string) {
	t.Helper()
	d, err := day.Make(day.Bank(), day.Options{Seed: 3, Rate: 0.1, Calls: 600, Withheld: 0.05, Tiers: day.Mix{1: 0.2, 2: 0.3, 3: 0.4, 4: 0.1}})
	if err != nil {
		t.Fatal(err)
	}
	m := load.DefaultManners()
	m.Ignore, m.Decline, m.Break, m.Twice, m.Overtaken, m.Preferring = 0.03, 0.05, 0.05, 0.1, 0.03, 0.5
	run, err := load.New(load.Options{
		Addr: addr, Day: d, Speed: 1000, Seed: 5, Switches: 3, Streams: 2, Agents: 10, Polling: 4, Ringing: 2, Manners: m, ShortAbandon: 10 * time.Millisecond,
		Queues: map[string]string{"PS": "service", "NW": "service", "NE": "stocks", "IN": "stocks", "TT": "service", "PE": "service"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run.Play(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// compare holds the report's sums against the daemon's own counts.
func compare(t *testing.T, r *report.Report, snap *pb.GetSnapshotResponse) {
	t.Helper()
	lines := map[string]report.Line{}
	for _, l := range r.Lines {
		lines[l.Queue+" "+l.Tier.String()] = l
	}
	calls, late := int64(0), int64(0)
	for _, q := range snap.GetQueues() {
		for i, tier := range q.GetTiers() {
			name := q.GetQueue() + " " + []string{"vip", "mid", "ordinary", "blacklist"}[i]
			l := lines[name]
			c := &l.Counts
			for _, n := range []struct {
				what      string
				got, want int64
			}{
				{"answered", c.Answered(), int64(tier.GetAnswered())}, {"in time", c.AnsweredInTime, int64(tier.GetAnsweredInTime())},
				{"abandoned", c.Abandoned(), int64(tier.GetAbandoned())}, {"short", c.AbandonedShort, int64(tier.GetAbandonedShort())},
				{"abandoned in time", c.AbandonedInTime, int64(tier.GetAbandonedInTime())}, {"timed out", c.TimedOut, int64(tier.GetTimedOut())},
				{"refused", c.Refused, int64(tier.GetRefused())}, {"overflowed", c.Overflowed, int64(tier.GetOverflowed())},
				{"waiting", l.Waiting, int64(tier.GetWaiting())}, {"late waiting", c.LateWaiting, int64(tier.GetLateWaiting())},
				{"answered wait", c.AnsweredWait, tier.GetAnsweredWait().AsDuration().Milliseconds()},
				{"abandoned wait", c.AbandonedWait, tier.GetTotals().GetAbandonedWait().AsDuration().Milliseconds()},
				{"joined", l.Joined, tier.GetTotals().GetJoined()}, {"completed", l.Completed, tier.GetTotals().GetCompleted()},
				{"talk", l.Talk.Milliseconds(), tier.GetTotals().GetTalk().AsDuration().Milliseconds()},
			} {
				if n.got != n.want {
					t.Errorf("%s: %s: the report has %d, the daemon %d", name, n.what, n.got, n.want)
				}
			}
			calls += l.Joined
			late += c.AnsweredLate + c.AbandonedLate
		}
	}
	if calls < 300 || late == 0 {
		t.Errorf("only %d calls joined, %d of them late", calls, late)
	}
	sum := report.Sum(r.Lines, false)
	totals := snap.GetCallbacks().GetTotals()
	if sum.Promised != totals.GetCreated() || sum.Promises.Kept != totals.GetReached()+totals.GetRefused() || sum.Withdrawn != totals.GetCancelled() {
		t.Errorf("callbacks: %+v, the daemon %v", sum, totals)
	}
}
