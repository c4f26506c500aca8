package redisq_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

// work lives through calls with one agent at one daemon. It ends its goroutine when
// that does not go.
func work(t *testing.T, e *redisq.Engine, name string, lives int) {
	ctx := ctxOf(t)
	do := func(cmd queue.Command) (queue.Result, bool) {
		res, err := e.Do(ctx, cmd)
		if err != nil && !errors.Is(err, queue.ErrOfferEnded) { // a VIP came
			t.Errorf("%s: %s: %v", name, cmd.Kind(), err)
			runtime.Goexit()
		}
		return res, err == nil
	}
	do(&queue.SignIn{Agent: name, Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
	for i := range lives {
		do(&queue.Arrive{Call: fmt.Sprint(name, "-", i), Switch: "s1", Tier: tiering.Tiers[i%len(tiering.Tiers)]})
		for served := false; !served; {
			res, _ := do(&queue.Attach{Agent: name, Owner: "d-" + name, Token: "t", Presence: queue.PresentPoll, Wait: time.Hour})
			if res.Offer == nil {
				continue
			}
			if _, served = do(&queue.Accept{Agent: name, Offer: res.Offer.Epoch}); served {
				do(&queue.Complete{Agent: name, Call: res.Offer.Call.ID})
			}
		}
	}
}

// allEvents reads the whole log.
func allEvents(t *testing.T, e *redisq.Engine) (log []queue.Event) {
	t.Helper()
	last, err := e.LastEvent(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	for uint64(len(log)) < last {
		events, err := e.Events(ctxOf(t), uint64(len(log)), 1000)
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, events...)
	}
	return log
}

// TestThreeDaemons has three daemons commit as fast as they can, each in the others'
// way: every one gets on, nothing is done twice, and all end with the same copy.
func TestThreeDaemons(t *testing.T) {
	const agents, lives = 4, 60
	server := redistest.Start(t, redistest.Options{})
	var engines []*redisq.Engine
	var behind atomic.Int64
	for range 3 {
		engines = append(engines, open(t, server.Client(), redisq.Options{}, func(s *queue.Site) { s.OwnerLease = time.Hour }))
	}
	var all sync.WaitGroup
	for d, e := range engines {
		for a := range agents {
			all.Go(func() { work(t, e, fmt.Sprintf("a%d%d", d, a), lives) })
		}
	}
	all.Wait()
	for d, e := range engines {
		late, worst := e.Conflicts()
		t.Logf("daemon %d: %d times too late, %d in a row at most", d, late, worst)
		behind.Add(int64(late))
		if worst > 20 {
			t.Errorf("daemon %d was too late %d times in a row", d, worst)
		}
	}
	version := server.Client().HGet(ctxOf(t), key(engines[0], "site"), "version").Val()
	t.Logf("%d of %s commits were too late", behind.Load(), version)
	if behind.Load() == 0 {
		t.Error("nobody was in anybody's way")
	}
	log := allEvents(t, engines[0])
	site := queue.DefaultSite("main")
	if err := queuetest.NewChecker(site).Events(log); err != nil {
		t.Error(err)
	}
	ends := map[string]int{}
	for _, ev := range log {
		if ev.Type == queue.EventCallCompleted {
			ends[ev.Call]++
		}
	}
	if len(ends) != 3*agents*lives {
		t.Errorf("%d calls were completed, want %d", len(ends), 3*agents*lives)
	}
	for call, n := range ends {
		if n != 1 {
			t.Errorf("%s was completed %d times", call, n)
		}
	}
	mustAgree(t, engines...)
}

// mustAgree checks that engines show the same, at the same event.
func mustAgree(t *testing.T, engines ...*redisq.Engine) {
	t.Helper()
	var first string
	for i, e := range engines {
		snap := answered(t, e.Snapshot)
		snap.At = 0
		for q := range snap.Queues {
			for tier := range snap.Queues[q].Tiers {
				snap.Queues[q].Tiers[tier].OldestWait = 0
			}
		}
		calls := answered(t, func(ctx context.Context) ([]queue.Call, error) {
			list, _, err := e.Calls(ctx, queue.CallFilter{Limit: 1000})
			return list, err
		})
		shown := fmt.Sprintf("%+v\n%+v", snap, calls)
		if first == "" {
			first = shown
		}
		if shown != first {
			t.Errorf("engine %d shows\n%s, the first one\n%s", i, shown, first)
		}
	}
}

// loss is a hook that loses scripts' replies, or the scripts.
type loss struct {
	before, after atomic.Int64 // how many
}

func (l *loss) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (l *loss) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !strings.HasPrefix(cmd.Name(), "eval") {
			return next(ctx, cmd)
		}
		if l.before.Add(-1) >= 0 {
			cmd.SetErr(errLoss)
			return errLoss
		}
		err := next(ctx, cmd)
		if l.after.Add(-1) >= 0 {
			cmd.SetErr(errLoss)
			return errLoss
		}
		return err
	}
}

