package queue_test

import (
	"flag"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"greenlane/queue/queuetest"
)

var (
	sequences = flag.Int("sequences", 1000, "how many random sequences of moves Sync is tried with")
	commands  = flag.Int("commands", 60, "how many commands there are in a sequence")
)

// chance is a source of choices. Sequences are made shorter by leaving moves out,
// not by smaller choices, so a seed will do.
type chance struct{ *rand.Rand }

func (c chance) Intn(_ string, n int) int { return c.IntN(n) }

// TestSync lets some daemons decide on copies of one machine, take it back, and
// decide again: each copy stays what a restored machine would be, and all of them
// together do what one machine does alone.
func TestSync(t *testing.T) {
	checks := flag.Lookup("rapid.checks")
	was := checks.Value.String()
	_ = checks.Value.Set("1")
	t.Cleanup(func() { _ = checks.Value.Set(was) })
	for i := range *sequences {
		seed := uint64(i)
		src := chance{rand.New(rand.NewPCG(seed, 7))}
		site := queuetest.GenSite(src)
		if src.IntN(2) == 0 {
			forgetful(&site)
		}
		daemons := 2 + src.IntN(2)
		how := ways{batches: src.IntN(2) == 0, folded: src.IntN(2) == 0}
		seq := moves(site, src, daemons, *commands)
		if replay(seq, daemons, how) == nil {
			continue
		}
		short := queuetest.Shrink(seq, func(seq queuetest.Sequence) bool { return replay(seq, daemons, how) != nil })
		t.Fatalf("%v\nseed %d %+v site: %+v%v", replay(short, daemons, how), seed, how, short.Site, short)
	}
	_ = rapid.Check
}
