package feed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenlane/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a Source in memory. Writing wakes the readers.
type log struct {
	mu      sync.Mutex
	events  []queue.Event
	oldest  uint64
	changed chan struct{}
	fail    error
	closed  bool
}

func newLog() *log { return &log{oldest: 1, changed: make(chan struct{})} }

func (l *log) write(events ...queue.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range events {
		ev.Seq = uint64(len(l.events)) + 1
		l.events = append(l.events, ev)
	}
	l.wakeLocked()
}

func (l *log) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *log) set(change func(*log)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
	l.wakeLocked()
}

func (l *log) LastEvent(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.events)), l.fail
}

func (l *log) Events(ctx context.Context, after uint64, limit int) ([]queue.Event, error) {
	for {
		l.mu.Lock()
		changed := l.changed
		switch {
		case l.closed:
			l.mu.Unlock()
			return nil, queue.ErrClosed
		case l.fail != nil:
			defer l.mu.Unlock()
			return nil, l.fail
		case after+1 < l.oldest, after > uint64(len(l.events)):
			defer l.mu.Unlock()
			return nil, &queue.Error{Kind: queue.ErrTrimmed, Oldest: l.oldest}
		case after < uint64(len(l.events)):
			to := min(after+uint64(limit), uint64(len(l.events)))
			out := append([]queue.Event(nil), l.events[after:to]...)
			l.mu.Unlock()
			return out, nil
		}
		l.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func agentEvents(agent string, n int) []queue.Event {
	out := make([]queue.Event, n)
	for i := range out {
		out[i] = queue.Event{Type: queue.EventAgentStateChanged, Agent: agent}
	}
	return out
}

func start(t *testing.T, l *log, opts Options) *Feed {
	t.Helper()
	f := New(l, opts)
	if err := f.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	return f
}

// read takes events until it has n of them, or the subscription ends.
func read(t *testing.T, s *Sub, n int) (seqs []uint64, err error) {
	t.Helper()
	timeout := time.After(time.Minute)
	var buf []*queue.Event
	for len(seqs) < n {
		select {
		case <-s.Ready():
		case <-timeout:
			t.Fatalf("only %d of %d events came", len(seqs), n)
		}
		events, err := s.Take(context.Background(), buf, 1000)
		for _, ev := range events {
			seqs = append(seqs, ev.Seq)
		}
		if err != nil {
			return seqs, err
		}
		buf = events
	}
	return seqs, nil
}

func TestEventsGoByKey(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{})
	a, b := f.Agent("a", FromNow), f.Agent("b", FromNow)
	sw, all := f.Switch("sw", FromNow), f.All(FromNow)
	defer a.Close()
	defer b.Close()
	defer sw.Close()
	defer all.Close()
	l.write(queue.Event{Agent: "a"}, queue.Event{Switch: "sw"}, queue.Event{Agent: "b", Switch: "sw"}, queue.Event{Agent: "a"})
	for _, c := range []struct {
		sub  *Sub
		want []uint64
	}{{a, []uint64{1, 4}}, {b, []uint64{3}}, {sw, []uint64{2, 3}}, {all, []uint64{1, 2, 3, 4}}} {
		if got, err := read(t, c.sub, len(c.want)); err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("got %v, %v, want %v", got, err, c.want)
		}
	}
}

func TestCatchesUpFromTheCursorThenGoesLive(t *testing.T) {
	l := newLog()
	l.write(agentEvents("a", 25)...)
	f := start(t, l, Options{Batch: 4})
	s := f.Agent("a", 3)
	defer s.Close()
	got, err := read(t, s, 10)
	if err != nil {
		t.Fatal(err)
	}
	l.write(agentEvents("b", 7)...)
	l.write(agentEvents("a", 5)...)
	more, err := read(t, s, 27-len(got))
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, more...)
	for i, seq := range got {
		want := uint64(i + 4)
		if i >= 22 {
			want += 7
		}
		if seq != want {
			t.Fatalf("event %d is %d, want %d (all: %v)", i, seq, want, got)
		}
	}
}

// TestNoGapNoDouble subscribes at many places while the log grows faster than
// the small buffers allow.
func TestNoGapNoDouble(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{Batch: 3, Keyed: 20, Switch: 100, All: 10})
	const total = 3000
	var writer sync.WaitGroup
	writer.Go(func() {
		for range total {
			l.write(queue.Event{Agent: "a", Switch: "s"})
		}
	})
	var readers sync.WaitGroup
	for i := range 16 {
		readers.Go(func() {
			subscribe := []func(uint64) *Sub{
				func(c uint64) *Sub { return f.Agent("a", c) },
				func(c uint64) *Sub { return f.Switch("s", c) },
				f.All,
			}[i%3]
			want := uint64(i*40) + 1
			s := subscribe(want - 1)
			defer func() { s.Close() }()
			for want <= total {
				<-s.Ready()
				events, err := s.Take(context.Background(), nil, 7)
				if errors.Is(err, ErrCutOff) {
					s = subscribe(s.Cursor())
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				for _, ev := range events {
					if ev.Seq != want {
						t.Errorf("got %d, want %d", ev.Seq, want)
						return
					}
					want++
				}
			}
		})
	}
	readers.Wait()
	writer.Wait()
}

