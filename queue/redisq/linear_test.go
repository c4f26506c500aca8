package redisq_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

// The histories that are checked are short, since the search grows quickly with
// what was under way at once; there are many of them instead.
const (
	linearAgents   = 4
	linearSwitches = 3
	linearCalls    = 14 // of each switch
)

// histories is how many histories are made under each fault.
var histories = flag.Int("histories", 8, "how many histories are checked for linearizability under each fault")

// asked is the input of one operation on the line.
type asked struct {
	what        string // enqueue, next, accept or complete
	agent, call int
}

// told is what came of it.
type told struct {
	unknown bool   // nothing was answered: it may have happened, or happen yet
	call    int    // of next: the call offered; -1: none
	seq     uint64 // of enqueue: the call's place
}

// lineState is the line as the promises have it: one queue, first come first
// served, each call with at most one agent.
type lineState struct {
	waiting string // calls, one byte each
	last    uint64 // the highest place that was given; it tells the search who came first
	agents  [linearAgents]deskState
}

type deskState struct {
	phase   byte // 'f'ree, 'o'ffered, 't'alking
	call    int8
	polling bool
}

// give lets a free agent who polls have the first call; it uses the poll up.
func (s lineState) give(agent int) lineState {
	a := &s.agents[agent]
	if a.phase == 'f' && a.polling && s.waiting != "" {
		*a = deskState{phase: 'o', call: int8(s.waiting[0])}
		s.waiting = s.waiting[1:]
	}
	return s
}

// step returns every state that the line may be in after an operation; none when
// the line can't have answered so.
func (s lineState) step(in asked, out told) []any {
	a := s.agents[max(in.agent, 0)]
	switch in.what {
	case "enqueue":
		if !out.unknown {
			if out.seq <= s.last {
				return nil
			}
			s.last = out.seq
		}
		s.waiting += string([]byte{byte(in.call)})
		var after []any
		for i := range s.agents {
			if given := s.give(i); given != s {
				after = append(after, given) // who of several has been idle longest is not modelled
			}
		}
		if after == nil {
			after = []any{s}
		}
		return after
	case "next":
		if a.phase == 'o' {
			s.agents[in.agent].polling = false
		} else {
			s.agents[in.agent].polling = true
			s = s.give(in.agent)
		}
		got := -1
		if now := s.agents[in.agent]; now.phase == 'o' {
			got = int(now.call)
		}
		if !out.unknown && out.call != got {
			return nil
		}
		return []any{s}
	case "accept":
		if a.phase != 'o' || int(a.call) != in.call {
			return nil
		}
		s.agents[in.agent].phase = 't'
		return []any{s}
	default:
		if a.phase != 't' || int(a.call) != in.call {
			return nil
		}
		s.agents[in.agent].phase, s.agents[in.agent].call = 'f', 0
		return []any{s.give(in.agent)}
	}
}

func lineModel() porcupine.Model {
	nd := porcupine.NondeterministicModel{
		Init: func() []any {
			var s lineState
			for i := range s.agents {
				s.agents[i].phase = 'f'
			}
			return []any{s}
		},
		Step:  func(state, in, out any) []any { return state.(lineState).step(in.(asked), out.(told)) },
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v -> %+v", in, out)
		},
	}
	return nd.ToModel()
}

// history is what several clients asked and were told.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	n     atomic.Int64
	hit   chan struct{} // closed when half of the calls came
}

