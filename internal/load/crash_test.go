package load

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/load/daemon"
	"greenlane/internal/load/day"
	"greenlane/internal/logtest"
	pb "greenlane/proto/greenlane/v1"
)

// How often the crash test kills the daemon: -kills, else GREENLANE_CRASH_KILLS,
// else 50.
var killsFlag = flag.Int("kills", 0, "how often the crash test kills the daemon")

func kills(t *testing.T) int {
	t.Helper()
	if *killsFlag > 0 {
		return *killsFlag
	}
	s := os.Getenv("GREENLANE_CRASH_KILLS")
	if s == "" {
		return 50
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("GREENLANE_CRASH_KILLS: %q must be a whole number above 0", s)
	}
	return n
}

// crashSpeed is how fast the day runs: the daemon's times are short, so that
// offers expire, callbacks come due and claims end between two kills.
const crashSpeed = 300

const crashConfig = `
sites:
  - name: main
    short_abandon: 17ms
    owner_lease: 2s
    callback: {window_from: "00:00", window_to: "24:00", delay: 500ms, retry_delay: 1s, deadline: 20s, escalate_before: 5s, claim_lease: 3s}
    keep: {events: 10000000, requests: 200000}
    queues:
      - {name: service, threshold: 67ms, offer_timeout: 400ms, preferred_wait: 67ms}
      - {name: new-customers, threshold: 67ms, offer_timeout: 400ms, preferred_wait: 67ms}
      - {name: stocks, threshold: 67ms, offer_timeout: 400ms, preferred_wait: 67ms}
      - {name: internet, threshold: 67ms, offer_timeout: 400ms, preferred_wait: 67ms}
`

// newDaemon builds and prepares the real daemon. Its log is shown when the test
// fails.
func newDaemon(t *testing.T, config string) *daemon.Daemon {
	t.Helper()
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	log := new(logtest.Buffer)
	d, err := daemon.New(daemon.Options{Binary: binary, Config: config, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Errorf("removing the daemon: %v", err)
		}
		if t.Failed() {
			t.Logf("the daemon's log ends with:\n%s", log.Tail(4000))
		}
	})
	return d
}

// trigger closes what it is armed with when a number of further events was seen.
type trigger struct {
	left atomic.Int64
	mu   sync.Mutex
	hit  chan struct{}
}

func (g *trigger) arm(events int64) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hit = make(chan struct{})
	g.left.Store(events)
	return g.hit
}

func (g *trigger) observe(*pb.Event) {
	if g.left.Add(-1) != 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.hit)
}

// killsPerDay is how often the daemon is killed in one day: a day is 17 hours
// long, and the next one begins on the data that the last one left.
const killsPerDay = 100

// TestKilledUnderLoad kills the daemon (-9) at random moments of a busy day, and
// holds everything that was acknowledged against what the daemon says in the
// end: see package audit.
func TestKilledUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real daemon many times")
	}
	d := newDaemon(t, crashConfig)
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	var restarts []time.Duration
	for seed, left := uint64(1), kills(t); left > 0 && !t.Failed(); seed++ {
		n := min(left, killsPerDay)
		restarts = append(restarts, killADay(t, d, seed, n)...)
		left -= n
	}
	if len(restarts) == 0 {
		t.Fatal("the daemon was never restarted")
	}
	slices.Sort(restarts)
	t.Logf("%d kills; from restart to serving: median %v, longest %v", len(restarts), restarts[len(restarts)/2], restarts[len(restarts)-1])
}

// killADay plays a day, kills the daemon n times in it, and checks the day. It
// returns how long the restarts took.
func killADay(t *testing.T, d *daemon.Daemon, seed uint64, n int) []time.Duration {
	t.Helper()
	ctx := t.Context()
	made, err := day.Make(day.Bank(), day.Options{Seed: seed, Rate: 50.0 / crashSpeed, Withheld: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	var events trigger
	manners := DefaultManners()
	manners.Ignore, manners.Decline = 0.02, 0.03
	run, err := New(Options{
		Addr: d.Addr(), Day: made, Speed: crashSpeed, Seed: seed, Switches: 4, Streams: 2,
		Agents: 36, Polling: 10, Ringing: 6, Manners: manners, ShortAbandon: 17 * time.Millisecond, OnEvent: events.observe,
	})
	if err != nil {
		t.Fatal(err)
	}
	killed := make(chan []time.Duration, 1)
	go func() {
		defer run.Stop()
		killed <- killAtRandom(ctx, t, d, &events, n)
	}()
	report, err := run.Play(ctx)
	if err != nil {
		t.Fatal(err)
	}
	restarts := <-killed
	if len(restarts) != n {
		t.Fatalf("the day ended after %d kills of %d", len(restarts), n)
	}
	var out bytes.Buffer
	report.Print(&out)
	t.Logf("%d kills\n%s", n, out.String())
	if report.FaultCount > 0 {
		t.Errorf("%d differences, the first are above", report.FaultCount)
	}
	if report.Retries == 0 || report.Answered == 0 || report.Callbacks.Created == 0 {
		t.Errorf("the day was too quiet to prove anything: %d requests sent again, %d answered, %d callbacks",
			report.Retries, report.Answered, report.Callbacks.Created)
	}
	return restarts
}

// killAtRandom kills and restarts the daemon n times, each time after a random
// number of events; every fourth time also while it starts. It returns how long
// each start took until the daemon served.
func killAtRandom(ctx context.Context, t *testing.T, d *daemon.Daemon, events *trigger, n int) []time.Duration {
	chance := rand.New(rand.NewPCG(1, 2))
	var restarts []time.Duration
	for i := range n {
		hit := events.arm(1 + chance.Int64N(600))
		stuck := time.NewTimer(time.Minute)
		select {
		case <-hit:
		case <-stuck.C:
			t.Error("no events for a minute after a restart")
			return restarts
		case <-ctx.Done():
			return restarts
		}
		stuck.Stop()
		if err := d.Kill(); err != nil {
			t.Errorf("kill %d: %v", i+1, err)
		}
		if i%4 == 3 {
			killStarting(t, d, time.Duration(chance.Int64N(int64(40*time.Millisecond))))
		}
		took, err := d.Start(ctx)
		if err != nil {
			t.Errorf("restart %d: %v", i+1, err)
			return restarts
		}
		restarts = append(restarts, took)
	}
	return restarts
}

// killStarting kills the daemon at a moment of its start.
func killStarting(t *testing.T, d *daemon.Daemon, after time.Duration) {
	if err := d.Launch(); err != nil {
		t.Error(err)
		return
	}
	select {
	case <-d.Done():
		t.Error("the daemon ended by itself while it started")
	case <-time.After(after):
	}
	if err := d.Kill(); err != nil {
		t.Error(err)
	}
}
