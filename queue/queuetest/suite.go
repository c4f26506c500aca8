package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// Run holds an engine to the port's comment and to each command's: one case for
// each sentence, the transcripts, and random commands beside the model. Every
// case opens its own engine. Time is virtual; only what the port says about
// waiting takes real time.
func Run(t *testing.T, open Factory) {
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"port", portCases}, {"questions", questionCases}, {"log", logCases}, {"counts", countCases},
		{"arrive", arriveCases}, {"end", endCases}, {"reconcile", reconcileCases}, {"switch", switchCases},
		{"agents", agentCases}, {"presence", presenceCases}, {"offers", offerCases}, {"supervisor", supervisorCases},
		{"callbacks", callbackCases}, {"keep", keepCases}, {"restart", restartCases},
		{"erase", eraseCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(strings.ReplaceAll(c.says, " ", "_"), func(t *testing.T) {
					site := caseSite()
					if c.site != nil {
						c.site(&site)
					}
					d := newDesk(t, open, site)
					c.run(d)
					d.mustBeSound()
				})
			}
		})
	}
	t.Run("transcripts", func(t *testing.T) { Transcripts(t, open) })
	t.Run("random", func(t *testing.T) { randomCases(t, open) })
}

// testCase is one sentence and what shows it.
type testCase struct {
	says string
	site func(*queue.Site) // nil: as it is
	run  func(*desk)
}

// caseSite has two queues, and daemons that live for an hour without a sign.
func caseSite() queue.Site {
	site := queue.DefaultSite("main")
	site.Queues = []queue.Queue{queue.DefaultQueue("billing"), queue.DefaultQueue("orders")}
	site.DefaultQueue = "billing"
	site.OwnerLease, site.AckTimeout = time.Hour, 0
	return site
}

// mustBeSound checks, at a case's end, that the log counts without gaps, that
// every call ended at most once, and that the counters can be recounted from it.
func (d *desk) mustBeSound() {
	d.Helper()
	if d.closed() {
		return
	}
	d.seen = 0
	log := d.newEvents()
	checker := NewChecker(caseSite())
	checker.Forgets = true
	if err := checker.Events(log); err != nil {
		d.Errorf("the log: %v", err)
	}
	snap, err := d.e.Snapshot(d.ctx())
	if err != nil {
		d.Fatal(err)
	}
	_, totals := Recount(5*time.Second, log)
	recounted := map[string]queue.Totals{}
	for _, x := range totals {
		recounted[x.Queue+" "+x.Tier.String()] = x
	}
	for _, q := range snap.Queues {
		for _, tier := range q.Tiers {
			got := tier.Totals
			got.Queue, got.Tier = q.Name, tier.Tier
			want := recounted[q.Name+" "+tier.Tier.String()]
			want.Queue, want.Tier = q.Name, tier.Tier
			if got != want {
				d.Errorf("totals of %s %s: counted %+v, recounted %+v", q.Name, tier.Tier, got, want)
			}
		}
	}
	equal(d, "green channel violations", snap.GreenChannelViolations, 0)
}

// closed reports whether the case itself has closed the engine, or has made it
// forget the beginning of its log.
func (d *desk) closed() bool {
	_, err := d.e.Snapshot(d.ctx())
	if err != nil {
		return true
	}
	if d.last() == 0 {
		return false
	}
	_, err = d.e.Events(d.ctx(), 0, 1)
	return err != nil
}

type seeded struct{ *rand.Rand }

// Intn implements Source.
func (s seeded) Intn(_ string, n int) int { return s.IntN(n) }

// randomCases runs random sequences on the engine and on the model, restarts
// included: the same answers, the same events, the same lists at the end.
func randomCases(t *testing.T, open Factory) {
	n := 40
	if testing.Short() {
		n = 10
	}
	Random(t, open, 0, n, 60)
}

// Random gives n random sequences of commands to engines and to the model, the
// first one drawn from the given seed: the same answers, the same events, the
// same lists at the end. A sequence that fails is made shorter before it is shown.
func Random(t *testing.T, open Factory, seed, n, commands int) {
	atEnd := erasesAtEnd(t, open)
	for i := seed; i < seed+n; i++ {
		t.Run(fmt.Sprint("seed ", i), func(t *testing.T) {
			seq := RandomSequence(seeded{rand.New(rand.NewPCG(uint64(i), 1))}, commands)
			if !atEnd {
				seq.eraseOnlyWhatIsOver()
			}
			err := replayOnEngine(t, open, seq)
			if err == nil {
				return
			}
			short := Shrink(seq, func(seq Sequence) bool { return replayOnEngine(t, open, seq) != nil })
			t.Fatalf("%v\nshortened: %v%v", err, replayOnEngine(t, open, short), short)
		})
	}
}

