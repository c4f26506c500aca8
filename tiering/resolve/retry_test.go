package resolve

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenlane/tiering"
)

// TestRetriesWithGrowingPauses: a call that is followed is looked up again after
// 0.1, 0.2, 0.4 … 5 s, until the directory answers.
func TestRetriesWithGrowingPauses(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var e ear
		resolve(t, r, ordinary, true, 0).Later(e.hear)
		pass(30 * time.Second)
		synctest.Wait()
		var pauses []time.Duration
		d.mu.Lock()
		for i := 1; i < len(d.asked); i++ {
			pauses = append(pauses, d.asked[i].Sub(d.asked[i-1])/time.Millisecond)
		}
		d.mu.Unlock()
		if want := []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000}; !slices.Equal(pauses, want) {
			t.Fatalf("the pauses were %d ms, want %d", pauses, want)
		}
		e.heardOnly(t)
		d.change(func(d *directory) { d.err = nil })
		pass(5 * time.Second)
		e.heardOnly(t, vip)
		if s := r.Stats(); s.Pending != 0 || s.Down || s.Delivered != 1 || s.Failed != 11 {
			t.Fatalf("%+v", s)
		}
		asked := d.times()
		pass(time.Minute)
		if d.times() != asked {
			t.Fatal("it is still asked")
		}
	})
}

// TestNobodyFollows: without Later nothing is kept and nothing tried again.
func TestNobodyFollows(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		for range 3 {
			resolve(t, r, ordinary, true, 0)
		}
		pass(time.Minute)
		if s := r.Stats(); d.times() != 3 || s.Pending != 0 {
			t.Fatalf("%+v after %d lookups", s, d.times())
		}
	})
}

// TestDownIsNotAsked: after some failures in a row calls are not delayed any
// more by a directory that hangs, one call in each pause looks whether it still
// does, and when it answers all are looked up again.
func TestDownIsNotAsked(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.takes = time.Hour })
		for range 5 {
			resolve(t, r, ordinary, true, 50*time.Millisecond)
		}
		for range 100 {
			resolve(t, r, ordinary, true, 0)
		}
		if s := r.Stats(); !s.Down || s.Skipped != 100 || d.times() != 5 {
			t.Fatalf("%+v after %d lookups", s, d.times())
		}
		pass(100 * time.Millisecond)
		resolve(t, r, ordinary, true, 50*time.Millisecond) // looks whether it is still down
		resolve(t, r, ordinary, true, 0)
		d.change(func(d *directory) { d.takes = 0 })
		resolve(t, r, ordinary, true, 0)
		pass(100 * time.Millisecond)
		resolve(t, r, vip, false, 0)
		resolve(t, r, vip, false, 0)
		if r.Stats().Down {
			t.Fatal("it answers and counts as down")
		}
	})
}

// TestRecoveryIsHeardAtOnce: a call that finds the directory well again ends
// the pause of those who wait.
func TestRecoveryIsHeardAtOnce(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var e ear
		resolve(t, r, ordinary, true, 0).Later(e.hear)
		pass(20 * time.Second) // somewhere in a pause of 5 s
		d.change(func(d *directory) { d.err = nil })
		e.heardOnly(t)
		resolve(t, r, vip, false, 0)
		e.heardOnly(t, vip)
	})
}

// TestOutage: thousands of calls arrive while the directory is down. Few
// goroutines serve them, and all have their answers soon after.
func TestOutage(t *testing.T) {
	const calls = 20_000
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var answers atomic.Int64
		for range calls {
			r.Resolve(context.Background(), site, li).Later(func(s tiering.Standing) {
				if s == vip {
					answers.Add(1)
				}
			})
			pass(time.Millisecond)
		}
		if s := r.Stats(); !s.Down || s.UnderWay > 1 || s.Pending < calls-1 || d.times() > 300 {
			t.Fatalf("%+v after %d lookups", s, d.times())
		}
		d.change(func(d *directory) { d.err, d.takes, d.most = nil, time.Millisecond, 0 })
		pass(5*time.Second + calls/64*time.Millisecond + time.Second)
		synctest.Wait()
		if n := answers.Load(); n != calls || d.atOnce() > 64 {
			t.Fatalf("%d of %d calls have their answer, %d lookups at once", n, calls, d.atOnce())
		}
	})
}

