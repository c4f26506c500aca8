package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
)

// sessionPhone is a softphone on a Session stream: offers are pushed to it.
type sessionPhone struct {
	link[pb.SessionRequest, pb.SessionResponse]
	*desk
	faulty func(format string, args ...any)

	after  atomic.Pointer[uint64]           // the last message seen; nil: begin with the agent as of now
	signIn atomic.Pointer[pb.SignInRequest] // nil once the daemon welcomed the agent
	offers chan *held
	// welcomed is closed when the first session is open, or refused.
	welcomed chan struct{}
	refused  error
	news     chan struct{} // the agent's state has changed
	screen   sync.Mutex
	showing  *held
	state    *pb.Agent // as the daemon said it last
}

// newSessionPhone returns a softphone that signs its agent in with its first
// session. Its run method keeps the session open.
func newSessionPhone(conn *grpc.ClientConn, d *desk, signIn *pb.SignInRequest, faulty func(string, ...any)) *sessionPhone {
	p := &sessionPhone{desk: d, faulty: faulty, offers: make(chan *held, 64), news: make(chan struct{}, 1), welcomed: make(chan struct{})}
	p.signIn.Store(signIn)
	api := pb.NewAgentServiceClient(conn)
	p.link = link[pb.SessionRequest, pb.SessionResponse]{
		open: func(ctx context.Context) (grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse], error) {
			return api.Session(ctx)
		},
		hello: func() *pb.SessionRequest {
			return &pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{
				Site: d.site, AgentId: d.agent, After: p.after.Load(), SignIn: p.signIn.Load(),
			}}}
		},
		beat: &pb.SessionRequest{Message: &pb.SessionRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}},
		welcome: func(res *pb.SessionResponse) (time.Duration, bool) {
			return res.GetWelcome().GetHeartbeatEvery().AsDuration(), res.GetWelcome() != nil
		},
		result: func(res *pb.SessionResponse) result {
			if r := res.GetResult(); r != nil {
				return r
			}
			return nil
		},
		take: p.take, lost: p.lost, retries: d.retries,
	}
	return p
}

// lost notes why a session ended, when that is not the daemon's absence. An
// agent whom the daemon does not let in is not tried again.
func (p *sessionPhone) lost(err error) (again bool) {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded:
		return true
	case codes.OutOfRange:
		p.faulty("agent %s: messages are gone: %v", p.agent, err)
		p.after.Store(nil)
		return true
	}
	p.faulty("agent %s: the session ended: %v", p.agent, err)
	if p.signIn.Swap(nil) != nil {
		p.refused = err
		close(p.welcomed)
		return false
	}
	return true
}

// take shows what one message says.
func (p *sessionPhone) take(res *pb.SessionResponse) {
	switch m := res.GetMessage().(type) {
	case *pb.SessionResponse_Welcome:
		if p.signIn.Swap(nil) != nil {
			close(p.welcomed)
		}
		p.noteState(m.Welcome.GetAgent())
	case *pb.SessionResponse_Offer:
		p.show(m.Offer)
	case *pb.SessionResponse_Rescind:
		p.screen.Lock()
		if p.showing != nil && p.showing.GetOfferId() == m.Rescind.GetOfferId() {
			p.showing.rescind()
		}
		p.screen.Unlock()
	case *pb.SessionResponse_Agent:
		p.noteState(m.Agent)
	}
	if seq := res.GetSequence(); seq > 0 {
		p.after.Store(&seq)
	}
}

// show puts an offer on the screen and tells the daemon so. The same offer may
// come twice, after a session was opened again.
func (p *sessionPhone) show(o *pb.Offer) {
	p.screen.Lock()
	known := p.showing != nil && p.showing.GetOfferId() == o.GetOfferId()
	h := p.showing
	if !known {
		h = newHeld(o)
		p.showing = h
	}
	p.screen.Unlock()
	p.send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: o.GetOfferId()}}})
	if known {
		return
	}
	select {
	case p.offers <- h:
	default:
		p.faulty("agent %s: has more offers than one", p.agent)
	}
}

func (p *sessionPhone) noteState(a *pb.Agent) {
	p.screen.Lock()
	p.state = a
	p.screen.Unlock()
	select {
	case p.news <- struct{}{}:
	default:
	}
}

// notReady returns the agent when the daemon made it not ready.
func (p *sessionPhone) notReady() *pb.Agent {
	p.screen.Lock()
	defer p.screen.Unlock()
	if p.state.GetState() == pb.AgentState_AGENT_STATE_NOT_READY && p.state.GetReason() != onBreak {
		return p.state
	}
	return nil
}

func (p *sessionPhone) next(ctx context.Context) (*held, *pb.Agent, error) {
	for {
		select {
		case h := <-p.offers:
			select {
			case <-h.gone:
				continue
			default:
				return h, nil, nil
			}
		case <-p.news:
			if a := p.notReady(); a != nil {
				return nil, a, nil
			}
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (p *sessionPhone) accept(ctx context.Context, o *held) (*pb.Call, *pb.Callback, error) {
	res, err := p.do(ctx, o.request, &pb.SessionRequest{Message: &pb.SessionRequest_Accept{
		Accept: &pb.AcceptRequest{RequestId: o.request, OfferId: o.GetOfferId()},
	}})
	return res.GetResult().GetCall(), res.GetResult().GetCallback(), err
}

func (p *sessionPhone) decline(ctx context.Context, o *held) error {
	_, err := p.do(ctx, o.request, &pb.SessionRequest{Message: &pb.SessionRequest_Decline{
		Decline: &pb.DeclineRequest{RequestId: o.request, OfferId: o.GetOfferId(), Reason: "busy"},
	}})
	return err
}

func (p *sessionPhone) complete(ctx context.Context, callID string) (*pb.Call, error) {
	id := p.request("complete")
	res, err := p.do(ctx, id, &pb.SessionRequest{Message: &pb.SessionRequest_Complete{
		Complete: &pb.CompleteRequest{RequestId: id, CallId: callID},
	}})
	return res.GetResult().GetCall(), err
}

func (p *sessionPhone) setState(ctx context.Context, s pb.AgentState, reason string) error {
	id := p.request("state")
	res, err := p.do(ctx, id, &pb.SessionRequest{Message: &pb.SessionRequest_SetState{
		SetState: &pb.SetStateRequest{RequestId: id, State: s, Reason: reason},
	}})
	if err == nil {
		p.noteState(res.GetResult().GetAgent())
	}
	return err
}