// replayOnEngine runs one sequence on an engine of its own.
func replayOnEngine(t *testing.T, open Factory, seq Sequence) error {
	model, err := NewModel(seq.Site)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, open, seq.Site)
	defer func() {
		if err := d.e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	d.clock.Set(GenStart.Time())
	checker := NewChecker(seq.Site)
	for i, step := range seq.Steps {
		d.clock.Advance(step.After)
		if err := d.stepBeside(model, checker, step.Cmd); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	if diff := d.diffLists(model); diff != "" {
		return errors.New(diff)
	}
	return nil
}

// stepBeside gives one command to the engine and to the model and compares.
func (d *desk) stepBeside(model *Model, checker *Checker, cmd queue.Command) error {
	d.Helper()
	if _, ok := cmd.(*Restart); ok {
		if d.restart != nil {
			d.e = d.restart(d.TB)
		}
		cmd = &queue.Tick{} // an engine that opens may fire what came due meanwhile
	}
	first := len(model.events)
	want, wantErr := model.Apply(d.now(), cmd)
	got, gotErr := d.e.Do(d.ctx(), cmd)
	// What a command makes due at once may fire by itself or with the next command.
	_, _ = model.Apply(d.now(), &queue.Tick{})
	d.do(&queue.Tick{})
	events := d.newEvents()
	if diff := diffEvents(events, model.events[first:]); diff != "" {
		return errors.New(diff)
	}
	if kindOf(gotErr) != kindOf(wantErr) {
		return fmt.Errorf("engine %w, model %w", gotErr, wantErr)
	}
	if diff := diffResults(got, want); diff != "" {
		return errors.New(diff)
	}
	return checker.Events(events)
}

// diffLists compares everything the engine lists with the model's records.
func (d *desk) diffLists(model *Model) string {
	d.Helper()
	snap, err := d.e.Snapshot(d.ctx())
	if err != nil {
		d.Fatal(err)
	}
	want := model.State()
	calls, _, err := d.e.Calls(d.ctx(), queue.CallFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	agents, _, err := d.e.Agents(d.ctx(), queue.AgentFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	backs, _, err := d.e.Callbacks(d.ctx(), queue.CallbackFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	got := &queue.State{Calls: pointers(calls), Agents: pointers(agents), Callbacks: pointers(backs)}
	return firstOf(
		func() string { return diffSnapshots(snap, model.Snapshot()) },
		func() string {
			return diffRecords("calls", bySeq(cloneCalls(got.Calls)), bySeq(cloneCalls(want.Calls)))
		},
		func() string { return diffRecords("agents", got.Agents, want.Agents) },
		func() string { return diffRecords("callbacks", bySeqOf(got.Callbacks), bySeqOf(want.Callbacks)) },
	)
}

// Calls and agents as cases write them.

// arrive lets an ordinary call of switch s1 join billing, changed as with says.
func (d *desk) arrive(id string, with ...func(*queue.Arrive)) *queue.Call {
	d.Helper()
	cmd := &queue.Arrive{Call: id, Switch: "s1", Queue: "billing", Tier: tiering.Ordinary}
	for _, change := range with {
		change(cmd)
	}
	return d.do(cmd).Call
}

func tier(t tiering.Tier) func(*queue.Arrive) { return func(c *queue.Arrive) { c.Tier = t } }

func caller(n tiering.Number) func(*queue.Arrive) { return func(c *queue.Arrive) { c.Caller = n } }

func inQueue(name string) func(*queue.Arrive) { return func(c *queue.Arrive) { c.Queue = name } }

func ofSwitch(name string) func(*queue.Arrive) { return func(c *queue.Arrive) { c.Switch = name } }

func prefers(agent string) func(*queue.Arrive) {
	return func(c *queue.Arrive) { c.PreferredAgent = agent }
}

// accept takes the agent's live offer.
func (d *desk) accept(agent string) queue.Result {
	d.Helper()
	o := d.offer(agent)
	if o == nil {
		d.Fatalf("agent %s has no offer", agent)
	}
	return d.do(&queue.Accept{Agent: agent, Offer: o.Epoch})
}

// promised makes a mid-tier caller hang up after ten seconds and returns the
// callback that this earns.
func (d *desk) promised(call string, number tiering.Number) *callback.Callback {
	d.Helper()
	d.arrive(call, tier(tiering.Mid), caller(number))
	d.pass(10 * time.Second)
	cb := d.do(&queue.Abandon{Call: call, Switch: "s1"}).Callback
	if cb == nil {
		d.Fatalf("call %s earned no callback", call)
	}
	return cb
}

// callbackOf returns a callback as it stands.
func (d *desk) callbackOf(id string) *callback.Callback {
	d.Helper()
	list, _, err := d.e.Callbacks(d.ctx(), queue.CallbackFilter{Limit: 1000})
	if err != nil {
		d.Fatal(err)
	}
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	d.Fatalf("there is no callback %s", id)
	return nil
}

// tierOf returns a tier of a queue as the snapshot shows it.
func (d *desk) tierOf(name string, t tiering.Tier) queue.TierSnapshot {
	d.Helper()
	snap, err := d.e.Snapshot(d.ctx())
	if err != nil {
		d.Fatal(err)
	}
	for _, q := range snap.Queues {
		for _, ts := range q.Tiers {
			if q.Name == name && ts.Tier == t {
				return ts
			}
		}
	}
	d.Fatalf("the snapshot has no %s in %s", t, name)
	return queue.TierSnapshot{}
}

// abandoned returns how many callers of a tier hung up today.
func (d *desk) abandoned(name string, t tiering.Tier) int64 {
	d.Helper()
	ts := d.tierOf(name, t)
	return ts.Today.Abandoned()
}