func TestAReaderThatDoesNotReadIsCutOffAndResumes(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{Keyed: 8})
	slow, live := f.Agent("a", FromNow), f.All(FromNow)
	defer slow.Close()
	defer live.Close()
	l.write(agentEvents("a", 3)...)
	if got, err := read(t, slow, 3); err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	l.write(agentEvents("a", 20)...)
	if _, err := read(t, live, 23); err != nil { // the dispatch is over
		t.Fatal(err)
	}
	var err error
	for range 3 { // a value may stand before the close
		<-slow.Ready()
		if _, err = slow.Take(context.Background(), nil, 1000); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrCutOff) {
		t.Fatalf("got %v, want ErrCutOff", err)
	}
	if _, open := <-slow.Ready(); open {
		t.Fatal("Ready is not closed after the cut")
	}
	if slow.Cursor() != 3 {
		t.Fatalf("cursor %d, want 3", slow.Cursor())
	}
	again := f.Agent("a", slow.Cursor())
	defer again.Close()
	if got, err := read(t, again, 20); err != nil || got[0] != 4 || got[19] != 23 {
		t.Fatal(got, err)
	}
}

func TestCursorOfAnIdleSubscriberMovesOn(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{})
	idle, all := f.Agent("idle", FromNow), f.All(FromNow)
	defer idle.Close()
	defer all.Close()
	l.write(agentEvents("busy", 50)...)
	if _, err := read(t, all, 50); err != nil {
		t.Fatal(err)
	}
	if idle.Cursor() != 50 {
		t.Fatalf("cursor %d, want 50: an old one would soon be trimmed", idle.Cursor())
	}
}

func TestTrimmedCursorIsSaid(t *testing.T) {
	l := newLog()
	l.write(agentEvents("a", 10)...)
	l.set(func(l *log) { l.oldest = 6 })
	f := start(t, l, Options{})
	s := f.Agent("a", 2)
	defer s.Close()
	<-s.Ready()
	_, err := s.Take(context.Background(), nil, 7)
	var e *queue.Error
	if !errors.As(err, &e) || e.Oldest != 6 {
		t.Fatalf("got %v, want ErrTrimmed with the oldest", err)
	}
}

// TestALogThatLostItsEnd: every subscriber is told, whether it waits or still reads,
// since the numbers that it has seen come again with other events.
func TestALogThatLostItsEnd(t *testing.T) {
	l := newLog()
	l.write(agentEvents("a", 10)...)
	f := start(t, l, Options{})
	waits, reads := f.Agent("a", FromNow), f.Agent("a", 4)
	defer waits.Close()
	defer reads.Close()
	l.set(func(l *log) { l.events, l.oldest = nil, 1 })
	<-waits.Ready()
	for name, s := range map[string]*Sub{"one that waits": waits, "one that reads": reads} {
		if _, err := s.Take(context.Background(), nil, 7); !errors.Is(err, queue.ErrTrimmed) {
			t.Errorf("%s is told %v", name, err)
		}
	}
	fresh := f.Agent("a", FromNow)
	defer fresh.Close()
	l.write(agentEvents("a", 1)...)
	if got, err := read(t, fresh, 1); err != nil || len(got) != 1 || got[0] != 1 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

func TestReaderSurvivesAnEngineThatIsAway(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{})
	s := f.Agent("a", FromNow)
	defer s.Close()
	l.set(func(l *log) { l.fail = queue.ErrUnavailable })
	l.write(agentEvents("a", 2)...)
	l.set(func(l *log) { l.fail = nil })
	if got, err := read(t, s, 2); err != nil || len(got) != 2 {
		t.Fatal(got, err)
	}
}

func TestStopEndsEverySubscription(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{})
	subs := []*Sub{f.Agent("a", FromNow), f.Switch("s", FromNow), f.All(FromNow)}
	f.Stop()
	f.Stop()
	subs = append(subs, f.All(FromNow))
	for i, s := range subs {
		<-s.Ready()
		if _, err := s.Take(context.Background(), nil, 7); !errors.Is(err, ErrStopped) {
			t.Errorf("subscription %d: %v, want ErrStopped", i, err)
		}
		s.Close()
	}
}

func TestEngineClosedEndsTheFeed(t *testing.T) {
	l := newLog()
	f := start(t, l, Options{})
	s := f.All(FromNow)
	defer s.Close()
	l.set(func(l *log) { l.closed = true })
	<-s.Ready()
	if _, err := s.Take(context.Background(), nil, 7); !errors.Is(err, ErrStopped) {
		t.Fatalf("got %v, want ErrStopped", err)
	}
}

func TestStopWithoutStart(_ *testing.T) { New(newLog(), Options{}).Stop() }

// BenchmarkRoute shows that an event for one agent costs the same whatever the
// number of subscribers to others.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			f := New(newLog(), Options{Keyed: 1 << 30})
			for i := range n {
				defer f.Agent(fmt.Sprint("agent", i), FromNow).Close()
			}
			s := f.Agent("mine", FromNow)
			ev := []queue.Event{{Agent: "mine"}}
			var buf []*queue.Event
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				ev[0].Seq = uint64(i) + 1
				f.dispatch(ev)
				<-s.Ready()
				buf, _ = s.Take(context.Background(), buf, 1000)
			}
		})
	}
}
