package load

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/load/audit"
	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
)

// boot starts a daemon inside the test, so that the race detector sees both
// sides.
func boot(t *testing.T, change ...func(*config.Site)) string {
	t.Helper()
	cfg := config.Default()
	for _, f := range change {
		f(&cfg.Sites[0])
	}
	cfg.Listen, cfg.HTTP, cfg.Data = "127.0.0.1:0", "", t.TempDir()
	cfg.Sites[0].ShortAbandon = config.Duration(10 * time.Millisecond)
	for i := range cfg.Sites[0].Queues {
		cfg.Sites[0].Queues[i].OfferTimeout = config.Duration(300 * time.Millisecond)
	}
	t.Cleanup(func() { goleak.VerifyNone(t) }) // when the daemon has stopped
	return apptest.Start(t, cfg, app.Options{}).Addr().String()
}

func smallDay(t *testing.T, calls int) *day.Day {
	t.Helper()
	d, err := day.Make(day.Bank(), day.Options{
		Seed: 5, Rate: 0.1, Calls: calls, Withheld: 0.05,
		Tiers: day.Mix{1: 0.2, 2: 0.3, 3: 0.4, 4: 0.1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func smallOptions(t *testing.T, calls int, change ...func(*config.Site)) Options {
	t.Helper()
	m := DefaultManners()
	m.Ignore, m.Decline, m.Break, m.Twice, m.Overtaken, m.Preferring = 0.03, 0.05, 0.05, 0.1, 0.03, 0.5
	return Options{
		Addr: boot(t, change...), Day: smallDay(t, calls), Speed: 1000, Seed: 5, Switches: 3, Streams: 2,
		Agents: 15, Polling: 4, Ringing: 4, Manners: m, ShortAbandon: 10 * time.Millisecond,
	}
}

// wantClean fails with the report when a run found differences.
func wantClean(t *testing.T, r *Report) {
	t.Helper()
	if r.FaultCount > 0 {
		var out bytes.Buffer
		r.Print(&out)
		t.Errorf("%d differences:\n%s", r.FaultCount, out.String())
	}
}

func TestASmallDayIsRight(t *testing.T) {
	events := 0
	opt := smallOptions(t, 300)
	opt.OnEvent = func(*pb.Event) { events++ }
	run, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	report, err := run.Play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, report)
	if report.Calls < 300 || report.Answered == 0 || report.Answered+report.Abandoned != report.Calls || events < 2*report.Calls {
		t.Errorf("%d calls, %d answered, %d abandoned, %d events", report.Calls, report.Answered, report.Abandoned, events)
	}
	if p := run.Progress(); p.Calls != report.Calls || p.Live != 0 {
		t.Errorf("in the end the progress is %+v", p)
	}
}

func TestCallsThatAreRefusedTimeOutOrOverflowAreRight(t *testing.T) {
	opt := smallOptions(t, 300, func(s *config.Site) {
		ms := func(n int64) config.Duration { return config.Duration(time.Duration(n) * time.Millisecond) }
		usual := s.Queues[0]
		s.Queues, s.DefaultQueue = nil, "service"
		for _, name := range []string{"service", "new-customers", "stocks", "internet"} {
			q := usual
			q.Name, q.Threshold = name, ms(20)
			switch name {
			case "service":
				q.Capacity, q.MaxWait = 12, ms(400)
			case "new-customers":
				q.Overflow = config.Overflow{After: ms(50), To: "service"}
			case "stocks":
				q.MaxWait = ms(60)
			case "internet":
				q.Overflow = config.Overflow{After: ms(50), Destination: "outside"}
			}
			s.Queues = append(s.Queues, q)
		}
	})
	opt.Agents, opt.Polling, opt.Ringing = 8, 2, 2
	run, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	report, err := run.Play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, report)
	if lost := report.Calls - report.Answered - report.Abandoned; lost < 5 {
		t.Errorf("only %d calls were refused, timed out or overflowed", lost)
	}
}

func TestADayThatIsStoppedIsCheckedToo(t *testing.T) {
	opt := smallOptions(t, 5000)
	run := new(Run)
	seen := 0
	opt.OnEvent = func(*pb.Event) {
		if seen++; seen == 500 {
			run.Stop()
		}
	}
	made, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	run = made
	report, err := run.Play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wantClean(t, report)
	if report.Calls >= 5000 {
		t.Errorf("the day went on to its end")
	}
}

func TestTheCheckSeesWhatTheDaemonDidNotDo(t *testing.T) {
	run, err := New(smallOptions(t, 20))
	if err != nil {
		t.Fatal(err)
	}
	// A call that the record says was acknowledged, and the daemon never saw.
	run.ledger.Open(audit.Told{ID: "lost", Tier: pb.Tier_TIER_VIP}, time.Now())
	run.ledger.Arrived(&pb.Call{CallId: "lost", Queue: "default", Tier: pb.Tier_TIER_VIP, Sequence: 999_999}, time.Now())
	report, err := run.Play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if report.FaultCount == 0 || run.faults.Of(audit.RuleKept) == 0 {
		t.Errorf("a lost call was not noticed: %v", report.Faults)
	}
	var out bytes.Buffer
	report.Print(&out)
	if !strings.Contains(out.String(), "kept call lost: acknowledged as nowhere, and the event log has no word of it") {
		t.Errorf("the report does not name the lost call:\n%s", out.String())
	}
}

func TestWrongOptionsAreNamed(t *testing.T) {
	_, err := New(Options{Speed: -1, Streams: 3, Switches: 2, Agents: 1, Polling: 1, Ringing: 1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"day:", "addr:", "speed:", "streams:", "polling and ringing:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q:\n%v", want, err)
		}
	}
}
