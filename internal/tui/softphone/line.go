package softphone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// kind is what a command asks for.
type kind uint8

const (
	accept kind = iota
	decline
	complete
	setReady
	pause
	report
	signOut
)

// command is one thing that the agent wants done. It is sent until the daemon has
// answered, each time with the same request_id, so that it is done once.
type command struct {
	kind     kind
	id       string // the request_id
	offer    string
	call     string
	callback string
	reason   string
	result   pb.CallbackResult
	note     string
	force    bool
}

func (c *command) request() *pb.SessionRequest {
	switch c.kind {
	case accept:
		return &pb.SessionRequest{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: c.id, OfferId: c.offer}}}
	case decline:
		return &pb.SessionRequest{Message: &pb.SessionRequest_Decline{Decline: &pb.DeclineRequest{RequestId: c.id, OfferId: c.offer, Reason: c.reason}}}
	case complete:
		return &pb.SessionRequest{Message: &pb.SessionRequest_Complete{Complete: &pb.CompleteRequest{RequestId: c.id, CallId: c.call}}}
	case setReady:
		return &pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{RequestId: c.id, State: pb.AgentState_AGENT_STATE_READY}}}
	case pause:
		return &pb.SessionRequest{Message: &pb.SessionRequest_SetState{SetState: &pb.SetStateRequest{
			RequestId: c.id, State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: c.reason,
		}}}
	}
	return nil // an rpc of its own
}

// missedBeats is after how many heartbeats without a message a session is taken for
// broken.
const missedBeats = 3

// errSilent is why a session ended that brought nothing.
var errSilent = errors.New("the daemon is silent")

// line keeps the agent's session open, and carries out commands.
type line struct {
	opt       Options
	agents    pb.AgentServiceClient
	callbacks pb.CallbackServiceClient
	tell      func(any) // takes *pb.SessionResponse and what phone.go names
	again     chan struct{}

	after    *uint64 // the last message seen; nil: begin with the agent as of now
	signedIn bool
	backoff  tui.Backoff

	mu      sync.Mutex // held to send
	stream  grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]
	pending map[string]*command
	order   []*command
}

func newLine(opt Options, tell func(any)) *line {
	return &line{
		opt: opt, agents: pb.NewAgentServiceClient(opt.Conn), callbacks: pb.NewCallbackServiceClient(opt.Conn),
		tell: tell, again: make(chan struct{}, 1), pending: map[string]*command{},
	}
}

// open asks for a session that has ended for good to be opened again.
func (l *line) open() {
	select {
	case l.again <- struct{}{}:
	default:
	}
}

// run keeps the session open until ctx ends.
func (l *line) run(ctx context.Context) {
	for ctx.Err() == nil {
		l.tell(opening{})
		err := l.session(ctx)
		if ctx.Err() != nil {
			return
		}
		switch status.Code(err) {
		case codes.Aborted:
			l.stop(err, true)
		case codes.FailedPrecondition:
			l.signedIn = false
			l.stop(err, false)
		case codes.NotFound:
			if l.signedIn { // the daemon has other data than before
				l.signedIn, l.after = false, nil
				continue
			}
			l.stop(err, false)
		case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
			l.stop(err, false)
		case codes.OutOfRange:
			if l.after != nil { // trimmed; the agent as of now will do
				l.after = nil
				continue
			}
			l.stop(err, false)
		default:
			in := l.backoff.Next()
			l.tell(lost{err, in})
			pauseFor(ctx, in, nil)
			continue
		}
		pauseFor(ctx, 0, l.again)
	}
}

// stop says that the session is over, and gives up on what waits for an answer.
func (l *line) stop(err error, taken bool) {
	l.mu.Lock()
	waiting := l.order
	l.order, l.pending = nil, map[string]*command{}
	l.mu.Unlock()
	select { // an earlier wish to open it has been granted
	case <-l.again:
	default:
	}
	for _, c := range waiting {
		l.tell(done{cmd: c, err: err})
	}
	l.tell(ended{err, taken})
}

// pauseFor waits for a time, or without one for a wish; or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration, wish <-chan struct{}) {
	var due <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-wish:
	case <-ctx.Done():
	}
}

// session signs the agent in, when it is not, opens one session and reads it to its
// end.
func (l *line) session(ctx context.Context) error {
	if err := l.signIn(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := l.agents.Session(ctx)
	if err != nil {
		return err
	}
	// An error of Send is told by Recv.
	_ = stream.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{Site: l.opt.Site, AgentId: l.opt.Agent, After: l.after}}})
	silent := time.AfterFunc(l.opt.Timeout, func() { cancel(errSilent) })
	defer silent.Stop()
	var beating sync.WaitGroup
	defer beating.Wait()
	defer cancel(nil)
	defer l.use(nil)
	every := l.opt.Timeout
	for {
		res, err := stream.Recv()
		if err != nil {
			if errors.Is(context.Cause(ctx), errSilent) {
				return errSilent
			}
			return err
		}
		if w := res.GetWelcome(); w != nil {
			if d := w.GetHeartbeatEvery().AsDuration(); d > 0 {
				every = missedBeats*d + time.Second
				beating.Go(func() { l.beat(ctx, d) })
			}
			l.backoff.Reset()
		}
		silent.Reset(every)
		l.take(res)
		if res.GetWelcome() != nil {
			l.use(stream)
		}
	}
}

