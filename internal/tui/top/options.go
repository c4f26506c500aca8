package top

import (
	"cmp"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// Options say what to watch, and how.
type Options struct {
	// Conn is the connection to the daemon. The caller closes it, after Run.
	Conn *grpc.ClientConn
	Site string
	// Queues are the queues to show; empty: all.
	Queues []string
	// Order is the order of the queues in the beginning.
	Order Order
	// Mask shows only the last four digits of numbers, whatever the daemon would give.
	Mask bool
	// Interval is the least time between two snapshots.
	Interval time.Duration
	// Timeout is the longest time that one request may take.
	Timeout time.Duration
	In      io.Reader
	Out     io.Writer
}

// Order is how queues are ordered. Queues that are equal in it are ordered by name.
type Order string

// The orders.
const (
	ByName    Order = "name"
	ByWaiting Order = "waiting" // the most calls first
	ByOldest  Order = "oldest"  // the longest wait first
	ByLate    Order = "late"    // the most calls beyond the threshold first
	ByLevel   Order = "level"   // the farthest below a target first
)

// Orders are all of them.
var Orders = []Order{ByName, ByWaiting, ByOldest, ByLate, ByLevel}

// Sort orders queues.
func Sort(queues []*pb.QueueSnapshot, by Order) {
	slices.SortStableFunc(queues, func(a, b *pb.QueueSnapshot) int {
		var d int
		switch by {
		case ByWaiting:
			d = cmp.Compare(b.GetWaiting(), a.GetWaiting())
		case ByOldest:
			d = cmp.Compare(b.GetOldestWait().AsDuration(), a.GetOldestWait().AsDuration())
		case ByLate:
			d = cmp.Compare(Late(b), Late(a))
		case ByLevel:
			d = cmp.Compare(below(b), below(a))
		}
		return cmp.Or(d, cmp.Compare(a.GetQueue(), b.GetQueue()))
	})
}

// Late is how many calls of a queue wait beyond its threshold.
func Late(q *pb.QueueSnapshot) (n int32) {
	for _, t := range q.GetTiers() {
		n += t.GetLateWaiting()
	}
	return n
}

// below is how far a queue is below the target of one of its tiers, at worst;
// negative when it is above them all.
func below(q *pb.QueueSnapshot) float64 {
	worst := -1.0
	for _, t := range q.GetTiers() {
		if t.Target != nil && t.ServiceLevel != nil {
			worst = max(worst, t.GetTarget()-t.GetServiceLevel())
		}
	}
	return worst
}

// All is a site's queues as if they were one: what is counted is added up, and a
// service level is that of the sums. A target is there when all queues have the
// same.
func All(queues []*pb.QueueSnapshot) *pb.QueueSnapshot {
	out := &pb.QueueSnapshot{Queue: "all queues", Open: true, Agents: &pb.AgentCounts{}}
	tiers := map[pb.Tier]*pb.TierSnapshot{}
	for i, q := range queues {
		out.Waiting += q.GetWaiting()
		out.CallbacksDue += q.GetCallbacksDue()
		if q.GetOldestWait() != nil && q.GetOldestWait().AsDuration() >= out.GetOldestWait().AsDuration() {
			out.OldestWait = q.GetOldestWait()
		}
		if i == 0 {
			out.Threshold = q.GetThreshold()
		} else if out.GetThreshold().AsDuration() != q.GetThreshold().AsDuration() {
			out.Threshold = nil
		}
		for _, t := range q.GetTiers() {
			sum := tiers[t.GetTier()]
			if sum == nil {
				sum = &pb.TierSnapshot{Tier: t.GetTier(), Target: t.Target}
				tiers[t.GetTier()] = sum
				out.Tiers = append(out.Tiers, sum)
			}
			add(sum, t)
		}
	}
	for _, t := range out.GetTiers() {
		if n := t.GetAnswered() + t.GetAbandoned(); n > 0 {
			level := float64(t.GetAnsweredInTime()) / float64(n)
			t.ServiceLevel = &level
		}
	}
	return out
}

func add(sum, t *pb.TierSnapshot) {
	sum.Waiting += t.GetWaiting()
	sum.LateWaiting += t.GetLateWaiting()
	sum.Answered += t.GetAnswered()
	sum.AnsweredInTime += t.GetAnsweredInTime()
	sum.Abandoned += t.GetAbandoned()
	if t.GetOldestWait() != nil && t.GetOldestWait().AsDuration() >= sum.GetOldestWait().AsDuration() {
		sum.OldestWait = t.GetOldestWait()
	}
	if sum.Target != nil && (t.Target == nil || *t.Target != *sum.Target) {
		sum.Target = nil
	}
}