func TestBounds(t *testing.T) {
	run(t, Config{Pending: 2, GiveUp: time.Minute, RetryMin: time.Second}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var ears [4]ear
		for i := range ears { // one is taken for the next retry, two may wait
			resolve(t, r, ordinary, true, 0).Later(ears[i].hear)
			synctest.Wait()
		}
		if s := r.Stats(); s.GaveUp != 1 || s.Pending != 2 {
			t.Fatalf("%+v", s)
		}
		pass(2 * time.Minute)
		if s := r.Stats(); s.GaveUp != 4 || s.Pending != 0 {
			t.Fatalf("after the time to give up: %+v", s)
		}
		d.change(func(d *directory) { d.err = nil })
		pass(time.Minute)
		for i := range ears {
			ears[i].heardOnly(t)
		}
	})
}

// TestProbeThatHangs: a retry that never returns does not hold the others up.
func TestProbeThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.err = errDown
		r := New(Config{Directory: d, Log: slog.New(slog.DiscardHandler)})
		var first, second ear
		resolve(t, r, ordinary, true, 0).Later(first.hear)
		resolve(t, r, ordinary, true, 0).Later(second.hear)
		d.change(func(d *directory) { d.err, d.deaf, d.takes = nil, true, time.Hour })
		pass(150 * time.Millisecond) // the first is being retried, and hangs
		d.change(func(d *directory) { d.takes = 0 })
		pass(3 * time.Second)
		first.heardOnly(t)
		second.heardOnly(t, vip)
		pass(time.Hour)
		first.heardOnly(t, vip)
		if err := r.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// unsteady fails, hangs and answers at random, in real time.
type unsteady struct{}

func (unsteady) Lookup(ctx context.Context, _ string, _ tiering.Number) (tiering.Entry, bool, error) {
	switch rand.IntN(8) {
	case 0:
		return tiering.Entry{}, false, tiering.ErrUnavailable
	case 1:
		<-ctx.Done()
		return tiering.Entry{}, false, ctx.Err()
	}
	return tiering.Entry{Grade: tiering.VIP}, true, nil
}

// TestEveryCallHasOneAnswer runs many goroutines on an unsteady directory: each
// provisional answer is followed by exactly one real one.
func TestEveryCallHasOneAnswer(t *testing.T) {
	r := New(Config{
		Directory: unsteady{}, Deadline: time.Millisecond, Attempt: 3 * time.Millisecond, Lookups: 8, Retries: 4,
		RetryMin: 100 * time.Microsecond, RetryMax: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	const workers, rounds = 16, 60
	var later sync.WaitGroup
	var answers [workers * rounds]atomic.Int32
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				call := w*rounds + i
				a := r.Resolve(context.Background(), site, tiering.Number(fmt.Sprint(call)))
				if !a.Provisional {
					answers[call].Add(1)
					continue
				}
				later.Add(1)
				a.Later(func(tiering.Standing) {
					if answers[call].Add(1) == 1 {
						later.Done()
					}
				})
			}
		})
	}
	wg.Wait()
	later.Wait()
	if err := r.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for call := range answers {
		if n := answers[call].Load(); n != 1 {
			t.Fatalf("call %d has %d answers", call, n)
		}
	}
	if s := r.Stats(); s.UnderWay != 0 || s.Pending != 0 || s.GaveUp != 0 || s.Resolved != workers*rounds {
		t.Fatalf("%+v", s)
	}
}

type instantly struct{}

func (instantly) Lookup(context.Context, string, tiering.Number) (tiering.Entry, bool, error) {
	return tiering.Entry{Grade: tiering.VIP}, true, nil
}

func BenchmarkResolve(b *testing.B) {
	r := New(Config{Directory: instantly{}})
	defer r.Close(context.Background())
	b.ReportAllocs()
	for b.Loop() {
		if a := r.Resolve(context.Background(), site, li); a.Provisional {
			b.Fatal("late")
		}
	}
}