// note records an operation. One whose outcome is unknown may happen at any time
// from its beginning on.
func (h *history) note(client int, in asked, out told, from, to time.Time) {
	op := porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: int64(from.Sub(h.began)), Return: int64(to.Sub(h.began)),
	}
	if out.unknown {
		op.Return = int64(time.Hour)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// linear is one history in the making: clients of two engines on one Redis.
type linear struct {
	*history
	t       *testing.T
	engines [2]*redisq.Engine
	news    chan struct{} // one for each call sent
	over    chan struct{} // closed when no more calls come
}

// try asks either engine once. An engine that did not answer is waited for until
// it hears from Redis again, so that an outage does not fill the history with
// operations of unknown outcome.
func (l *linear) try(chance *rand.Rand, cmd queue.Command) (queue.Result, time.Time, error) {
	e := l.engines[chance.IntN(2)]
	res, err := e.Do(ctxOf(l.t), cmd)
	answered := time.Now()
	if errors.Is(err, queue.ErrUnavailable) {
		if ok, changed, _ := e.Healthy(); !ok {
			select {
			case <-changed:
			case <-ctxOf(l.t).Done():
				l.t.Error("an engine does not come back")
			}
		}
	}
	return res, answered, err
}

// settle repeats a command, which has a request id, until it is answered.
func (l *linear) settle(chance *rand.Rand, cmd queue.Command) (queue.Result, time.Time, error) {
	for ctx := ctxOf(l.t); ; {
		res, answered, err := l.try(chance, cmd)
		if !errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil {
			return res, answered, err
		}
	}
}

// callsOf lets one switch's calls arrive. Some arrivals are not repeated when
// there was no answer.
func (l *linear) callsOf(number int) {
	chance := rand.New(rand.NewPCG(uint64(number), 21))
	for i := range linearCalls {
		call := number*linearCalls + i
		cmd := &queue.Arrive{
			Request: queue.Request{ID: fmt.Sprint("arrive ", call), Print: 1}, Call: fmt.Sprint(call), Switch: fmt.Sprint("s", number), Tier: tiering.Ordinary,
		}
		in, from := asked{what: "enqueue", agent: -1, call: call}, time.Now()
		res, answered, err := l.try(chance, cmd)
		if errors.Is(err, queue.ErrUnavailable) && chance.IntN(3) > 0 {
			res, answered, err = l.settle(chance, cmd)
		}
		if err != nil && !errors.Is(err, queue.ErrUnavailable) {
			l.t.Errorf("arrival of %d: %v", call, err)
			return
		}
		out := told{unknown: err != nil}
		if err == nil {
			out.seq = res.Call.Seq
		}
		l.note(linearAgents+number, in, out, from, answered)
		l.news <- struct{}{}
		if l.n.Add(1) == linearSwitches*linearCalls/2 {
			close(l.hit)
		}
	}
}

// work lets one agent take calls until no more come and none waits.
func (l *linear) work(agent int) {
	chance := rand.New(rand.NewPCG(uint64(agent), 22))
	for last := false; ; {
		offer, ok := l.next(chance, agent)
		if offer == nil {
			if ok && last {
				return
			}
			select {
			case <-l.news:
			case <-l.over:
				last = true
			}
			continue
		}
		name, call := fmt.Sprint("a", agent), 0
		if _, err := fmt.Sscan(offer.Call.ID, &call); err != nil {
			l.t.Errorf("offered %q", offer.Call.ID)
			return
		}
		for _, step := range []struct {
			what string
			cmd  queue.Command
		}{
			{"accept", &queue.Accept{Request: queue.Request{ID: fmt.Sprint("accept ", call, agent), Print: 1}, Agent: name, Offer: offer.Epoch}},
			{"complete", &queue.Complete{Request: queue.Request{ID: fmt.Sprint("complete ", call, agent), Print: 1}, Agent: name, Call: offer.Call.ID}},
		} {
			from := time.Now()
			_, answered, err := l.settle(chance, step.cmd)
			if err != nil {
				l.t.Errorf("%s of call %d by agent %d: %v", step.what, call, agent, err)
				return
			}
			l.note(agent, asked{step.what, agent, call}, told{}, from, answered)
		}
	}
}

// next polls once; ok says that there was an answer. A poll has no request id:
// each is an operation of its own.
func (l *linear) next(chance *rand.Rand, agent int) (offer *queue.Offer, ok bool) {
	from := time.Now()
	res, answered, err := l.try(chance, &queue.Attach{
		Agent: fmt.Sprint("a", agent), Owner: "d1", Token: "t", Presence: queue.PresentPoll, Wait: time.Hour,
	})
	out := told{call: -1, unknown: err != nil}
	if err != nil && !errors.Is(err, queue.ErrUnavailable) {
		l.t.Errorf("agent %d: %v", agent, err)
	}
	if res.Offer != nil {
		if _, err := fmt.Sscan(res.Offer.Call.ID, &out.call); err != nil {
			l.t.Errorf("offered %q", res.Offer.Call.ID)
		}
	}
	l.note(agent, asked{"next", agent, 0}, out, from, answered)
	return res.Offer, err == nil
}

// TestLinearizable has clients of two engines queue calls up and take them while
// Redis pauses, drops connections, or is killed and started again; every history
// must be one that a single, faultless line could have given.
func TestLinearizable(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real Redis many times")
	}
	server := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	admin := server.Client()
	faults := map[string]func() error{
		"pause":             func() error { return admin.Do(ctxOf(t), "client", "pause", 250, "all").Err() },
		"connection killed": func() error { return admin.Do(ctxOf(t), "client", "kill", "type", "normal").Err() },
		"restart":           func() error { server.Restart(); return nil },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			unknown := 0
			for range *histories {
				l := newLinear(t, server)
				l.play(fault)
				if t.Failed() {
					return
				}
				unknown += l.check()
			}
			t.Logf("%d operations of unknown outcome", unknown)
			if unknown == 0 && name != "connection killed" {
				t.Error("the faults hit nothing")
			}
		})
	}
}

