package load

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

// A Run is what the orders of its streaming switches go to.
var _ orders = (*Run)(nil)

func (r *Run) ring(l *streamLine, o *pb.Ring) {
	a := r.byID[o.GetAgentId()]
	if a == nil {
		return
	}
	p, ok := a.phone.(*ringPhone)
	if !ok {
		r.logFault("agent %s has no phone that a switch rings, but offer %s rings it", a.id, o.GetOfferId())
		return
	}
	p.ring(&ringing{line: l, held: newHeld(&pb.Offer{
		OfferId: o.GetOfferId(), AgentId: o.GetAgentId(), OfferedAt: timestamppb.Now(), ExpiresAt: o.GetExpiresAt(), Call: &pb.Call{CallId: o.GetCallId()},
	})})
}

func (r *Run) stopRinging(o *pb.StopRinging) {
	for _, a := range r.agents {
		if p, ok := a.phone.(*ringPhone); ok {
			p.stopRinging(o.GetOfferId(), o.GetReason())
		}
	}
}

func (r *Run) bridge(o *pb.Bridge) {
	r.ledger.Bridged(o.GetCallId(), o.GetAgentId())
	if c := r.callerOf(o.GetCallId()); c != nil {
		c.setAnswered()
	}
}

func (r *Run) release(o *pb.Release) {
	r.ledger.Released(o.GetCallId(), o.GetReason())
	if c := r.callerOf(o.GetCallId()); c != nil && o.GetReason() != "agent_completed" {
		c.setOver()
	}
}
