package redisq_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

func TestScriptsThatVanish(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{})
	onDuty(t, e, "a1")
	if err := client.ScriptFlush(ctxOf(t)).Err(); err != nil {
		t.Fatal(err)
	}
	do(t, e, arrive("c1"))
	do(t, e, &queue.Accept{Agent: "a1", Offer: offerOf(t, e, "a1").Epoch})
}

func TestARedisThatIsKilled(t *testing.T) {
	server := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	e := open(t, server.Client(), redisq.Options{Timeout: time.Second})
	onDuty(t, e, "a1")
	for i := range 20 {
		do(t, e, arrive(fmt.Sprint("c", i)))
	}
	offer := offerOf(t, e, "a1")
	server.Kill()
	if _, err := e.Do(ctxOf(t), arrive("late")); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("without a Redis: %v", err)
	}
	ok, changed, _ := e.Healthy()
	if ok {
		t.Error("it says that it is healthy")
	}
	select {
	case <-e.Failed():
		t.Fatal("it has failed; it is to wait")
	default:
	}
	server.Restart()
	select {
	case <-changed:
	case <-time.After(limit):
		t.Fatal("it does not notice that Redis is back")
	}
	if got := again(t, e, &queue.Accept{Request: queue.Request{ID: "r"}, Agent: "a1", Offer: offer.Epoch}); got.Call.ID != "c0" {
		t.Errorf("accepted %s", got.Call.ID)
	}
	for i := 1; i < 20; i++ {
		if at := callOf(t, e, fmt.Sprint("c", i)).Position; at != i {
			t.Fatalf("c%d: position %d", i, at)
		}
	}
}

func TestARedisThatPauses(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{Timeout: 100 * time.Millisecond, ConfirmWithin: time.Millisecond})
	do(t, e, arrive("c0"))
	if err := client.Do(ctxOf(t), "client", "pause", 500, "all").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Do(ctxOf(t), arrive("c1")); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("while it pauses: %v", err)
	}
	again(t, e, arrive("c1"))
	if all := answered(t, e.Snapshot).Queues[0].Tiers[2].Totals; all.Joined != 2 {
		t.Errorf("joined %+v", all)
	}
}

