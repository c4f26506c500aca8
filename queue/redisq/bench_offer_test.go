package redisq_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

// BenchmarkOfferElsewhere measures how long it takes from the arrival of a call
// at one daemon until another one, to which the agent is connected, has the
// offer, at 500 calls/s.
func BenchmarkOfferElsewhere(b *testing.B) {
	const perSecond, length = 500, 5 * time.Second
	server := redistest.Start(b, redistest.Options{AOF: true})
	client := server.Client()
	one, two := openBench(b, client, benchSite(1), redisq.Options{}), openBench(b, client, benchSite(1), redisq.Options{})
	for i := range benchClients {
		agent := fmt.Sprint("a", i)
		must(b, two, &queue.SignIn{Agent: agent, Services: []queue.Service{{Queue: "queue0", Level: 1}}})
		must(b, two, &queue.Attach{Agent: agent, Owner: "d2", Token: agent, Presence: queue.PresentStream})
	}
	last, err := two.LastEvent(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	sent := map[string]time.Time{}
	var took []time.Duration
	var working sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	working.Go(func() {
		for ctx.Err() == nil {
			events, err := two.Events(ctx, last, 0)
			if err != nil {
				return
			}
			now := time.Now()
			for _, ev := range events {
				last = ev.Seq
				if ev.Type != queue.EventCallOffered {
					continue
				}
				mu.Lock()
				took = append(took, now.Sub(sent[ev.Call]))
				mu.Unlock()
				working.Go(func() {
					must(b, two, &queue.Accept{Agent: ev.Agent, Offer: ev.Offer})
					must(b, two, &queue.Complete{Agent: ev.Agent, Call: ev.Call})
				})
			}
		}
	})
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for i := range int(length.Seconds() * perSecond) {
		<-tick.C
		call := fmt.Sprint("c", i)
		working.Go(func() {
			mu.Lock()
			sent[call] = time.Now()
			mu.Unlock()
			must(b, one, &queue.Arrive{Call: call, Switch: "s1", Queue: "queue0", Tier: tiering.Ordinary})
		})
	}
	stop()
	working.Wait()
	slices.Sort(took)
	if len(took) < perSecond {
		b.Fatalf("%d offers", len(took))
	}
	at := func(q float64) float64 {
		return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(0, "ns/op")
}
