//go:build unix

package load

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"greenlane/internal/load/daemon"
	"greenlane/internal/load/day"
	"greenlane/internal/redistest"
)

// faultsOf is how many faults the test of two daemons on one Redis makes:
// GREENLANE_REDIS_FAULTS, else 12.
func faultsOf(t *testing.T) int {
	t.Helper()
	s := os.Getenv("GREENLANE_REDIS_FAULTS")
	if s == "" {
		return 12
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("GREENLANE_REDIS_FAULTS: %q must be a whole number above 0", s)
	}
	return n
}

// seedOf is what the day and the faults are drawn from: GREENLANE_REDIS_SEED, else 11.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	s := os.Getenv("GREENLANE_REDIS_SEED")
	if s == "" {
		return 11
	}
	seed, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatalf("GREENLANE_REDIS_SEED: %q must be a whole number", s)
	}
	return seed
}

// TestTwoDaemonsUnderFaults plays a busy day to two daemons on one Redis, and
// kills (-9) daemons and the Redis, and stops daemons for longer than their
// lease, while agents and switches move from one daemon to the other. In the end
// everything that was acknowledged is held against what a daemon says: see
// package audit.
//
// Redis writes its file before it answers (appendfsync always): what was
// acknowledged, and what the log has shown, must then be there after a kill.
func TestTwoDaemonsUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("kills real daemons and a real Redis many times")
	}
	redis := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	config := fmt.Sprintf("engine: redis\nredis: {addresses: [%q]}\n%s", redis.Addr(), crashConfig)
	one := newDaemon(t, config)
	two := newDaemon(t, config)
	for _, d := range []*daemon.Daemon{one, two} {
		if _, err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	seed := seedOf(t)
	f := &faults{t: t, redis: redis, daemons: []*daemon.Daemon{one, two}, front: newFront(t, one.Addr(), two.Addr()), chance: rand.New(rand.NewPCG(5, seed))}
	made, err := day.Make(day.Bank(), day.Options{Seed: seed, Rate: 50.0 / crashSpeed, Withheld: 0.02})
	if err != nil {
		t.Fatal(err)
	}
	manners := DefaultManners()
	manners.Ignore, manners.Decline = 0.02, 0.03
	run, err := New(Options{
		Addr: f.front.addr(), Day: made, Speed: crashSpeed, Seed: seed, Switches: 4, Streams: 2,
		Agents: 200, Polling: 60, Ringing: 20, Manners: manners, ShortAbandon: 17 * time.Millisecond, OnEvent: f.events.observe,
	})
	if err != nil {
		t.Fatal(err)
	}
	n := faultsOf(t)
	done := make(chan int, 1)
	go func() {
		defer run.Stop()
		done <- f.make(t.Context(), n)
	}()
	report, err := run.Play(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if made := <-done; made != n {
		t.Fatalf("the day ended after %d faults of %d", made, n)
	}
	var out bytes.Buffer
	report.Print(&out)
	t.Logf("%d faults, %d connections moved; the longest outages: a daemon %v, Redis %v\n%s",
		n, f.front.moved, f.longest[0], f.longest[1], out.String())
	if report.FaultCount > 0 {
		t.Errorf("%d differences, the first are above", report.FaultCount)
	}
	if report.Retries == 0 || report.Answered < 100*n || report.Callbacks.Created == 0 || f.front.moved == 0 {
		t.Errorf("the day was too quiet to prove anything: %d requests sent again, %d answered, %d callbacks, %d connections moved",
			report.Retries, report.Answered, report.Callbacks.Created, f.front.moved)
	}
}

// faults makes one fault after the other.
type faults struct {
	t       *testing.T
	redis   *redistest.Server
	daemons []*daemon.Daemon
	front   *front
	events  trigger
	chance  *rand.Rand
	longest [2]time.Duration // of daemons, of Redis
}

// pausedFor is longer than the lease of crashConfig: what a paused daemon held
// has gone back to the line by then.
const pausedFor = 2500 * time.Millisecond

// make makes n faults, each after a random number of events, and returns how many
// it made.
func (f *faults) make(ctx context.Context, n int) int {
	kinds := []func(context.Context) error{f.killDaemon, f.killRedis, f.pauseDaemon, f.killBoth}
	for i := range n {
		if !f.await(ctx, 200+f.chance.Int64N(1500)) {
			return i
		}
		if err := kinds[i%len(kinds)](ctx); err != nil {
			f.t.Errorf("fault %d: %v", i+1, err)
			return i
		}
	}
	// The end is played without faults, on both daemons.
	f.await(ctx, 500)
	return n
}

// await waits for a number of events.
func (f *faults) await(ctx context.Context, events int64) bool {
	stuck := time.NewTimer(time.Minute)
	defer stuck.Stop()
	select {
	case <-f.events.arm(events):
		return true
	case <-stuck.C:
		f.t.Error("calls stand still after a fault: too few events in a minute")
	case <-ctx.Done():
	}
	return false
}

// killDaemon kills a daemon; its clients go to the other one, which serves on
// until the killed one is back.
func (f *faults) killDaemon(ctx context.Context) error {
	i := f.chance.IntN(len(f.daemons))
	f.front.drop(i)
	if err := f.daemons[i].Kill(); err != nil {
		return err
	}
	if !f.await(ctx, 100) {
		return fmt.Errorf("the other daemon does not serve on: %w", context.Cause(ctx))
	}
	return f.start(ctx, i)
}

func (f *faults) start(ctx context.Context, i int) error {
	took, err := f.daemons[i].Start(ctx)
	f.longest[0] = max(f.longest[0], took)
	f.front.use(i)
	return err
}

// killRedis kills Redis, and starts it again on what it has written.
func (f *faults) killRedis(context.Context) error {
	began := time.Now()
	f.redis.Kill()
	sleep(f.t.Context(), time.Duration(f.chance.Int64N(int64(time.Second))))
	f.redis.Restart()
	f.longest[1] = max(f.longest[1], time.Since(began))
	return nil
}

// pauseDaemon stops a daemon, which keeps its connections and what its clients
// send it, for longer than its lease; its clients go to the other one meanwhile.
// Going on, it finds the requests of back then.
func (f *faults) pauseDaemon(ctx context.Context) error {
	i := f.chance.IntN(len(f.daemons))
	if err := f.daemons[i].Pause(); err != nil {
		return err
	}
	sleep(ctx, pausedFor/2)
	f.front.drop(i)
	sleep(ctx, pausedFor/2)
	err := f.daemons[i].Resume()
	f.front.use(i)
	return err
}

// killBoth kills a daemon and Redis at once.
func (f *faults) killBoth(ctx context.Context) error {
	i := f.chance.IntN(len(f.daemons))
	f.front.drop(i)
	if err := f.daemons[i].Kill(); err != nil {
		return err
	}
	if err := f.killRedis(ctx); err != nil {
		return err
	}
	return f.start(ctx, i)
}
