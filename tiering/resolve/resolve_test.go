package resolve

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	site = "main"
	li   = tiering.Number("+8613800138000")
)

var (
	ordinary = tiering.Standing{Tier: tiering.Ordinary}
	vip      = tiering.Standing{Tier: tiering.VIP, Known: true}
	errDown  = errors.New("connection refused")
)

// directory answers as its fields say at the moment of the lookup.
type directory struct {
	mu       sync.Mutex
	takes    time.Duration // how long a lookup takes
	deaf     bool          // lookups ignore their context
	err      error
	entry    tiering.Entry
	asked    []time.Time
	underWay int
	most     int
}

func newDirectory() *directory { return &directory{entry: tiering.Entry{Grade: tiering.VIP}} }

func (d *directory) change(fn func(*directory)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fn(d)
}

func (d *directory) times() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

func (d *directory) atOnce() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

func (d *directory) Lookup(ctx context.Context, _ string, _ tiering.Number) (tiering.Entry, bool, error) {
	d.mu.Lock()
	d.asked = append(d.asked, time.Now())
	d.underWay++
	d.most = max(d.most, d.underWay)
	takes, done := d.takes, ctx.Done()
	if d.deaf {
		done = nil
	}
	d.mu.Unlock()
	defer d.change(func(d *directory) { d.underWay-- })
	if takes > 0 {
		timer := time.NewTimer(takes)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-done:
			return tiering.Entry{}, false, ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return tiering.Entry{}, false, d.err
	}
	return d.entry, d.entry != tiering.Entry{}, nil
}

// run tests with a resolver on virtual time, and closes it.
func run(t *testing.T, c Config, test func(t *testing.T, d *directory, r *Resolver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		c.Directory = d
		if c.Log == nil {
			c.Log = slog.New(slog.DiscardHandler)
		}
		r := New(c)
		test(t, d, r)
		if err := r.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
}

// resolve resolves li and checks the answer and the time it took.
func resolve(t *testing.T, r *Resolver, want tiering.Standing, provisional bool, took time.Duration) Answer {
	t.Helper()
	begin := time.Now()
	a := r.Resolve(context.Background(), site, li)
	if a.Standing != want || a.Provisional != provisional {
		t.Fatalf("%+v, provisional %v; want %+v, %v", a.Standing, a.Provisional, want, provisional)
	}
	if since := time.Since(begin); since != took {
		t.Fatalf("it took %v, want %v", since, took)
	}
	return a
}

// ear is what a call hears later.
type ear struct {
	mu    sync.Mutex
	heard []tiering.Standing
	at    time.Time
}

func (e *ear) hear(s tiering.Standing) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard, e.at = append(e.heard, s), time.Now()
}

func (e *ear) heardOnly(t *testing.T, want ...tiering.Standing) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heard) != len(want) || len(want) == 1 && e.heard[0] != want[0] {
		t.Fatalf("heard %+v, want %+v", e.heard, want)
	}
}

func TestAnswerInTime(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		a := resolve(t, r, vip, false, 0)
		var e ear
		a.Later(e.hear)
		e.heardOnly(t)
		d.change(func(d *directory) { d.takes = 49 * time.Millisecond })
		resolve(t, r, vip, false, 49*time.Millisecond)
		d.change(func(d *directory) { d.entry = tiering.Entry{} })
		resolve(t, r, ordinary, false, 49*time.Millisecond)
		if got, want := r.Stats(), (Stats{Resolved: 3}); got != want {
			t.Fatalf("%+v", got)
		}
	})
}

func TestWithheldIsNotLookedUp(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		a := r.Resolve(context.Background(), site, tiering.Withheld)
		if a.Standing != ordinary || a.Provisional || d.times() != 0 {
			t.Fatalf("%+v after %d lookups", a, d.times())
		}
		a.Later(nil)
		Answer{}.Later(nil)
	})
}

// TestStandingIsOfTheMoment: what has ended when the answer comes does not count.
func TestStandingIsOfTheMoment(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		ends := instant.Of(time.Now().Add(70 * time.Millisecond))
		d.change(func(d *directory) { d.entry.GradeEnds = ends })
		resolve(t, r, tiering.Standing{Tier: tiering.VIP, Ends: ends, Known: true}, false, 0)
		d.change(func(d *directory) { d.takes = 70 * time.Millisecond })
		var e ear
		resolve(t, r, ordinary, true, 50*time.Millisecond).Later(e.hear)
		pass(20 * time.Millisecond)
		e.heardOnly(t, ordinary)
	})
}

