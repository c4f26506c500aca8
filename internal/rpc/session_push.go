package rpc

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc/codes"

	"greenlane/internal/feed"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// agentView is what a softphone shows of its agent. When it changes, the agent
// is sent.
type agentView struct {
	state                  queue.AgentState
	reason, call, callback string
	offer                  uint64
	wrapUntil              instant.Instant
	available, nextPause   bool
	endpoint               string
	services               int
}

func viewOf(a *queue.Agent) agentView {
	return agentView{
		state: a.State, reason: a.Reason, call: a.Call, callback: a.Callback, offer: a.Offer, wrapUntil: a.WrapUntil,
		available: a.Presence != queue.Absent, nextPause: a.NextPause, endpoint: a.Endpoint, services: len(a.Services),
	}
}

// follow sends what the events since the last time mean to the softphone. The
// agent is asked for once, whatever the number of events: what has passed
// already is not shown.
func (ss *session) follow(ctx context.Context) error {
	from := ss.sub.Cursor()
	events, err := ss.sub.Take(ctx, ss.buf, ss.out.limit/2-1) // one message each, and the agent's
	if err == nil {
		ss.buf = events
		err = ss.tellAll(ctx, events)
	}
	switch {
	case errors.Is(err, feed.ErrCutOff): // the log has what was missed
	case errors.Is(err, queue.ErrUnavailable):
		// The session stands while the engine is away, and goes on where it was.
		if err := ss.s.pause(ctx); err != nil {
			return err
		}
	default:
		return err
	}
	ss.sub.Close()
	ss.sub = ss.st.feed.Agent(ss.agent, from)
	return nil
}

func (ss *session) tellAll(ctx context.Context, events []*queue.Event) error {
	if !slices.ContainsFunc(events, news) {
		return nil
	}
	agent, offer, err := ss.st.engine.Agent(ctx, ss.agent)
	if err != nil {
		return err
	}
	switched := false
	for _, ev := range events {
		if err := ss.tell(ctx, ev, offer); err != nil {
			return err
		}
		switched = switched || ev.Type == queue.EventAgentQueuesChanged
	}
	last := events[len(events)-1].Seq
	if view := viewOf(agent); switched || view != ss.seen {
		ss.seen = view
		ss.out.put(&pb.SessionResponse{Sequence: last, Message: &pb.SessionResponse_Agent{Agent: toAgent(ss.st.name, agent)}})
	}
	return ss.keep(ctx, last, agent)
}

// news reports whether an event tells the softphone anything. That it has the
// offer, it knows.
func news(ev *queue.Event) bool { return ev.Type != queue.EventOfferAcknowledged }

// tell sends what one event means; offer is the agent's live one, if any.
func (ss *session) tell(ctx context.Context, ev *queue.Event, offer *queue.Offer) error {
	switch ev.Type {
	case queue.EventCallOffered, queue.EventCallbackOffered:
		if offer != nil && offer.Epoch == ev.Offer {
			ss.show(ev.Seq, offer)
		}
	case queue.EventOfferReturned, queue.EventCallbackReturned:
		// An offer that this stream never showed may still stand on the screen of a
		// softphone that has come back.
		if ev.Offer != 0 {
			ss.shown = 0
			ss.out.put(&pb.SessionResponse{Sequence: ev.Seq, Message: &pb.SessionResponse_Rescind{Rescind: &pb.OfferRescinded{
				OfferId: queue.OfferID(ev.Offer), CallId: ev.Call, CallbackId: ev.Callback, Reason: ev.Reason,
			}}})
		}
	case queue.EventCallCompleted:
		info, err := ss.st.engine.Call(ctx, ev.Call)
		if errors.Is(err, queue.ErrCallNotFound) {
			return nil // long ago, and trimmed
		}
		if err != nil {
			return err
		}
		ss.out.put(&pb.SessionResponse{Sequence: ev.Seq, Message: &pb.SessionResponse_CallEnded{CallEnded: &pb.SessionCallEnded{
			Call: ss.call(&info.Call),
		}}})
	}
	return nil
}

// show sends a live offer, once.
func (ss *session) show(seq uint64, offer *queue.Offer) {
	if offer == nil || offer.Epoch == ss.shown {
		return
	}
	ss.shown = offer.Epoch
	ss.out.put(&pb.SessionResponse{Sequence: seq, Message: &pb.SessionResponse_Offer{Offer: ss.eyes().offer(ss.st.name, offer, ss.st.now())}})
}

// keep looks whether the session is still the agent's way in.
func (ss *session) keep(ctx context.Context, seq uint64, agent *queue.Agent) error {
	switch {
	case agent.State == queue.AgentSignedOut:
		return refuse(codes.FailedPrecondition, "SIGNED_OUT", "the agent has signed out", nil)
	case agent.Token == ss.token:
		return nil
	case agent.Token != "":
		return errTakeover // at another daemon
	}
	// The lease ran out while the session stood: this daemon was held up, or the
	// engine was away. The softphone is here, so the agent is.
	res, err := ss.attach(ctx)
	if err == nil {
		ss.show(seq, res.Offer)
	}
	return err
}
