package queue_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"greenlane/queue"
	"greenlane/queue/queuetest"
)

var (
	sequences = flag.Int("sequences", 120, "how many random sequences of moves Sync is tried with")
	commands  = flag.Int("commands", 60, "how many commands there are in a sequence")
)

// chance is a source of choices. A sequence that fails is made shorter by leaving
// moves out, not by smaller choices, so a seed will do.
type chance struct{ *rand.Rand }

func (c chance) Intn(_ string, n int) int { return c.IntN(n) }

// TestSync lets some daemons decide on copies of one machine, take it back, and
// decide again: each copy stays what a restored machine would be, and all of them
// together do what one machine does alone.
func TestSync(t *testing.T) {
	shards := runtime.GOMAXPROCS(0)
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	if err := checks.Value.Set(strconv.Itoa((*sequences + shards - 1) / shards)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(was) })
	for i := range shards {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { syncs(t, rapid.Uint64().Draw(t, "seed")) })
		})
	}
}

// syncs tries one sequence.
func syncs(t *rapid.T, seed uint64) {
	src := chance{rand.New(rand.NewPCG(seed, 7))}
	site := queuetest.GenSite(src)
	if src.IntN(2) == 0 {
		forgetful(&site)
	}
	daemons := 2 + src.IntN(2)
	how := ways{batches: src.IntN(2) == 0, folded: src.IntN(2) == 0}
	seq := moves(site, src, daemons, *commands)
	if replay(seq, daemons, how) == nil {
		return
	}
	short := queuetest.Shrink(seq, func(seq queuetest.Sequence) bool { return replay(seq, daemons, how) != nil })
	t.Fatalf("%v\nseed %d %+v site: %+v%v", replay(short, daemons, how), seed, how, short.Site, short)
}

// pair returns a machine with an agent who is offered a call and another call that
// waits, and a copy of it.
func pair(t *testing.T) (m, other *queue.Machine) {
	t.Helper()
	site := queue.DefaultSite("main")
	m, err := queue.NewMachine(site)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m,
		&queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1},
		&queue.Attach{Agent: "a1", Owner: "d1", Token: "t", Presence: queue.PresentStream},
		&queue.Arrive{Call: "c1", Switch: "s1", Caller: "+8613800000001"},
		&queue.Arrive{Call: "c2", Switch: "s1", Caller: "+8613800000001"},
	)
	m.TakeChanges()
	if other, err = queue.RestoreMachine(site, queuetest.CloneState(m.State())); err != nil {
		t.Fatal(err)
	}
	return m, other
}

func apply(t *testing.T, m *queue.Machine, cmds ...queue.Command) {
	t.Helper()
	for _, cmd := range cmds {
		if _, err := m.Apply(queuetest.GenStart, cmd); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that was touched more than once in a batch, or touched and forgotten, is
// told as the store will have it in the end.
func TestSyncOfSeveralRecordsUnderOneKey(t *testing.T) {
	m, other := pair(t)
	// The hang-up overtakes the arrival: the call takes the tombstone's number.
	apply(t, m, &queue.Abandon{Call: "c3", Switch: "s1"}, &queue.Arrive{Call: "c3", Switch: "s1", Caller: "+8613800000002"})
	ch := queuetest.CloneChanges(m.TakeChanges())
	if n := len(ch.Calls); n != 2 || ch.Calls[0].Seq != ch.Calls[1].Seq {
		t.Fatalf("%d calls, want two under one number", n)
	}
	if err := other.Sync(ch); err != nil {
		t.Fatal(err)
	}
	if diff := queue.DiffDerived(other, m); diff != "" {
		t.Error(diff)
	}
	info, err := other.Call("c3")
	if err != nil || info.Call.Tombstone || info.Call.Caller != "+8613800000002" {
		t.Errorf("%+v, %v", info, err)
	}
}

// What has not been taken would be lost without a word.
func TestSyncBeforeTakeChanges(t *testing.T) {
	m, other := pair(t)
	apply(t, m, &queue.Arrive{Call: "c3", Switch: "s1"})
	ch := queuetest.CloneChanges(m.TakeChanges())
	apply(t, other, &queue.RenewOwner{Owner: "d2"})
	before := fmt.Sprint(other.Derived())
	if err := other.Sync(ch); err == nil {
		t.Fatal("no error")
	}
	if after := fmt.Sprint(other.Derived()); after != before {
		t.Errorf("the machine has changed:\n%s\nfrom\n%s", after, before)
	}
	own := other.TakeChanges()
	if len(own.Owners) != 1 || own.Owners[0].Owner != "d2" {
		t.Errorf("what was to be taken is %+v", own)
	}
	if err := other.Sync(ch); err != nil {
		t.Error(err)
	}
}

// Sync leaves alone what TakeChanges gave before: an engine goes on with it.
func TestSyncLeavesTakenChangesAlone(t *testing.T) {
	m, other := pair(t)
	apply(t, m, &queue.Arrive{Call: "c3", Switch: "s1"})
	ch := queuetest.CloneChanges(m.TakeChanges())
	apply(t, other, &queue.Arrive{Call: "c4", Switch: "s1"})
	own := other.TakeChanges()
	want := dump(own) // c4 has the number that c3 is to have
	if err := other.Sync(ch); err != nil {
		t.Fatal(err)
	}
	if got := dump(own); got != want {
		t.Errorf("it has become\n%s, from\n%s", got, want)
	}
	if !other.TakeChanges().Empty() {
		t.Error("what somebody else wrote counts as touched")
	}
}

// Records that contradict each other are told of, not taken.
func TestSyncOfContradictions(t *testing.T) {
	for name, spoil := range map[string]func(*queue.Changes){
		"a call under two numbers": func(ch *queue.Changes) {
			ch.Calls = []*queue.Call{{ID: "c2", Seq: 77, Queue: "default", State: queue.CallWaiting}}
		},
		"an offer of nothing":    func(ch *queue.Changes) { ch.Offers = []*queue.OfferRecord{{Epoch: 9, Agent: "a1", Call: "c9"}} },
		"an offer to nobody":     func(ch *queue.Changes) { ch.Offers = []*queue.OfferRecord{{Epoch: 9, Agent: "a9", Call: "c2"}} },
		"two offers of one call": func(ch *queue.Changes) { ch.Offers = []*queue.OfferRecord{{Epoch: 9, Agent: "a1", Call: "c2"}} },
		"a call that is gone but offered": func(ch *queue.Changes) {
			ch.GoneCalls = []uint64{1}
		},
		"an agent who is gone but has an offer": func(ch *queue.Changes) { ch.GoneAgents = []string{"a1"} },
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := pair(t)
			ch := &queue.Changes{Meta: m.State().Meta}
			spoil(ch)
			err := m.Sync(ch)
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
		})
	}
}
