package queue_test

import (
	"fmt"
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
	for _, waiting := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			site := queue.DefaultSite("main")
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
			ids := make([]string, waiting+b.N)
			for i := range ids {
				ids[i] = fmt.Sprintf("sw1-%08x-call-%d", i*2654435761, i)
			}
			tiers := [...]tiering.Tier{tiering.Mid, tiering.Ordinary, tiering.Ordinary, tiering.Blacklist}
			for i := range waiting {
				must(&queue.Arrive{Call: ids[i], Switch: "sw1", Tier: tiers[i%4]})
				m.TakeChanges()
			}
			now += 3_600_000
			must(&queue.Tick{})
			m.TakeChanges()
			must(&queue.SignIn{Agent: "a1", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
			must(&queue.Attach{Agent: "a1", Owner: "d1", Token: "t1", Presence: queue.PresentStream})
			m.TakeChanges()
			_, offer, _ := m.Agent("a1")
			b.ReportAllocs()
			b.ResetTimer()
			start := cpuTime()
			for i := range b.N {
				now += instant.Instant(i & 1)
				if i%4096 == 0 {
					must(&queue.RenewOwner{Owner: "d1"})
				}
				must(&queue.Arrive{Call: ids[waiting+i], Switch: "sw1", Tier: tiers[i%4]})
				res := must(&queue.Accept{Agent: "a1", Offer: offer.Epoch})
				call := res.Call.ID
				res = must(&queue.Complete{Agent: "a1", Call: call})
				offer.Epoch = res.Agent.Offer
				m.TakeChanges()
			}
			b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
		})
	}
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