// TestFullMemory fills Redis until it takes no more calls, and empties it.
func TestFullMemory(t *testing.T) {
	client := redistest.Start(t, redistest.Options{MaxMemory: "6mb"}).Client()
	e := open(t, client, redisq.Options{})
	onDuty(t, e, "a1")
	n := 0
	for ; ; n++ {
		_, err := e.Do(ctxOf(t), &queue.Arrive{Call: fmt.Sprint("c", n), Switch: "s1", Dialed: strings.Repeat("9", 500)})
		if errors.Is(err, queue.ErrUnavailable) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n < 100 {
		t.Fatalf("full after %d calls", n)
	}
	if err := e.Close(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	e = open(t, client, redisq.Options{}) // another daemon
	offer := offerOf(t, e, "a1")
	do(t, e, &queue.Decline{Agent: "a1", Offer: offer.Epoch})
	offer = offerOf(t, e, "a1")
	do(t, e, &queue.Accept{Agent: "a1", Offer: offer.Epoch})
	do(t, e, &queue.Complete{Agent: "a1", Call: offer.Call.ID})
	for i := range n {
		do(t, e, &queue.Abandon{Call: fmt.Sprint("c", i), Switch: "s1"})
	}
	do(t, e, &queue.SignOut{Agent: "a1", Force: true})
	do(t, e, &queue.Tick{})
	snap, err := e.Snapshot(ctxOf(t))
	if err != nil || snap.Queues[0].Tiers[2].Waiting != 0 {
		t.Errorf("%d calls wait, %v", snap.Queues[0].Tiers[2].Waiting, err)
	}
}

func TestTwoDaemons(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	one, two := open(t, client, redisq.Options{}), open(t, client, redisq.Options{}, func(s *queue.Site) {})
	onDuty(t, two, "a1")
	last, err := two.LastEvent(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	do(t, one, arrive("c1"))
	var offer uint64
	for offer == 0 {
		events, err := two.Events(ctxOf(t), last, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			last = ev.Seq
			if ev.Type == queue.EventCallOffered {
				offer = ev.Offer
				// Whoever has seen the event finds the agent as it left him.
				if _, o, err := two.Agent(ctxOf(t), "a1"); err != nil || o == nil || o.Epoch != offer || o.Call.ID != "c1" {
					t.Errorf("the agent has %+v, %v", o, err)
				}
			}
		}
	}
	if res := do(t, two, &queue.Accept{Agent: "a1", Offer: offer}); res.Call.ID != "c1" {
		t.Errorf("accepted %+v", res.Call)
	}
	if res := do(t, one, &queue.Accept{Agent: "a1", Offer: offer}); !res.Duplicate {
		t.Error("accepted twice")
	}
}

// TestATimerOfADeadDaemon: what one daemon armed, another one fires.
func TestATimerOfADeadDaemon(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	short := func(s *queue.Site) { s.Queues[0].Threshold = 300 * time.Millisecond }
	one, err := redisq.Open(ctxOf(t), client, shortSite(short), redisq.Options{})
	if err != nil {
		t.Fatal(err)
	}
	two := open(t, client, redisq.Options{}, short)
	do(t, one, arrive("c1"))
	if err := one.Close(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	events, err := two.Events(ctxOf(t), 1, 1)
	if err != nil || events[0].Type != queue.EventCallLate {
		t.Errorf("%+v, %v", events, err)
	}
}

func shortSite(change func(*queue.Site)) queue.Site {
	site := queue.DefaultSite("main")
	change(&site)
	return site
}

func TestForeignKeysStopTheStart(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{})
	keys := e.Keys()
	if err := client.HSet(ctxOf(t), keys[0], "schema", "99").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := redisq.Open(ctxOf(t), client, queue.DefaultSite("main"), redisq.Options{})
	if schema, ok := errors.AsType[*redisq.SchemaError](err); !ok || schema.Found != "99" || !strings.Contains(err.Error(), "another name") {
		t.Errorf("another version: %v", err)
	}
	client.Del(ctxOf(t), keys...)
	client.HSet(ctxOf(t), keys[1], "x", "y")
	if _, err := redisq.Open(ctxOf(t), client, queue.DefaultSite("main"), redisq.Options{}); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("keys of somebody else: %v", err)
	}
}

// key returns the name of one of an engine's keys.
func key(e *redisq.Engine, name string) string {
	for _, k := range e.Keys() {
		if strings.HasSuffix(k, ":"+name) {
			return k
		}
	}
	panic("there is no key " + name)
}

// TestDamage: what can't be read is set aside under its name, every daemon hears of
// it, and the rest goes on.
func TestDamage(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	log := new(logtest.Buffer)
	running := open(t, client, redisq.Options{})
	do(t, running, arrive("c1"))
	do(t, running, arrive("c2"))
	do(t, running, arrive("c3"))
	calls := key(running, "calls")
	whole := client.HGet(ctxOf(t), calls, "2").Val()
	for field, value := range map[string]string{"1": "\xc1rubbish", "3": whole} { // rubbish, and another's record
		if err := client.HSet(ctxOf(t), calls, field, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	e := open(t, client, redisq.Options{Logger: log.Logger()})
	onDuty(t, e, "a1")
	if o := offerOf(t, e, "a1"); o.Call.ID != "c2" {
		t.Errorf("offered %s", o.Call.ID)
	}
	if aside := client.HGetAll(ctxOf(t), key(e, "damaged")).Val(); len(aside) != 2 || aside["calls 1 at 4"] != "\xc1rubbish" || aside["calls 3 at 4"] != whole {
		t.Errorf("set aside: %q", aside)
	}
	if !log.Has("calls 1") || !log.Has("calls 3") {
		t.Error("nobody was told")
	}
	if _, err := running.Call(ctxOf(t), "c1"); !errors.Is(err, queue.ErrCallNotFound) {
		t.Errorf("the daemon that runs on: %v", err)
	}
	do(t, running, &queue.Accept{Agent: "a1", Offer: offerOf(t, e, "a1").Epoch})
}

// TestDamagedCounters: they are made up so that no number is given twice.
func TestDamagedCounters(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	first := open(t, client, redisq.Options{})
	onDuty(t, first, "a1")
	do(t, first, arrive("c1"))
	do(t, first, arrive("c2"))
	offer := offerOf(t, first, "a1")
	last, err := first.LastEvent(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(ctxOf(t), key(first, "site"), "meta", "rubbish").Err(); err != nil {
		t.Fatal(err)
	}
	log := new(logtest.Buffer)
	e := open(t, client, redisq.Options{Logger: log.Logger()})
	if aside := client.HGetAll(ctxOf(t), key(e, "damaged")).Val(); aside["meta counters at 5"] != "rubbish" || !log.Has("counters") {
		t.Errorf("set aside: %q", aside)
	}
	if res := do(t, e, arrive("c3")); res.Call.Seq != 3 {
		t.Errorf("c3 has place %d", res.Call.Seq)
	}
	do(t, e, &queue.Accept{Agent: "a1", Offer: offer.Epoch})
	do(t, e, &queue.Complete{Agent: "a1", Call: "c1"})
	if next := offerOf(t, e, "a1"); next.Epoch <= offer.Epoch {
		t.Errorf("epoch %d after %d", next.Epoch, offer.Epoch)
	}
	if events, err := first.Events(ctxOf(t), last, 1); err != nil || events[0].Seq != last+1 {
		t.Errorf("%+v, %v", events, err)
	}
}

// TestMend: what is left active without an offer comes back when the site is read.
func TestMend(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	was := open(t, client, redisq.Options{NoTimers: true})
	onDuty(t, was, "a1")
	onDuty(t, was, "a2")
	do(t, was, arrive("c1")) // offered
	do(t, was, arrive("c2")) // offered and answered
	do(t, was, arrive("c3"))
	do(t, was, &queue.Accept{Agent: "a2", Offer: offerOf(t, was, "a2").Epoch})
	offer := offerOf(t, was, "a1")
	if err := was.Close(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	client.HDel(ctxOf(t), key(was, "offers"), fmt.Sprint(offer.Epoch))
	client.HDel(ctxOf(t), key(was, "calls"), "2")
	log := new(logtest.Buffer)
	e := open(t, client, redisq.Options{NoTimers: true, Logger: log.Logger()})
	// Both are ready again, and get who waits, in the old order.
	for agent, want := range map[string]string{"a1": "c1", "a2": "c3"} {
		if o := offerOf(t, e, agent); o.Call.ID != want || o.Epoch <= offer.Epoch {
			t.Errorf("%s is offered %s by %d, want %s", agent, o.Call.ID, o.Epoch, want)
		}
	}
	for _, what := range []string{"call c1 was offered without an offer", "agent a2 talked without a call"} {
		if !log.Has(what) {
			t.Errorf("nobody was told that %s", what)
		}
	}
	if _, err := e.Do(ctxOf(t), &queue.Accept{Agent: "a1", Offer: offer.Epoch}); err == nil {
		t.Error("the lost offer is accepted")
	}
}

// TestALogThatWasCut: a reader learns that Redis has lost the end of the log.
func TestALogThatWasCut(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{})
	for i := range 5 {
		do(t, e, arrive(fmt.Sprint("c", i)))
	}
	got := make(chan error, 1)
	go func() {
		_, err := e.Events(ctxOf(t), 5, 10)
		got <- err
	}()
	if err := client.FlushAll(ctxOf(t)).Err(); err != nil {
		t.Fatal(err)
	}
	do(t, e, arrive("new")) // its settings are put in place again
	select {
	case err := <-got:
		if cut, ok := errors.AsType[*queue.Error](err); !ok || !errors.Is(err, queue.ErrTrimmed) || cut.Oldest > 2 {
			t.Errorf("the reader was told %v", err)
		}
	case <-time.After(limit):
		t.Fatal("the reader waits in silence")
	}
	if _, err := e.Events(ctxOf(t), 77, 10); !errors.Is(err, queue.ErrTrimmed) {
		t.Errorf("a cursor beyond the end: %v", err)
	}
}

func TestUnconfirmed(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{MinReplicas: 1, ConfirmWithin: 20 * time.Millisecond})
	// The repeat changes nothing, and yet nobody has confirmed what it acknowledges.
	for _, what := range []string{"a commit", "its repeat"} {
		_, err := e.Do(ctxOf(t), arrive("c1"))
		if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1") {
			t.Errorf("%s without a replica: %v", what, err)
		}
	}
}

func TestFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s := redistest.StartSentinel(t, redistest.SentinelOptions{Replicas: 2})
	e := open(t, s.Client(), redisq.Options{MinReplicas: 1, Timeout: time.Second})
	onDuty(t, e, "a1")
	for i := range 50 {
		again(t, e, arrive(fmt.Sprint("c", i)))
	}
	old := s.Master()
	old.Kill()
	began := time.Now()
	again(t, e, arrive("after"))
	t.Logf("served again after %v", time.Since(began))
	for i := range 50 {
		callOf(t, e, fmt.Sprint("c", i))
	}
	offer := offerOf(t, e, "a1")
	again(t, e, &queue.Accept{Request: queue.Request{ID: "r"}, Agent: "a1", Offer: offer.Epoch})
}

func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	c := redistest.StartCluster(t, redistest.ClusterOptions{})
	e := open(t, c.Client(), redisq.Options{})
	onDuty(t, e, "a1")
	do(t, e, arrive("c1"))
	offer := offerOf(t, e, "a1")
	do(t, e, &queue.Accept{Agent: "a1", Offer: offer.Epoch})
	do(t, e, &queue.Complete{Agent: "a1", Call: "c1"})
	events, err := e.Events(ctxOf(t), 0, 100)
	if err != nil || len(events) != 5 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	before := goleak.IgnoreCurrent()
	quickest := time.Hour
	for range 5 {
		e, err := redisq.Open(ctxOf(t), client, queue.DefaultSite("main"), redisq.Options{})
		if err != nil {
			t.Fatal(err)
		}
		do(t, e, arrive("c1"))
		began := time.Now()
		if err := e.Close(ctxOf(t)); err != nil {
			t.Fatal(err)
		}
		quickest = min(quickest, time.Since(began))
	}
	if quickest > redisq.ListenBlock/2 {
		t.Errorf("closing takes %v: it waits for the log", quickest)
	}
	goleak.VerifyNone(t, before)
}
