package queue_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// BenchmarkCall measures arrive, match, accept and complete of one call, with
// its changes drained, while many others wait.
func BenchmarkCall(b *testing.B) {
	for _, c := range []struct{ waiting, kept int }{{1_000, 1_000}, {1_000_000, 1_000}, {1_000, 100_000}} {
		waiting := c.waiting
		b.Run(fmt.Sprintf("waiting=%d/kept=%d", waiting, c.kept), func(b *testing.B) {
			site := queue.DefaultSite("main")
			site.Keep.Calls = c.kept
			m, err := queue.NewMachine(site)
			if err != nil {
				b.Fatal(err)
			}
			now := instant.Of(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))
			must := func(cmd queue.Command) queue.Result {
				res, err := m.Apply(now, cmd)
				if err != nil {
					b.Fatal(err)
				}
				return res
			}
			id := callIDs(waiting + b.N)
			tiers := [...]tiering.Tier{tiering.Mid, tiering.Ordinary, tiering.Ordinary, tiering.Blacklist}
			for i := range waiting {
				must(&queue.Arrive{Call: id(i), Switch: "sw1", Tier: tiers[i%4]})
				m.TakeChanges()
			}
			now += 3_600_000
			must(&queue.Tick{})
			m.TakeChanges()
			offers := make([]uint64, agents)
			for i := range agents {
				must(&queue.SignIn{Agent: agentID(i), Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
				res := must(&queue.Attach{Agent: agentID(i), Owner: "d1", Token: "t", Presence: queue.PresentStream})
				offers[i] = res.Offer.Epoch
				m.TakeChanges()
			}
			var arrive queue.Arrive // the commands are used again: they are no garbage of the machine
			var accept queue.Accept
			var complete queue.Complete
			b.ReportAllocs()
			b.ResetTimer()
			start := cpuTime()
			for i := range b.N {
				now += instant.Instant(i & 1)
				if i%4096 == 0 {
					must(&queue.RenewOwner{Owner: "d1"})
				}
				a := i % agents
				arrive = queue.Arrive{Call: id(waiting + i), Switch: "sw1", Tier: tiers[i%4]}
				must(&arrive)
				accept = queue.Accept{Agent: agentID(a), Offer: offers[a]}
				res := must(&accept)
				complete = queue.Complete{Agent: agentID(a), Call: res.Call.ID}
				res = must(&complete)
				offers[a] = res.Agent.Offer
				m.TakeChanges()
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
		})
	}
}

// agents is how many work while the benchmark runs.
const agents = 64

func agentID(i int) string { return agentIDs[i] }

var agentIDs = func() (ids [agents]string) {
	for i := range ids {
		ids[i] = fmt.Sprintf("agent-%02d", i)
	}
	return ids
}()

// callIDs returns n names that share one allocation, so that the collector's
// work is the machine's alone.
func callIDs(n int) func(i int) string {
	const size = 20
	var all strings.Builder
	all.Grow(n * size)
	for i := range n {
		fmt.Fprintf(&all, "sw1-%08x%08d", uint32(i*2654435761), i)
	}
	text := all.String()
	return func(i int) string { return text[i*size : (i+1)*size] }
}

// cpuTime returns the processor time the process has used, which other load on
// the machine does not stretch as it does the clock's.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
