package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenlane/queue"
)

// readAll reads the log from a cursor in pieces and checks that none is missing.
func readAll(t testing.TB, e *Engine, after, upTo uint64, limit int) []queue.Event {
	t.Helper()
	var all []queue.Event
	for after < upTo {
		events, err := e.Events(context.Background(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 || len(events) > limit {
			t.Fatalf("%d events after %d", len(events), after)
		}
		for _, ev := range events {
			if ev.Seq != after+1 {
				t.Fatalf("event %d follows %d", ev.Seq, after)
			}
			after = ev.Seq
		}
		all = append(all, events...)
	}
	return all
}

func TestEventsFromMemoryAndFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := queue.DefaultSite("main")
	e := openSite(t, dir, site, Options{NoSync: true, RecentEvents: 50})
	for i := range 900 {
		mustDo(t, e, arrive(fmt.Sprint("c", i)))
	}
	last, err := e.LastEvent(context.Background())
	if err != nil || last != 900 {
		t.Fatal(last, err)
	}
	all := readAll(t, e, 0, last, 7)
	for _, after := range []uint64{0, 1, 333, last - 51, last - 50, last - 49, last - 1} {
		got := readAll(t, e, after, last, 10_000)
		if !slices.Equal(got, all[after:]) {
			t.Errorf("after %d memory and file differ", after)
		}
	}
	if events, err := e.Events(context.Background(), 0, 0); err != nil || len(events) != 900 {
		t.Errorf("no limit gives %d events, %v", len(events), err)
	}
	shut(t, e)
	e = openSite(t, dir, site, Options{NoSync: true, RecentEvents: 50})
	if got := readAll(t, e, 0, last, 100); !slices.Equal(got, all) {
		t.Error("after reopening the log differs")
	}
}

func TestEventsWait(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), Options{})
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error, 1)
	go func() { _, err := e.Events(ctx, 0, 1); got <- err }()
	cancel()
	if err := <-got; !nothingHappened(err) {
		t.Errorf("got %v", err)
	}
	events := make(chan []queue.Event, 8)
	for range 8 {
		go func() {
			ev, err := e.Events(context.Background(), 0, 10)
			if err != nil {
				t.Error(err)
			}
			events <- ev
		}()
	}
	mustDo(t, e, arrive("c1"))
	for range 8 {
		if ev := <-events; len(ev) != 1 || ev[0].Call != "c1" || ev[0].Seq != 1 {
			t.Errorf("got %v", ev)
		}
	}
	var refusal *queue.Error
	if _, err := e.Events(context.Background(), 2, 1); !errors.As(err, &refusal) || !errors.Is(refusal, queue.ErrInvalid) || refusal.Field != "after" {
		t.Errorf("a cursor beyond the log: %v", err)
	}
}

// A reader that is slow, or far behind, gets everything and delays nobody.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	e := openSite(t, t.TempDir(), queue.DefaultSite("main"), Options{NoSync: true, RecentEvents: 16})
	const total = 3000
	var wg sync.WaitGroup
	for limit := range 4 {
		wg.Go(func() { readAll(t, e, 0, total, 1+limit*100) })
	}
	for c := range 10 {
		wg.Go(func() {
			for i := range total / 10 {
				mustDo(t, e, arrive(fmt.Sprintf("c%d-%d", c, i)))
			}
		})
	}
	wg.Wait()
}