func (l *loss) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

var errLoss = errors.New("the connection is lost")

// TestARepeatFindsOutWhatHappened: a commit whose reply is lost is in or not; the
// daemon finds out before it decides anything else.
func TestARepeatFindsOutWhatHappened(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	lost := &loss{}
	client.AddHook(lost)
	e := open(t, client, redisq.Options{NoTimers: true})
	onDuty(t, e, "a1")
	for i, lose := range []*atomic.Int64{&lost.before, &lost.after} {
		call := fmt.Sprint("c", i)
		cmd := arrive(call)
		lose.Store(1)
		if _, err := e.Do(ctxOf(t), cmd); !errors.Is(err, queue.ErrUnavailable) {
			t.Fatalf("%s: %v", call, err)
		}
		// A question first: it must not show what may not have happened.
		info, err := e.Call(ctxOf(t), call)
		if there := i == 1; (err == nil) != there {
			t.Errorf("%s: %v", call, err)
		} else if there && info.Call.Seq != uint64(i+1) {
			t.Errorf("%s has place %d", call, info.Call.Seq)
		}
		res := do(t, e, cmd)
		if res.Duplicate != (i == 1) || res.Call.Seq != uint64(i+1) {
			t.Errorf("%s: duplicate %v, place %d", call, res.Duplicate, res.Call.Seq)
		}
	}
	offer := offerOf(t, e, "a1")
	accept := &queue.Accept{Request: queue.Request{ID: "r", Print: 1}, Agent: "a1", Offer: offer.Epoch}
	lost.after.Store(1)
	if _, err := e.Do(ctxOf(t), accept); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatal(err)
	}
	if res := do(t, e, accept); !res.Duplicate || res.Call.ID != "c0" {
		t.Errorf("%+v", res)
	}
	log := allEvents(t, e)
	if err := queuetest.NewChecker(queue.DefaultSite("main")).Events(log); err != nil {
		t.Error(err)
	}
	mustAgree(t, e, open(t, client, redisq.Options{NoTimers: true}))
}

// TestAnotherHistory: a failover that loses the last commits makes room for others
// under the same numbers. A daemon that knows the lost ones finds out, although the
// numbers fit.
func TestAnotherHistory(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := ctxOf(t)
	e := open(t, client, redisq.Options{NoTimers: true})
	do(t, e, arrive("c1"))
	do(t, e, arrive("c2"))
	for _, k := range e.Keys() { // what the replica had
		client.Copy(ctx, k, "kept:{main}:"+k, 0, true)
	}
	do(t, e, arrive("lost"))
	if _, err := e.Events(ctx, 2, 1); err != nil {
		t.Fatal(err)
	}
	promote := redis.NewScript(`for _, k in ipairs(KEYS) do redis.call('DEL', k) redis.call('COPY', 'kept:{main}:' .. k, k) end`)
	other := open(t, client, redisq.Options{NoTimers: true})
	if err := promote.Run(ctx, client, e.Keys()).Err(); err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := other.Close(ctx); err != nil {
		t.Fatal(err)
	}
	other = open(t, client, redisq.Options{NoTimers: true})
	do(t, other, arrive("instead")) // the version that "lost" had
	if _, err := e.Call(ctx, "lost"); !errors.Is(err, queue.ErrCallNotFound) {
		t.Errorf("what was lost: %v", err)
	}
	if info, err := e.Call(ctx, "instead"); err != nil || info.Position != 3 || info.Call.Seq != 3 {
		t.Errorf("%+v, %v", info, err)
	}
	if res := do(t, e, arrive("c4")); res.Position != 4 {
		t.Errorf("c4 is at %d", res.Position)
	}
	events, err := e.Events(ctx, 2, 10)
	if err != nil || events[0].Call != "instead" || events[1].Call != "c4" {
		t.Errorf("%+v, %v", events, err)
	}
	mustAgree(t, e, other)
}