func TestLateAnswerFollows(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.takes = 80 * time.Millisecond })
		begin := time.Now()
		var e ear
		resolve(t, r, ordinary, true, 50*time.Millisecond).Later(e.hear)
		e.heardOnly(t)
		pass(30 * time.Millisecond)
		e.heardOnly(t, vip)
		if since := e.at.Sub(begin); since != 80*time.Millisecond {
			t.Fatalf("heard after %v", since)
		}
		if got, want := r.Stats(), (Stats{Resolved: 1, Late: 1, Delivered: 1}); got != want || d.times() != 1 {
			t.Fatalf("%+v after %d lookups", got, d.times())
		}
	})
}

// TestAnswerBeforeAnyoneAsks: the answer came between Resolve and Later; it is
// told at once, and not lost.
func TestAnswerBeforeAnyoneAsks(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.takes = 80 * time.Millisecond })
		a := resolve(t, r, ordinary, true, 50*time.Millisecond)
		pass(time.Second)
		var e ear
		a.Later(e.hear)
		if e.heard == nil {
			t.Fatal("Later returned, and the answer that was there had not been told")
		}
		e.heardOnly(t, vip)
	})
}

func TestCallerWhoGoesAway(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.takes = 30 * time.Millisecond })
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		begin := time.Now()
		a := r.Resolve(ctx, site, li)
		if !a.Provisional || time.Since(begin) != 10*time.Millisecond {
			t.Fatalf("%+v after %v", a, time.Since(begin))
		}
		var e ear
		a.Later(e.hear)
		pass(20 * time.Millisecond)
		e.heardOnly(t, vip)
	})
}

func TestFinalErrors(t *testing.T) {
	for _, err := range []error{tiering.ErrNumber, tiering.ErrSite, tiering.ErrCorrupt} {
		run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
			d.change(func(d *directory) { d.err = err })
			for range 10 {
				resolve(t, r, ordinary, false, 0)
			}
			if s := r.Stats(); s.Down || s.Failed != 0 {
				t.Fatalf("%v: %+v", err, s)
			}
		})
	}
}

// TestDirectoryThatIgnoresItsContext: the deadline holds all the same, Close is
// bounded, and what runs is bounded.
func TestDirectoryThatIgnoresItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.takes, d.deaf = time.Hour, true
		r := New(Config{Directory: d, Lookups: 3, Failures: 100, Log: slog.New(slog.DiscardHandler)})
		var ears [5]ear
		for i := range ears {
			took := 50 * time.Millisecond
			if i >= 3 {
				took = 0 // there is no room to ask
			}
			resolve(t, r, ordinary, true, took).Later(ears[i].hear)
		}
		if s := r.Stats(); s.Skipped != 2 || s.Late != 3 || d.atOnce() > 5 {
			t.Fatalf("%+v, %d lookups at once", s, d.atOnce())
		}
		pass(time.Hour)
		for i := range ears[:3] {
			ears[i].heardOnly(t, vip)
		}
		_ = resolve(t, r, ordinary, true, 50*time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := r.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still under way") {
			t.Fatalf("close: %v", err)
		}
		if err := r.Close(context.Background()); err != nil { // the directory has come back
			t.Fatal(err)
		}
	})
}

func TestClose(t *testing.T) {
	run(t, Config{}, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var failed, hanging, after ear
		resolve(t, r, ordinary, true, 0).Later(failed.hear)
		d.change(func(d *directory) { d.takes = time.Hour })
		resolve(t, r, ordinary, true, 50*time.Millisecond).Later(hanging.hear)
		begin := time.Now()
		for range 2 {
			if err := r.Close(context.Background()); err != nil || time.Since(begin) != 0 {
				t.Fatalf("close: %v after %v", err, time.Since(begin))
			}
		}
		asked := d.times()
		resolve(t, r, ordinary, true, 0).Later(after.hear)
		pass(time.Hour)
		for _, e := range []*ear{&failed, &hanging, &after} {
			e.heardOnly(t)
		}
		if d.times() != asked {
			t.Fatal("the directory was asked after Close")
		}
	})
}

func TestLogSaysWhenItGoesAndComes(t *testing.T) {
	var log bytes.Buffer
	c := Config{Log: slog.New(slog.NewTextHandler(&log, nil))}
	run(t, c, func(t *testing.T, d *directory, r *Resolver) {
		d.change(func(d *directory) { d.err = errDown })
		var e ear
		for range 50 {
			r.Resolve(context.Background(), site, li).Later(e.hear)
		}
		pass(time.Minute)
		d.change(func(d *directory) { d.err = nil })
		pass(time.Minute)
		resolve(t, r, vip, false, 0)
	})
	text := log.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, errDown.Error()) || !strings.Contains(text, "answers again") {
		t.Fatalf("the log says:\n%s", text)
	}
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }
