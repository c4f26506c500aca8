package load

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
)

// phone is how one agent gets offers and answers them. Its methods repeat a
// request until it is answered. One goroutine uses a phone.
type phone interface {
	// next waits for an offer, or for news that the agent is not ready (offer is
	// nil then).
	next(ctx context.Context) (*held, *pb.Agent, error)
	accept(ctx context.Context, o *held) (*pb.Call, *pb.Callback, error)
	decline(ctx context.Context, o *held) error
	complete(ctx context.Context, callID string) (*pb.Call, error)
	setState(ctx context.Context, s pb.AgentState, reason string) error
}

// held is an offer on a phone's screen.
type held struct {
	*pb.Offer
	request string        // the request_id of its accept or decline
	gone    chan struct{} // closed when the offer was rescinded
	once    sync.Once
	at      time.Time // when it came
}

func newHeld(o *pb.Offer) *held {
	return &held{Offer: o, request: o.GetAgentId() + "/" + o.GetOfferId(), gone: make(chan struct{}), at: time.Now()}
}

func (h *held) rescind() { h.once.Do(func() { close(h.gone) }) }

// desk is what all phones have: unary requests in one agent's name.
type desk struct {
	api     pb.AgentServiceClient
	site    string
	agent   string
	retries *retries
	n       atomic.Int64
}

func newDesk(conn *grpc.ClientConn, site, agent string, r *retries) *desk {
	return &desk{api: pb.NewAgentServiceClient(conn), site: site, agent: agent, retries: r}
}

// request returns a new request_id.
func (d *desk) request(what string) string {
	return d.agent + "/" + what + "/" + strconv.FormatInt(d.n.Add(1), 10)
}

func (d *desk) signIn(ctx context.Context, req *pb.SignInRequest) error {
	_, err := call(ctx, d.retries, d.api.SignIn, req)
	return err
}

func (d *desk) signOut(ctx context.Context) error {
	_, err := call(ctx, d.retries, d.api.SignOut, &pb.SignOutRequest{RequestId: d.request("sign-out"), Site: d.site, AgentId: d.agent})
	return err
}

func (d *desk) accept(ctx context.Context, o *held) (*pb.Call, *pb.Callback, error) {
	res, err := call(ctx, d.retries, d.api.Accept, &pb.AcceptRequest{RequestId: o.request, Site: d.site, AgentId: d.agent, OfferId: o.GetOfferId()})
	return res.GetCall(), res.GetCallback(), err
}

func (d *desk) decline(ctx context.Context, o *held) error {
	_, err := call(ctx, d.retries, d.api.Decline, &pb.DeclineRequest{
		RequestId: o.request, Site: d.site, AgentId: d.agent, OfferId: o.GetOfferId(), Reason: "busy",
	})
	return err
}

func (d *desk) complete(ctx context.Context, callID string) (*pb.Call, error) {
	res, err := call(ctx, d.retries, d.api.Complete, &pb.CompleteRequest{
		RequestId: d.request("complete"), Site: d.site, AgentId: d.agent, CallId: callID,
	})
	return res.GetCall(), err
}

func (d *desk) setState(ctx context.Context, s pb.AgentState, reason string) error {
	_, err := call(ctx, d.retries, d.api.SetState, &pb.SetStateRequest{
		RequestId: d.request("state"), Site: d.site, AgentId: d.agent, State: s, Reason: reason,
	})
	return err
}

// pollPhone pulls its offers with NextCall.
type pollPhone struct {
	*desk
	wait time.Duration
}

func (p *pollPhone) next(ctx context.Context) (*held, *pb.Agent, error) {
	for {
		// The poll itself waits longer than a usual try may take.
		res, err := p.poll(ctx)
		if err != nil {
			return nil, nil, err
		}
		if o := res.GetOffer(); o != nil {
			return newHeld(o), res.GetAgent(), nil
		}
		if res.GetAgent().GetState() == pb.AgentState_AGENT_STATE_NOT_READY && res.GetAgent().GetReason() != onBreak {
			return nil, res.GetAgent(), nil
		}
	}
}

func (p *pollPhone) poll(ctx context.Context) (*pb.NextCallResponse, error) {
	var pause pause
	for {
		try, cancel := context.WithTimeout(ctx, p.wait+attemptTimeout)
		res, err := p.api.NextCall(try, &pb.NextCallRequest{Site: p.site, AgentId: p.agent, Wait: durationpb.New(p.wait)})
		cancel()
		if err == nil || !again(err) || ctx.Err() != nil {
			return res, err
		}
		p.retries.n.Add(1)
		if !pause.wait(ctx) {
			return nil, err
		}
	}
}

// ringPhone is a phone that the call's switch rings; accepting is picking up.
type ringPhone struct {
	*desk
	rings chan *ringing
	state chan *pb.Agent
	mu    sync.Mutex
	now   *ringing
}

// ringing is an offer with the switch that rings for it.
type ringing struct {
	held *held
	line *streamLine
}

func newRingPhone(d *desk) *ringPhone {
	return &ringPhone{desk: d, rings: make(chan *ringing, 64), state: make(chan *pb.Agent, 1)}
}

// ring takes a switch's order to ring. The same order may come twice.
func (p *ringPhone) ring(r *ringing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.held.GetOfferId() == r.held.GetOfferId() {
		return
	}
	p.now = r
	select {
	case p.rings <- r:
	default: // An agent who left; the offer will expire.
	}
}

func (p *ringPhone) stopRinging(offer, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.now.held.GetOfferId() == offer {
		p.now.held.rescind()
	}
	if reason == "expired" || reason == "declined" {
		select {
		case p.state <- &pb.Agent{AgentId: p.agent, State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: reason}:
		default:
		}
	}
}

func (p *ringPhone) next(ctx context.Context) (*held, *pb.Agent, error) {
	for {
		select {
		case r := <-p.rings:
			select {
			case <-r.held.gone:
				continue
			default:
				return r.held, nil, nil
			}
		case a := <-p.state:
			return nil, a, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (p *ringPhone) lineOf(o *held) *streamLine {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now.line
}

func (p *ringPhone) accept(ctx context.Context, o *held) (*pb.Call, *pb.Callback, error) {
	c, err := p.lineOf(o).answered(ctx, o.request, o.GetOfferId())
	return c, nil, err
}

// decline is a busy line: the agent is not ready after it, and says so.
func (p *ringPhone) decline(ctx context.Context, o *held) error {
	return p.lineOf(o).failed(ctx, o.request, o.GetOfferId(), pb.AgentFailure_AGENT_FAILURE_BUSY)
}
