package rpc

import (
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func toEvent(e *queue.Event) *pb.Event {
	m := &struct {
		event      pb.Event
		at, joined timestamppb.Timestamp
		wait, talk durationpb.Duration
	}{}
	p := &m.event
	p.Sequence, p.At, p.Type = e.Seq, stamp(&m.at, e.At), toEventType(e.Type)
	p.CallId, p.AgentId, p.Queue, p.FromQueue = e.Call, e.Agent, e.Queue, e.FromQueue
	p.Tier, p.FromTier, p.CallbackId = toTier(e.Tier), toTier(e.FromTier), e.Callback
	if e.Offer != 0 {
		p.OfferId = queue.OfferID(e.Offer)
	}
	p.AgentState, p.Reason, p.Why, p.SwitchId = toAgentState(e.AgentState), e.Reason, e.Why, e.Switch
	p.JoinedAt, p.Late = stamp(&m.joined, e.JoinedAt), e.Late
	switch {
	case e.JoinedAt.IsZero():
	case waitCounts(e.Type):
		p.Wait = fill(&m.wait, e.Wait)
	default:
		p.Wait = fill(&m.wait, max(0, e.At.Sub(e.JoinedAt)))
	}
	if e.Type == queue.EventCallCompleted {
		p.Talk = fill(&m.talk, e.Talk)
	}
	return p
}

// waitCounts reports whether an event of this type carries the wait that counts.
func waitCounts(t queue.EventType) bool {
	switch t {
	case queue.EventCallAnswered, queue.EventCallAbandoned, queue.EventCallTimedOut, queue.EventCallOverflowed,
		queue.EventCallLate, queue.EventCallCompleted:
		return true
	}
	return false
}
