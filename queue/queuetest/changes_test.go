package queuetest

import (
	"fmt"
	"testing"

	"greenlane/queue"
)

// What a store lacks under the keys of changes is gone, and what comes back is gone no
// longer.
func TestUnderAndFold(t *testing.T) {
	s := NewStore()
	s.Apply(&queue.Changes{Meta: queue.Meta{Epoch: 3}, Calls: []*queue.Call{{Seq: 3}, {Seq: 4}}, Agents: []*queue.Agent{{ID: "b"}}})
	c := s.Under(&queue.Changes{
		Calls: []*queue.Call{{Seq: 5}, {Seq: 3}, {Seq: 5}}, GoneCalls: []uint64{2, 3}, GoneAgents: []string{"b", "a"},
		Totals: []*queue.Totals{{Queue: "q", Tier: 1}}, Queues: []*queue.QueueRecord{{Name: "q"}},
	})
	if got, want := fmt.Sprint(len(c.Calls), c.GoneCalls, len(c.Agents), c.GoneAgents, c.NoTotals, c.NoQueues), "1 [5 2] 1 [a] [{q vip}] [q]"; got != want {
		t.Errorf("under the keys is %s, want %s", got, want)
	}
	Fold(c, &queue.Changes{Meta: queue.Meta{Epoch: 4}, Calls: []*queue.Call{{Seq: 5}}, GoneCalls: []uint64{3}, Queues: []*queue.QueueRecord{{Name: "q"}}})
	if got, want := fmt.Sprint(c.GoneCalls, len(c.Calls), c.NoQueues, c.Meta.Epoch), "[2 3] 2 [] 4"; got != want {
		t.Errorf("folded is %s, want %s", got, want)
	}
}
