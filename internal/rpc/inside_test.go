package rpc

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestOutboxSendsInOrder(t *testing.T) {
	var got []int
	o := newOutbox(1000, func(n int) error { got = append(got, n); return nil })
	for i := range 500 {
		o.put(i)
	}
	o.flush(time.Minute)
	for i, n := range got {
		if i != n {
			t.Fatalf("sent %v", got)
		}
	}
	if len(got) != 500 || o.Err() != nil {
		t.Fatal(len(got), o.Err())
	}
}

func TestOutboxCutsOffAReaderThatDoesNotRead(t *testing.T) {
	block := make(chan struct{})
	o := newOutbox(4, func(int) error { <-block; return nil })
	for i := range 5 {
		o.put(i)
	}
	<-o.failed
	if !errors.Is(o.Err(), errSlow) {
		t.Error(o.Err())
	}
	o.put(6) // harmless
	close(block)
	o.flush(time.Minute)
}

func TestOutboxHoldsWhatCanWait(t *testing.T) {
	step := make(chan struct{})
	o := newOutbox(4, func(int) error { <-step; return nil })
	for i := range 3 {
		if o.holding() {
			t.Fatalf("holding at %d of 4", i)
		}
		o.put(i)
	}
	if !o.holding() {
		t.Fatal("not holding at 3 of 4")
	}
	step <- struct{}{}
	<-o.room
	if o.holding() {
		t.Fatal("holding at 2 of 4")
	}
	close(step)
	o.flush(time.Minute)
}

func TestOutboxBeats(t *testing.T) {
	o := newOutbox(4, func(int) error { return nil })
	if due, next := o.beat(time.Hour); !due || next != time.Hour {
		t.Errorf("a silent stream: %v, %v", due, next)
	}
	o.put(1)
	o.flush(time.Minute)
	if due, next := o.beat(time.Hour); due || next <= 59*time.Minute || next > time.Hour {
		t.Errorf("a stream that has just said something: %v, %v", due, next)
	}
	if due, _ := o.beat(0); !due {
		t.Error("nothing is due although the time has passed")
	}
}

func TestOutboxGivesUpAStalledReader(t *testing.T) {
	block := make(chan struct{})
	o := newOutbox(4, func(int) error { <-block; return nil })
	o.put(1)
	if due, _ := o.beat(time.Hour); due || o.Err() != nil {
		t.Errorf("a reader that is a little slow: %v, %v", due, o.Err())
	}
	o.beat(0)
	<-o.failed
	if !errors.Is(o.Err(), errSlow) {
		t.Error(o.Err())
	}
	close(block)
	o.flush(time.Minute)
}

func TestOutboxEndsWithTheStream(t *testing.T) {
	gone := errors.New("gone")
	o := newOutbox(4, func(int) error { return gone })
	o.put(1)
	<-o.failed
	if !errors.Is(o.Err(), gone) {
		t.Error(o.Err())
	}
}

func TestOrderedKeepsTheOrderOfAKeyOnly(t *testing.T) {
	o := &ordered{limit: make(chan struct{}, 64)}
	var mu sync.Mutex
	seen := map[string][]int{}
	release := make(chan struct{})
	o.run(nil, "slow", func() { <-release })
	for i := range 1000 {
		key := string(rune('a' + i%7))
		o.run(nil, key, func() {
			mu.Lock()
			defer mu.Unlock()
			seen[key] = append(seen[key], i)
		})
	}
	close(release)
	o.wait(time.Minute)
	for key, list := range seen {
		for i := 1; i < len(list); i++ {
			if list[i] <= list[i-1] {
				t.Fatalf("%s: %d after %d", key, list[i], list[i-1])
			}
		}
	}
	if len(o.last) != 0 {
		t.Errorf("%d keys are remembered although nothing runs", len(o.last))
	}
}

func TestOrderedIsBounded(t *testing.T) {
	o := &ordered{limit: make(chan struct{}, 3)}
	var now, most atomic.Int32
	stop := make(chan struct{})
	for range 100 {
		o.run(stop, "", func() {})
		o.run(stop, string(now.Load()), func() {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			now.Add(-1)
		})
	}
	o.wait(time.Minute)
	if most.Load() > 3 {
		t.Errorf("%d ran at once", most.Load())
	}
	o.limit <- struct{}{}
	o.limit <- struct{}{}
	o.limit <- struct{}{}
	close(stop)
	if o.run(stop, "", func() { t.Error("ran without room") }) {
		t.Error("work was taken after the stop")
	}
}

// bareStream is a stream that nothing is sent on.
type bareStream struct{ grpc.ServerStream }

func (bareStream) Context() context.Context { return context.Background() }

// TestAPanicIsInternalAndLogged: it ends the request, not the daemon.
func TestAPanicIsInternalAndLogged(t *testing.T) {
	var logged strings.Builder
	i := &interceptor{server: &Server{}, log: slog.New(slog.NewTextHandler(&logged, nil)), observe: func(_ string, code codes.Code, _ time.Duration) {
		if code != codes.Internal {
			t.Errorf("observed %v", code)
		}
	}, limits: newLimiter(Limits{}, nil)}
	boom := func(context.Context, any) (any, error) { panic("boom: secret") }
	_, err := i.unary(context.Background(), nil, &grpc.UnaryServerInfo{FullMethod: "/greenlane.v1.AgentService/Accept"}, boom)
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("unary: %v", err)
	}
	err = i.stream(nil, bareStream{}, &grpc.StreamServerInfo{FullMethod: "/greenlane.v1.AgentService/Session"}, func(any, grpc.ServerStream) error { panic("boom: secret") })
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("stream: %v", err)
	}
	s := &Server{log: i.log}
	s.guarded("a goroutine", func(e error) { err = e }, func() { panic("boom: secret") })
	if status.Code(err) != codes.Internal {
		t.Errorf("goroutine: %v", err)
	}
	if n := strings.Count(logged.String(), "boom: secret"); n != 3 || !strings.Contains(logged.String(), "inside_test.go") {
		t.Errorf("%d panics are logged with their stack:\n%s", n, logged.String())
	}
}

func TestGroupWaitsAndTakesNoMore(t *testing.T) {
	var g group
	release := make(chan struct{})
	g.run(func() { <-release })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := g.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	g.run(func() { t.Error("begun after wait") })
	close(release)
	if err := g.wait(context.Background()); err != nil {
		t.Error(err)
	}
	if err := new(group).wait(context.Background()); err != nil {
		t.Error(err)
	}
}
