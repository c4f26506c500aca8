package redisq_test

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"greenlane/internal/redistest"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
)

var (
	sequences = flag.Int("sequences", 2000, "how many random sequences of commands are compared with the model")
	commands  = flag.Int("commands", 60, "how many commands there are in a sequence")
	firstSeed = flag.Int("seed", 1000, "the seed of the first sequence")
)

// TestRandomAgainstModel gives random commands to the engine and to the naive
// model: the same answers, events, counters and lists. The machine is held to the
// same model by the same sequences, and so are the three to one another.
func TestRandomAgainstModel(t *testing.T) {
	n := *sequences
	if testing.Short() {
		n = min(n, 50)
	}
	shards := runtime.GOMAXPROCS(0)
	for shard := range shards {
		t.Run(strconv.Itoa(shard), func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t, redistest.Options{})
			open, opts := openForSuite, redisq.Options{}
			if shard%2 == 1 {
				open, opts = openByTurns, opts.FiringAtMost(1)
			}
			queuetest.Random(t, open(server.Client(), opts), *firstSeed+shard*(n/shards), n/shards, *commands)
		})
	}
}
