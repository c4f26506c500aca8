package queue_test

import (
	"fmt"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/tiering"
)

// BenchmarkSync takes a batch of somebody else's over and back again while many
// callers wait: eight calls that arrive, are answered and end, about fifty records.
// What it costs must not depend on how many wait or are remembered.
func BenchmarkSync(b *testing.B) {
	for _, waiting := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("waiting=", waiting), func(b *testing.B) {
			site := queue.DefaultSite("main")
			site.Keep.Calls, site.Keep.Requests = waiting, waiting/2
			m, err := queue.NewMachine(site)
			if err != nil {
				b.Fatal(err)
			}
			store := queuetest.NewStore()
			now := instant.Of(time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC))
			do := func(cmd queue.Command) queue.Result {
				res, err := m.Apply(now, cmd)
				if err != nil {
					b.Fatal(err)
				}
				return res
			}
			take := func() *queue.Changes {
				ch := queuetest.CloneChanges(m.TakeChanges())
				store.Apply(ch)
				return ch
			}
			ids := callIDs(2*waiting + 8)
			tiers := [...]tiering.Tier{tiering.Mid, tiering.Ordinary, tiering.Ordinary, tiering.Blacklist}
			arrive := func(i int) queue.Result {
				return do(&queue.Arrive{
					Request: queue.Request{ID: ids(i), Print: 1}, Call: ids(i), Switch: "sw1",
					Caller: tiering.Number(fmt.Sprint("+86138", 10_000_000+i/2)), Tier: tiers[i%4],
				})
			}
			for i := range 2 * waiting {
				arrive(i)
				if i%2 == 0 { // as many are remembered as wait
					do(&queue.Abandon{Call: ids(i), Switch: "sw1"})
				}
				take()
			}
			offers := make([]uint64, 8)
			for i := range offers {
				do(&queue.SignIn{Agent: agentID(i), Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1})
				offers[i] = do(&queue.Attach{Agent: agentID(i), Owner: "d1", Token: "t", Presence: queue.PresentStream}).Offer.Epoch
				take()
			}
			for i, offer := range offers {
				now++
				arrive(2*waiting + i)
				call := do(&queue.Accept{Request: queue.Request{ID: fmt.Sprint("a", i)}, Agent: agentID(i), Offer: offer}).Call.ID
				do(&queue.Complete{Request: queue.Request{ID: fmt.Sprint("c", i)}, Agent: agentID(i), Call: call})
			}
			ch := queuetest.CloneChanges(m.TakeChanges())
			before := store.Under(ch)
			if err := m.Sync(before); err != nil { // once, for the index that the first one makes
				b.Fatal(err)
			}
			records := len(ch.Calls) + len(ch.Agents) + len(ch.Offers) + len(ch.Requests) + len(ch.Cohorts) + len(ch.Totals) + len(ch.Queues)
			b.ReportAllocs()
			start := cpuTime()
			for b.Loop() {
				if err := m.Sync(ch); err != nil {
					b.Fatal(err)
				}
				if err := m.Sync(before); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(records), "records")
			b.ReportMetric(float64(cpuTime()-start)/float64(2*b.N), "cpu-ns/sync")
		})
	}
}
