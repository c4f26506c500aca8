package queuetest

import (
	"flag"
	"fmt"
	"math/bits"
	"runtime"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenlane/queue"
	"greenlane/tiering"
)

var (
	sequences = flag.Int("sequences", 3000, "how many random sequences of commands each property is tried with")
	commands  = flag.Int("commands", 60, "how many commands there are in a sequence")
)

// drawn is a Source that rapid shrinks. It draws bits, since rapid's integers
// prefer small values, and every choice here has the weight it was given.
type drawn struct{ t *rapid.T }

var bit = rapid.Bool()

func (d drawn) Intn(what string, n int) int {
	width, v := bits.Len(uint(n-1))+2, 0
	if n == 1 {
		return 0
	}
	for range width {
		v <<= 1
		if bit.Draw(d.t, what) {
			v++
		}
	}
	return v * n >> width
}

// inShards tries a property with so many sequences, on every processor.
func inShards(t *testing.T, n int, property func(*rapid.T)) {
	shards := runtime.GOMAXPROCS(0)
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	if err := checks.Value.Set(strconv.Itoa((n + shards - 1) / shards)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(was) })
	for i := range shards {
		t.Run(strconv.Itoa(i+1), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, property)
		})
	}
}

// randomSequence draws whole sequences: rapid logs one value, and shrinks it.
var randomSequence = rapid.Custom(func(t *rapid.T) Sequence { return RandomSequence(drawn{t}, *commands) })

// TestMachineAgainstModel gives the same random commands to the machine and to
// the model: the same answers, the same events, the same records and counters,
// through restarts, with every promise of Checker kept.
func TestMachineAgainstModel(t *testing.T) {
	inShards(t, *sequences, func(t *rapid.T) {
		holds(t, randomSequence.Draw(t, "sequence"), Check{Deep: 10}, Check{Deep: 1})
	})
}

// TestForgetfulMachine runs the machine alone on a site that remembers nothing
// for long: what is forgotten must not be missed by anything that is kept. Its
// changes are stored a few commands at a time.
func TestForgetfulMachine(t *testing.T) {
	inShards(t, *sequences/2, func(t *rapid.T) {
		seq := randomSequence.Draw(t, "sequence")
		seq.Site.Keep = queue.Keep{
			CallsAge: time.Minute, Calls: 100, CallbacksAge: time.Minute, Callbacks: 100, RequestsAge: time.Second, Requests: 100,
			EventsAge: time.Minute, Events: 1000, CohortsAge: seq.Site.Keep.CohortsAge, AgentsAge: time.Minute,
		}
		how := Check{Deep: 12, Alone: true, Batch: rapid.IntRange(1, 6).Draw(t, "batch")}
		holds(t, seq, how, how)
	})
}

// holds runs a sequence. A failure is shrunk by leaving commands out, which goes
// further than making what they were drawn from smaller.
func holds(t *rapid.T, seq Sequence, first, then Check) {
	if Replay(seq, first) == nil {
		return
	}
	short := Shrink(seq, func(seq Sequence) bool { return Replay(seq, then) != nil })
	t.Fatalf("%v\nsite: %+v%v", Replay(short, then), short.Site, short)
}

// TestSwitchEventsSettle gives the events of a few calls in the order in which
// they happened, and then shuffled, some of them twice: every call ends in the
// same state, for the same reason, and is counted once.
func TestSwitchEventsSettle(t *testing.T) {
	inShards(t, *sequences/4, func(t *rapid.T) {
		site := queue.DefaultSite("main")
		var history, shuffled []Step
		for i := range rapid.IntRange(1, 4).Draw(t, "calls") {
			id := fmt.Sprint("c", i+1)
			history = append(history, Step{After: time.Second, Cmd: &queue.Arrive{
				Call: id, Switch: "s1", Tier: drawTier(t), Caller: "+8613800000001", ArrivedAt: GenStart.Add(-time.Minute),
			}})
			switch rapid.IntRange(0, 2).Draw(t, "end") {
			case 1:
				history = append(history, Step{After: 9 * time.Second, Cmd: &queue.Abandon{Call: id, Switch: "s1", At: GenStart}})
			case 2:
				history = append(history, Step{After: 9 * time.Second, Cmd: &queue.End{Call: id, Switch: "s1", At: GenStart}})
			}
		}
		for _, i := range rapid.Permutation(indices(len(history))).Draw(t, "order") {
			shuffled = append(shuffled, Step{Cmd: history[i].Cmd})
			if rapid.Bool().Draw(t, "twice") {
				again := rapid.IntRange(0, len(shuffled)-1).Draw(t, "again")
				shuffled = append(shuffled, Step{Cmd: shuffled[again].Cmd})
			}
		}
		want, got := ends(t, Sequence{site, history}), ends(t, Sequence{site, shuffled})
		if fmt.Sprint(want) != fmt.Sprint(got) {
			t.Fatalf("in order %v%v\nshuffled %v%v", want, Sequence{site, history}, got, Sequence{site, shuffled})
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// ends runs steps and returns how every call ended, and how many the counters
// say have ended how.
func ends(t *rapid.T, seq Sequence) map[string]string {
	p, err := NewPair(seq.Site)
	if err != nil {
		t.Fatal(err)
	}
	now := GenStart
	for _, s := range seq.Steps {
		now = now.Add(s.After)
		if err := p.Step(now, s.Cmd, true); err != nil {
			t.Fatalf("%v%v", err, seq)
		}
	}
	out := map[string]string{}
	abandoned, joined := int64(0), int64(0)
	for _, c := range p.Machine.State().Calls {
		out[c.ID] = c.State.String() + " " + c.Reason
	}
	for _, x := range p.Machine.State().Totals {
		abandoned += x.Counts.Abandoned()
		joined += x.Joined
	}
	out["totals"] = fmt.Sprint(joined, " joined ", abandoned, " abandoned")
	return out
}

func drawTier(t *rapid.T) tiering.Tier { return rapid.SampledFrom(tiering.Tiers[:]).Draw(t, "tier") }
