package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// rings remembers which call each ring of this stream was for, for as long as
// the offer is live: what the switch says of the ring is then decided in order
// with what it says of the call.
type rings struct {
	mu      sync.Mutex
	byOffer map[uint64]string
}

func (r *rings) add(offer uint64, call string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byOffer == nil {
		r.byOffer = map[uint64]string{}
	}
	r.byOffer[offer] = call
}

// end forgets a ring and reports whether there was one.
func (r *rings) end(offer uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, rung := r.byOffer[offer]
	delete(r.byOffer, offer)
	return rung
}

func (r *rings) call(offer uint64) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id, ok := r.byOffer[offer]
	return id, ok
}

// callOf returns the key under which a message about an offer is decided: its
// call's. Of an offer that this stream did not ring for, the call is not known;
// then everything at hand is awaited instead.
func (cn *connection) callOf(offerID string) string {
	epoch, ok := queue.ParseOfferID(offerID)
	if !ok {
		return offerID
	}
	if call, ok := cn.rings.call(epoch); ok {
		return call
	}
	cn.order.wait(flushFor)
	return offerID
}

// orderOf sends the order that an event means to the switch that has the call.
func (cn *connection) orderOf(ctx context.Context, ev *queue.Event) error {
	switch ev.Type {
	case queue.EventCallOffered:
		return cn.ring(ctx, ev)
	case queue.EventOfferReturned:
		// An earlier stream may have rung for it.
		if cn.rings.end(ev.Offer) || ev.Seq <= cn.earlier {
			cn.order1(ev, &pb.ConnectResponse{Message: &pb.ConnectResponse_StopRinging{StopRinging: &pb.StopRinging{
				OfferId: queue.OfferID(ev.Offer), CallId: ev.Call, Reason: ev.Reason,
			}}})
		}
	case queue.EventCallAnswered:
		return cn.bridge(ctx, ev)
	case queue.EventCallCompleted:
		switch ev.Reason {
		case queue.ReasonSwitchEnded, queue.ReasonCallerHungUp:
		default:
			cn.release(ev)
		}
	case queue.EventCallRefused, queue.EventCallTimedOut, queue.EventCallOverflowed:
		cn.release(ev)
	case queue.EventCallAbandoned:
		if ev.Reason == queue.ReasonReconciled {
			cn.release(ev)
		}
	case queue.EventSwitchDisconnected:
		if ev.Seq > cn.replays {
			return cn.again(ctx)
		}
	}
	return nil
}

func (cn *connection) order1(ev *queue.Event, m *pb.ConnectResponse) {
	m.Sequence = ev.Seq
	cn.out.put(m)
}

// ring orders the switch to ring the agent's phone, when it is the switch's
// business and the offer still lives.
func (cn *connection) ring(ctx context.Context, ev *queue.Event) error {
	agent, offer, err := cn.st.engine.Agent(ctx, ev.Agent)
	if errors.Is(err, queue.ErrAgentNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !agent.RingBySwitch || offer == nil || offer.Epoch != ev.Offer {
		return nil
	}
	cn.rings.add(ev.Offer, ev.Call)
	cn.order1(ev, &pb.ConnectResponse{Message: &pb.ConnectResponse_Ring{Ring: &pb.Ring{
		OfferId: queue.OfferID(ev.Offer), CallId: ev.Call, AgentId: ev.Agent, Endpoint: agent.Endpoint, ExpiresAt: toTime(offer.ExpiresAt),
	}}})
	return nil
}

// bridge orders the switch to connect the caller with the agent who accepted.
func (cn *connection) bridge(ctx context.Context, ev *queue.Event) error {
	cn.rings.end(ev.Offer)
	if ev.Reason == queue.ReasonReconciled {
		return nil // the switch itself said that they talk
	}
	agent, _, err := cn.st.engine.Agent(ctx, ev.Agent)
	if err != nil && !errors.Is(err, queue.ErrAgentNotFound) {
		return err
	}
	bridge := &pb.Bridge{OfferId: queue.OfferID(ev.Offer), CallId: ev.Call, AgentId: ev.Agent}
	if agent != nil {
		bridge.Endpoint = agent.Endpoint
	}
	cn.order1(ev, &pb.ConnectResponse{Message: &pb.ConnectResponse_Bridge{Bridge: bridge}})
	return nil
}

func (cn *connection) release(ev *queue.Event) {
	release := &pb.Release{CallId: ev.Call, Reason: ev.Reason}
	if ev.Type == queue.EventCallOverflowed {
		for i := range cn.st.config.Queues {
			if q := &cn.st.config.Queues[i]; q.Name == ev.Queue {
				release.Destination = q.Overflow.Destination
			}
		}
	}
	cn.order1(ev, &pb.ConnectResponse{Message: &pb.ConnectResponse_Release{Release: release}})
}

// place is what a caller was told last.
type place struct {
	position int
	wait     time.Duration
}

// announce tells the switch the place and wait of its waiting callers, where
// they have changed.
func (cn *connection) announce(ctx context.Context) error {
	positions, err := cn.st.engine.Positions(ctx, cn.id)
	if errors.Is(err, queue.ErrUnavailable) {
		return nil // next time
	}
	if err != nil {
		return err
	}
	told := make(map[string]place, len(positions))
	for _, p := range positions {
		now := place{p.Position, p.EstimatedWait.Round(time.Second)}
		before, known := cn.told[p.Call]
		if known && before == now || cn.out.holding() {
			told[p.Call] = before // a switch that is behind is told the next time
			continue
		}
		told[p.Call] = now
		cn.out.put(&pb.ConnectResponse{Message: &pb.ConnectResponse_Announce{Announce: &pb.Announce{
			CallId: p.Call, Position: int32(p.Position), EstimatedWait: toDuration(p.EstimatedWait),
		}}})
	}
	cn.told = told
	return nil
}