// signIn signs the agent in; one who begins not ready is that before any offer can
// come.
func (l *line) signIn(ctx context.Context) error {
	if l.signedIn {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.opt.Timeout)
	defer cancel()
	req := &pb.SignInRequest{RequestId: newID(), Site: l.opt.Site, AgentId: l.opt.Agent, Endpoint: l.opt.Endpoint, Queues: l.opt.Queues, WrapUp: l.opt.WrapUp}
	if _, err := l.agents.SignIn(ctx, req); err != nil {
		return err
	}
	if l.opt.NotReady {
		_, err := l.agents.SetState(ctx, &pb.SetStateRequest{
			RequestId: newID(), Site: l.opt.Site, AgentId: l.opt.Agent, State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: l.opt.NotReadyReason,
		})
		if err != nil {
			return err
		}
	}
	l.signedIn = true
	return nil
}

func newID() string { return "softphone-" + rand.Text() }

// beat says that the softphone is alive.
func (l *line) beat(ctx context.Context, every time.Duration) {
	for {
		pauseFor(ctx, every, nil)
		if ctx.Err() != nil {
			return
		}
		l.send(&pb.SessionRequest{Message: &pb.SessionRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
	}
}

// take hands one message on. An offer is acknowledged when it has been: it is on
// the screen with the next frame.
func (l *line) take(res *pb.SessionResponse) {
	if r := res.GetResult(); r != nil {
		l.answer(r)
		return
	}
	l.tell(res)
	if seq := res.GetSequence(); seq > 0 {
		l.after = &seq
	}
	if o := res.GetOffer(); o != nil {
		l.send(&pb.SessionRequest{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: o.GetOfferId()}}})
	}
}

// use changes the stream to send on; what was not answered on the one before is
// sent again.
func (l *line) use(stream grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = stream
	if stream == nil {
		return
	}
	for _, c := range l.order {
		_ = stream.Send(c.request()) // a failure shows when the stream is read
	}
}

func (l *line) send(req *pb.SessionRequest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		_ = l.stream.Send(req)
	}
}

// do sends a command; a done will be told.
func (l *line) do(ctx context.Context, c *command) {
	if c.id == "" {
		c.id = newID()
	}
	if c.kind == report || c.kind == signOut {
		go l.ask(ctx, c)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending[c.id] = c
	l.order = append(l.order, c)
	if l.stream != nil {
		_ = l.stream.Send(c.request())
	}
}

// answer takes the result of a command that was sent in the session.
func (l *line) answer(r *pb.SessionResult) {
	l.mu.Lock()
	c := l.pending[r.GetRequestId()]
	again := c != nil && codes.Code(r.GetCode()) == codes.Unavailable
	if c != nil && !again {
		delete(l.pending, c.id)
		for i := range l.order {
			if l.order[i] == c {
				l.order = append(l.order[:i], l.order[i+1:]...)
				break
			}
		}
	}
	l.mu.Unlock()
	switch {
	case again:
		// Not confirmed: the engine is away for a moment, and repeating is safe.
		time.AfterFunc(askAgain, func() { l.send(c.request()) })
	case c != nil:
		d := done{cmd: c, SessionResult: r}
		if code := codes.Code(r.GetCode()); code != codes.OK {
			d.err = status.Error(code, r.GetMessage())
		}
		l.tell(d)
	}
}

// askAgain is how long a command that was not confirmed rests.
const askAgain = 300 * time.Millisecond

// ask carries out a command that is an rpc of its own.
func (l *line) ask(ctx context.Context, c *command) {
	ctx, cancel := context.WithTimeout(ctx, l.opt.Timeout)
	defer cancel()
	for {
		res, err := l.once(ctx, c)
		if err == nil || status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			l.tell(done{cmd: c, SessionResult: res, err: err})
			return
		}
		pauseFor(ctx, askAgain, nil)
	}
}

func (l *line) once(ctx context.Context, c *command) (*pb.SessionResult, error) {
	switch c.kind {
	case report:
		res, err := l.callbacks.Report(ctx, &pb.CallbackServiceReportRequest{
			RequestId: c.id, Site: l.opt.Site, CallbackId: c.callback, Claimant: l.opt.Agent, Result: c.result, Note: c.note,
		})
		return &pb.SessionResult{Callback: res.GetCallback()}, err
	case signOut:
		res, err := l.agents.SignOut(ctx, &pb.SignOutRequest{RequestId: c.id, Site: l.opt.Site, AgentId: l.opt.Agent, Force: c.force})
		if status.Code(err) == codes.NotFound { // never signed in, so it is done
			return &pb.SessionResult{}, nil
		}
		return &pb.SessionResult{Agent: res.GetAgent()}, err
	}
	return nil, fmt.Errorf("command %d is no rpc of its own", c.kind)
}