// TestFarBehind: a daemon whose commits are no longer kept reads the site anew, and
// its readers miss nothing.
func TestFarBehind(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	log := new(logtest.Buffer)
	one, two := open(t, client, redisq.Options{NoTimers: true}), open(t, client, redisq.Options{NoTimers: true, Logger: log.Logger()})
	do(t, one, arrive("c1"))
	if _, err := two.Call(ctxOf(t), "c1"); err != nil {
		t.Fatal(err)
	}
	client.XTrimMaxLen(ctxOf(t), key(one, "commits"), 0)
	do(t, one, arrive("c2"))
	if info, err := two.Call(ctxOf(t), "c2"); err != nil || info.Position != 2 {
		t.Errorf("%+v, %v", info, err)
	}
	if !log.Has("read anew") || log.Has("was cut") {
		t.Error("it did not read the site anew, or took the log for another one")
	}
	if events, err := two.Events(ctxOf(t), 1, 10); err != nil || len(events) != 1 || events[0].Call != "c2" {
		t.Errorf("%+v, %v", events, err)
	}
	mustAgree(t, one, two)
}

// TestOpenedWhileOthersCommit: what is read a part at a time, while others change
// it, is of one instant in the end.
func TestOpenedWhileOthersCommit(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	busy := open(t, server.Client(), redisq.Options{NoTimers: true}, func(s *queue.Site) { s.Queues[0].Capacity = 10_000 })
	var filling sync.WaitGroup
	for i := range 50 {
		filling.Go(func() {
			for n := range 60 {
				do(t, busy, arrive(fmt.Sprint("w", i, "-", n)))
			}
		})
	}
	filling.Wait()
	var all sync.WaitGroup
	for a := range 8 {
		all.Go(func() { work(t, busy, fmt.Sprint("a", a), 60) })
	}
	for range 5 {
		mustAgreeLater(t, busy, open(t, server.Client(), redisq.Options{NoTimers: true}, func(s *queue.Site) { s.Queues[0].Capacity = 10_000 }))
	}
	all.Wait()
	mustAgree(t, busy, open(t, server.Client(), redisq.Options{NoTimers: true}, func(s *queue.Site) { s.Queues[0].Capacity = 10_000 }))
}

// mustAgreeLater has an engine that was just opened take part.
func mustAgreeLater(t *testing.T, busy, e *redisq.Engine) {
	t.Helper()
	for i := range 10 {
		id := fmt.Sprintf("late%p-%d", e, i)
		if res := do(t, e, arrive(id)); res.Call.ID != id {
			t.Errorf("%+v", res.Call)
		}
		if _, err := busy.Call(ctxOf(t), id); err != nil {
			t.Error(err)
		}
	}
}

// TestOtherSettings: the daemon that is opened last brings the settings; those that
// run on take them over with their next command, and nobody who waits is lost.
func TestOtherSettings(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	log := new(logtest.Buffer)
	old := open(t, client, redisq.Options{NoTimers: true, Logger: log.Logger()}, func(s *queue.Site) {
		s.Queues = append(s.Queues, queue.DefaultQueue("retired"))
	})
	do(t, old, arrive("c1"))
	c2 := arrive("c2")
	c2.Queue = "retired"
	do(t, old, c2)
	fresh := open(t, client, redisq.Options{NoTimers: true}, func(s *queue.Site) {
		s.Queues = append(s.Queues, queue.DefaultQueue("new"))
	})
	c3 := arrive("c3")
	c3.Queue = "new"
	if res := do(t, old, c3); res.Call.Queue != "new" || res.Position != 1 {
		t.Errorf("%+v", res.Call)
	}
	if !log.Has("settings") {
		t.Error("it did not say that it took other settings over")
	}
	for _, e := range []*redisq.Engine{old, fresh} {
		if info, err := e.Call(ctxOf(t), "c2"); err != nil || info.Call.State != queue.CallWaiting || info.Position != 1 {
			t.Errorf("%+v, %v", info, err)
		}
	}
	do(t, old, &queue.Abandon{Call: "c2", Switch: "s1"})
	mustAgree(t, old, fresh)
}