func newLinear(t *testing.T, server *redistest.Server) *linear {
	t.Helper()
	l := &linear{
		t: t, history: &history{began: time.Now(), hit: make(chan struct{})},
		news: make(chan struct{}, linearSwitches*linearCalls), over: make(chan struct{}),
	}
	// The clock stands still: no offer, lease or poll ends by itself.
	fixed := time.Now()
	opts := redisq.Options{
		Prefix: fmt.Sprint("linear", prefixes.Add(1)), Now: func() time.Time { return fixed },
		Timeout: 100 * time.Millisecond, ConfirmWithin: time.Millisecond,
	}
	for i := range l.engines {
		l.engines[i] = open(t, server.Client(), opts)
	}
	for i := range linearAgents {
		again(t, l.engines[0], &queue.SignIn{Agent: fmt.Sprint("a", i), Services: []queue.Service{{Queue: "default", Level: 1}}})
	}
	return l
}

// play makes the history, with a fault in the middle.
func (l *linear) play(fault func() error) {
	l.t.Helper()
	var switches, agents sync.WaitGroup
	for i := range linearAgents {
		agents.Go(func() { l.work(i) })
	}
	for i := range linearSwitches {
		switches.Go(func() { l.callsOf(i) })
	}
	select {
	case <-l.hit:
		if err := fault(); err != nil {
			l.t.Error(err)
		}
	case <-ctxOf(l.t).Done():
		l.t.Error("the calls do not come")
	}
	switches.Wait()
	close(l.over)
	agents.Wait()
}

// look finds out, when all is over, whether arrivals of unknown outcome happened,
// which is an operation like any other: those that are not there by now come after
// everything in the history, and are left out. Polls stay unknown.
func (l *linear) look() (ops []porcupine.Operation, unknown int) {
	l.t.Helper()
	for _, op := range l.ops {
		in, out := op.Input.(asked), op.Output.(told)
		if out.unknown {
			unknown++
		}
		if out.unknown && in.what == "enqueue" {
			info := answered(l.t, func(ctx context.Context) (*queue.CallInfo, error) {
				info, err := l.engines[0].Call(ctx, fmt.Sprint(in.call))
				if errors.Is(err, queue.ErrCallNotFound) {
					return nil, nil
				}
				return info, err
			})
			if info == nil {
				continue
			}
			op.Output = told{seq: info.Call.Seq}
		}
		ops = append(ops, op)
	}
	return ops, unknown
}

// check returns how many operations had an unknown outcome.
func (l *linear) check() (unknown int) {
	l.t.Helper()
	ops, unknown := l.look()
	if got := porcupine.CheckOperationsTimeout(lineModel(), ops, limit); got != porcupine.Ok {
		slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, op := range ops {
			l.t.Logf("%10v %10v  %+v -> %+v", time.Duration(op.Call), time.Duration(op.Return), op.Input, op.Output)
		}
		l.t.Errorf("%d operations, %d of unknown outcome: %s", len(ops), unknown, got)
	}
	return unknown
}

// TestTheCheckSeesWhatIsWrong: histories that no faultless line gives.
func TestTheCheckSeesWhatIsWrong(t *testing.T) {
	enqueue := func(call int) porcupine.Operation {
		return porcupine.Operation{Input: asked{"enqueue", -1, call}, Output: told{seq: uint64(call)}}
	}
	next := func(agent, call int) porcupine.Operation {
		return porcupine.Operation{Input: asked{"next", agent, 0}, Output: told{call: call}}
	}
	lost := porcupine.Operation{Input: asked{"enqueue", -1, 3}, Output: told{unknown: true}, Return: 100}
	for name, c := range map[string]struct {
		ops  []porcupine.Operation
		want bool
	}{
		"in order":                {[]porcupine.Operation{enqueue(1), enqueue(2), next(0, 1), next(1, 2)}, true},
		"overtaken":               {[]porcupine.Operation{enqueue(1), enqueue(2), next(0, 2)}, false},
		"given twice":             {[]porcupine.Operation{enqueue(1), next(0, 1), next(1, 1)}, false},
		"acknowledged and lost":   {[]porcupine.Operation{enqueue(1), next(0, -1)}, false},
		"not acknowledged, there": {[]porcupine.Operation{lost, next(0, 3)}, true},
		"not acknowledged, lost":  {[]porcupine.Operation{lost, next(0, -1)}, true},
		"accepted by another": {[]porcupine.Operation{
			enqueue(1), next(0, 1), {Input: asked{"accept", 1, 1}, Output: told{}},
		}, false},
	} {
		for i := range c.ops {
			c.ops[i].Call = int64(2 * i)
			if c.ops[i].Return == 0 {
				c.ops[i].Return = int64(2*i + 1)
			}
		}
		if got := porcupine.CheckOperations(lineModel(), c.ops); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