func TestEventsAreTrimmedByNumber(t *testing.T) {
	t.Parallel()
	site, dir := testSite(), t.TempDir() // keeps 1000
	e := openSite(t, dir, site, Options{NoSync: true, RecentEvents: 100})
	ctx := context.Background()
	for i := range 2500 {
		mustDo(t, e, arrive(fmt.Sprint("c", i)))
		if i%20 != 0 {
			continue
		}
		if err := e.checkpoint(); err != nil {
			t.Fatal(err)
		}
		if ends := e.log.bounds(); ends.last+1-ends.first > 1000+1000/trimSlackPart {
			t.Fatalf("%d events are kept", ends.last+1-ends.first)
		}
	}
	last, _ := e.LastEvent(ctx)
	var trimmed *queue.Error
	if _, err := e.Events(ctx, 0, 10); !errors.As(err, &trimmed) || !errors.Is(err, queue.ErrTrimmed) {
		t.Fatalf("got %v", err)
	}
	if kept := last + 1 - trimmed.Oldest; kept < 1000 {
		t.Errorf("%d events are kept, 1000 should be", kept)
	}
	if got := readAll(t, e, trimmed.Oldest-1, last, 100); uint64(len(got)) != last+1-trimmed.Oldest {
		t.Errorf("%d events from the oldest kept", len(got))
	}
	info, err := e.Call(ctx, "c0")
	if err != nil || len(info.Events) != 0 {
		t.Errorf("the first call has events %v, %v: they are trimmed", info.Events, err)
	}
	if err := e.checkpoint(); err != nil {
		t.Fatal(err)
	}
	ends := e.log.bounds()
	shut(t, e)
	e = openSite(t, dir, site, Options{NoSync: true})
	if again := e.log.bounds(); again != ends {
		t.Errorf("after reopening the log is %+v, was %+v", again, ends)
	}
}

// By age the log is trimmed while nobody commands anything, a piece at a time.
func TestEventsAreTrimmedByAge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		site := queue.DefaultSite("main")
		site.Keep.EventsAge = time.Hour
		var checkpoints atomic.Int64
		e := openSite(t, dir, site, Options{NoSync: true, WrapCheckpoint: func(checkpoint func() error) error {
			checkpoints.Add(1)
			return checkpoint()
		}})
		for i := range 800 {
			mustDo(t, e, &queue.Abandon{Call: fmt.Sprint("early", i), Switch: "sw1"})
			mustDo(t, e, arrive(fmt.Sprint("c", i)))
			mustDo(t, e, &queue.Abandon{Call: fmt.Sprint("c", i), Switch: "sw1"})
		}
		last, _ := e.LastEvent(context.Background())
		if last < 1600 {
			t.Fatalf("only %d events", last)
		}
		begin := checkpoints.Load()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if ends := e.log.bounds(); ends.first != last+1 {
			t.Errorf("events from %d to %d are still kept", ends.first, ends.last)
		}
		if n := int(checkpoints.Load() - begin); n < int(last)/trimPiece || n > 2*int(last)/trimPiece+100 {
			t.Errorf("it took %d checkpoints for %d events", n, last)
		}
		var trimmed *queue.Error
		if _, err := e.Events(context.Background(), last-1, 1); !errors.As(err, &trimmed) || trimmed.Oldest != last+1 {
			t.Errorf("got %v", err)
		}
		mustDo(t, e, arrive("fresh"))
		if ev, err := e.Events(context.Background(), last, 1); err != nil || ev[0].Call != "fresh" {
			t.Errorf("got %v, %v", ev, err)
		}
		shut(t, e)
	})
}

// One commit that adds more than it may keep.
func TestTrimKeepsUpWithOneBigBatch(t *testing.T) {
	t.Parallel()
	site, clock := testSite(), newTestClock()
	dir, opts := t.TempDir(), Options{NoSync: true, Now: clock.Now, RecentEvents: 10}
	e := openSite(t, dir, site, opts)
	batch := &queue.Reconcile{Request: queue.Request{ID: "big"}, Switch: "sw1"}
	for i := range 4000 {
		batch.Calls = append(batch.Calls, queue.Live{Arrive: queue.Arrive{Call: fmt.Sprint("c", i), Switch: "sw1", Queue: "default"}})
	}
	mustDo(t, e, batch)
	if err := e.checkpoint(); err != nil {
		t.Fatal(err)
	}
	ends := e.log.bounds()
	if ends.last < 4000 || ends.last+1-ends.first != 1000 {
		t.Errorf("kept %d to %d", ends.first, ends.last)
	}
	if got := readAll(t, e, ends.first-1, ends.last, 1000); len(got) != 1000 {
		t.Errorf("read %d", len(got))
	}
	shut(t, e)
	e = openSite(t, dir, site, opts)
	if res := mustDo(t, e, batch); !res.Duplicate || len(res.Items) != len(batch.Calls) || res.Added != len(batch.Calls) {
		t.Errorf("the repeated request got %d items, added %d, duplicate %v", len(res.Items), res.Added, res.Duplicate)
	}
}
