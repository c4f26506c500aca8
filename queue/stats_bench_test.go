package queue_test

import (
	"fmt"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// BenchmarkStatistics is what a scrape costs the engine, of 200 queues, 10,000
// agents and 100,000 waiting calls, at the end of a day.
func BenchmarkStatistics(b *testing.B) {
	site := queue.DefaultSite("main")
	site.Queues, site.DefaultQueue, site.OwnerLease, site.SignInGrace = nil, "q0", 100*time.Hour, 100*time.Hour
	for i := range 200 {
		site.Queues = append(site.Queues, queue.DefaultQueue(fmt.Sprint("q", i)))
	}
	m, err := queue.NewMachine(site)
	if err != nil {
		b.Fatal(err)
	}
	now := instant.Of(time.Date(2026, 3, 2, 1, 0, 0, 0, site.Zone))
	do := func(cmd queue.Command) {
		if _, err := m.Apply(now, cmd); err != nil {
			b.Fatal(err)
		}
		m.TakeChanges()
	}
	for range 276 { // 23 hours of cohorts
		now = now.Add(queue.CohortInterval)
		for i := range 200 {
			id := fmt.Sprint(now, i)
			do(&queue.Arrive{Call: id, Switch: "s", Queue: fmt.Sprint("q", i)})
			do(&queue.Abandon{Call: id, Switch: "s"})
		}
	}
	for i := range 10_000 {
		sign := &queue.SignIn{Agent: fmt.Sprint("a", i), WrapUp: -1}
		for j := range 4 {
			sign.Services = append(sign.Services, queue.Service{Queue: fmt.Sprint("q", (i+50*j)%200), Level: 1 + j})
		}
		do(sign)
	}
	for i := range 100_000 {
		do(&queue.Arrive{Call: fmt.Sprint("c", i), Switch: "s", Queue: fmt.Sprint("q", i%200)})
	}
	b.Run("statistics", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Statistics(now)
		}
	})
	b.Run("snapshot", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Snapshot(now)
		}
	})
}
