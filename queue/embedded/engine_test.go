package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

func TestConcurrentClients(t *testing.T) {
	t.Parallel()
	site := queue.DefaultSite("main")
	var batches, commands int
	e := openSite(t, t.TempDir(), site, Options{NoSync: true, Observe: func(n int, _, _ time.Duration) {
		batches++
		commands += n
	}})
	ctx := context.Background()
	const clients, each = 64, 40
	for i := range clients {
		id := fmt.Sprint("a", i)
		mustDo(t, e, &queue.SignIn{Agent: id, Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
		mustDo(t, e, &queue.Attach{Agent: id, Owner: "d1", Token: id, Presence: queue.PresentPoll, Wait: time.Minute})
	}
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("c%d-%d", c, i)
				first, err := e.Do(ctx, arrive(id))
				if err != nil || first.Call.ID != id {
					t.Errorf("%s: %v %v", id, first.Call, err)
					return
				}
				again, err := e.Do(ctx, arrive(id))
				if err != nil || !again.Duplicate || again.Call.ID != id || again.Call.State != first.Call.State {
					t.Errorf("%s again: %+v %v", id, again, err)
				}
				if _, err := e.Snapshot(ctx); err != nil {
					t.Error(err)
				}
				if _, err := e.Do(ctx, &queue.Abandon{Call: id, Switch: "sw1"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	snap, err := e.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var short int64
	for _, ts := range snap.Queues[0].Tiers {
		short += ts.Totals.Counts.Abandoned()
	}
	if short != clients*each {
		t.Errorf("%d calls were abandoned, want %d", short, clients*each)
	}
	shut(t, e)
	if batches >= commands {
		t.Errorf("%d batches for %d commands: none was shared", batches, commands)
	}
}

// An answer leaves only after the commit of what it saw.
func TestAnswersWaitForTheCommit(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 16), make(chan struct{})
	hold := false
	e := open(t, t.TempDir(), Options{WrapCommit: func(commit func() error) error {
		if hold {
			entered <- struct{}{}
			<-leave
		}
		return commit()
	}})
	mustDo(t, e, &queue.RenewOwner{Owner: "d1"})
	if _, err := decider.Ask(context.Background(), e.Port, func(*queue.Machine, instant.Instant) (int, error) { hold = true; return 0, nil }); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := e.Do(context.Background(), arrive("c1"))
		done <- err
	}()
	<-entered // the machine has decided, the disk has not written
	asked := make(chan error, 1)
	go func() {
		_, err := e.Call(context.Background(), "c1")
		asked <- err
	}()
	if last, err := e.LastEvent(context.Background()); last != 0 || err != nil {
		t.Errorf("LastEvent is %d, %v before the commit", last, err)
	}
	select {
	case err := <-done:
		t.Fatalf("answered before the commit: %v", err)
	case err := <-asked:
		t.Fatalf("a question was answered before the commit: %v", err)
	default:
	}
	close(leave)
	for _, c := range []chan error{done, asked} {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
	if last, err := e.LastEvent(context.Background()); last != 1 || err != nil {
		t.Errorf("LastEvent is %d, %v after the commit", last, err)
	}
}

// nothingHappened reports whether err says that the context ended and no more.
func nothingHappened(err error) bool {
	return errors.Is(err, context.Canceled) && !errors.Is(err, queue.ErrUnavailable)
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 16), make(chan struct{})
	e := open(t, t.TempDir(), Options{MaxPending: 1, WrapCommit: func(commit func() error) error {
		entered <- struct{}{}
		<-leave
		return commit()
	}})
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Do(gone, arrive("never")); !nothingHappened(err) {
		t.Errorf("a context that has ended gives %v", err)
	}

	// Under way: it may happen, and says so.
	ctx1, cancel1 := context.WithCancel(context.Background())
	first := make(chan error, 1)
	go func() { _, err := e.Do(ctx1, arrive("under-way")); first <- err }()
	<-entered
	cancel1()
	if err := <-first; !errors.Is(err, context.Canceled) || !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("under way: %v", err)
	}

	// In the mailbox: it is withdrawn.
	ctx2, cancel2 := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() { _, err := e.Do(ctx2, arrive("waiting")); second <- err }()
	for e.mail.Waiting() == 0 {
		select {
		case err := <-second:
			t.Fatal(err)
		default:
		}
	}
	// Outside the full mailbox: it never got in.
	ctx3, cancel3 := context.WithCancel(context.Background())
	third := make(chan error, 1)
	go func() { _, err := e.Do(ctx3, arrive("outside")); third <- err }()
	cancel3()
	if err := <-third; !nothingHappened(err) {
		t.Errorf("outside: %v", err)
	}
	cancel2()
	if err := <-second; !nothingHappened(err) {
		t.Errorf("waiting: %v", err)
	}

	close(leave)
	for id, want := range map[string]error{"under-way": nil, "waiting": queue.ErrCallNotFound, "outside": queue.ErrCallNotFound, "never": queue.ErrCallNotFound} {
		if _, err := e.Call(context.Background(), id); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
}

func TestCloseFinishesWhatWasSubmitted(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}, 16), make(chan struct{})
	dir := t.TempDir()
	e := open(t, dir, Options{MaxBatch: 1, WrapCommit: func(commit func() error) error {
		entered <- struct{}{}
		<-leave
		return commit()
	}})
	done := make(chan error, 3)
	for i := range 3 {
		go func() { _, err := e.Do(context.Background(), arrive(fmt.Sprint("c", i))); done <- err }()
	}
	<-entered
	for e.mail.Waiting() < 2 {
	}
	waiter := make(chan error, 1)
	go func() { _, err := e.Events(context.Background(), 0, 100); waiter <- err }()

	short, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Close(short); !errors.Is(err, context.Canceled) {
		t.Errorf("Close with a context that has ended: %v", err)
	}
	if _, err := e.Do(context.Background(), arrive("late")); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Do after Close: %v", err)
	}
	close(leave)
	for range 3 {
		if err := <-done; err != nil {
			t.Errorf("submitted before Close: %v", err)
		}
	}
	for range 2 {
		if err := e.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	if err := <-waiter; err != nil && !errors.Is(err, queue.ErrClosed) {
		t.Errorf("a waiting reader got %v", err)
	}
	if _, err := e.Events(context.Background(), 0, 1); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("Events after Close: %v", err)
	}
	if _, err := e.LastEvent(context.Background()); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("LastEvent after Close: %v", err)
	}
	if e.Err() != nil {
		t.Errorf("Err after Close: %v", e.Err())
	}
	select {
	case <-e.Failed():
		t.Error("Failed is closed after Close")
	default:
	}
	page, _, err := open(t, dir, Options{}).Calls(context.Background(), queue.CallFilter{})
	if err != nil || len(page) != 3 {
		t.Errorf("%d calls after reopening, %v", len(page), err)
	}
}

func TestOneProcessPerFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, dir, Options{})
	_, err := Open(dir, testSite(), Options{LockTimeout: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "another process holds it") || !strings.Contains(err.Error(), e.store.path) {
		t.Errorf("a second engine on the file: %v", err)
	}
	shut(t, e)
	shut(t, open(t, dir, Options{}))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	bad := testSite()
	bad.Zone = nil
	outside := testSite()
	outside.Name = "../main"
	for name, c := range map[string]struct {
		site queue.Site
		opts Options
		want string
	}{
		"site":     {bad, Options{}, "site.zone"},
		"name":     {outside, Options{}, "../main"},
		"options":  {testSite(), Options{MaxBatch: -1, LockTimeout: -1}, "LockTimeout"},
		"options2": {testSite(), Options{MaxBatch: -1, LockTimeout: -1}, "MaxBatch"},
	} {
		dir := t.TempDir()
		_, err := Open(dir, c.site, c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to name %s", name, err, c.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, testSite(), Options{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a directory that is a file: %v", err)
	}
}

func TestRefusalsPassThrough(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), Options{})
	ctx := context.Background()
	if _, err := e.Do(ctx, &queue.Arrive{Call: "c", Queue: "none"}); !errors.Is(err, queue.ErrQueueNotFound) {
		t.Error(err)
	}
	if _, err := e.Do(ctx, nil); !errors.Is(err, queue.ErrInvalid) {
		t.Error(err)
	}
	if _, err := e.Call(ctx, "none"); !errors.Is(err, queue.ErrCallNotFound) {
		t.Error(err)
	}
	if _, _, err := e.Agent(ctx, "none"); !errors.Is(err, queue.ErrAgentNotFound) {
		t.Error(err)
	}
	mustDo(t, e, &queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}})
	if a, _, err := e.Agent(ctx, "anna"); err != nil || a.ID != "anna" {
		t.Error(a, err)
	}
	if page, _, err := e.Agents(ctx, queue.AgentFilter{}); err != nil || len(page) != 1 {
		t.Error(page, err)
	}
	mustDo(t, e, arrive("c1"))
	if page, err := e.Positions(ctx, "sw1"); err != nil || len(page) != 1 {
		t.Error(page, err)
	}
	mustDo(t, e, &queue.CreateCallback{Caller: "+8613800138000", Queue: "default", Tier: 2})
	if page, _, err := e.Callbacks(ctx, queue.CallbackFilter{}); err != nil || len(page) != 1 {
		t.Error(page, err)
	}
}

// A result stays as it was whatever happens next.
func TestResultsAreCopies(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), Options{})
	res := mustDo(t, e, arrive("c1"))
	mustDo(t, e, &queue.Abandon{Call: "c1", Switch: "sw1"})
	if res.Call.State != queue.CallWaiting {
		t.Errorf("the first answer now says %v", res.Call.State)
	}
}
