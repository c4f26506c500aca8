package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"greenlane/internal/feed"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// flushFor is how long a stream that the daemon ends may take to send what was
// already decided.
const flushFor = time.Second

// session is one softphone's stream: a Session, or a Listen, which is the half of
// it that the daemon speaks.
//
// Three goroutines work on it: the rpc's, which waits for everything that can
// happen; for a Session hearing, which reads commands and carries them out one
// after the other; and the outbox's, while there is something to send.
type session struct {
	attachment
	s      *Server
	st     *site
	stream grpc.ServerStream
	out    *outbox[*pb.SessionResponse]
	sub    *feed.Sub
	shown  uint64    // the offer on the softphone's screen
	seen   agentView // the agent as the softphone knows it
	buf    []*queue.Event
}

func (s *Server) newSession(stream grpc.ServerStream, send func(*pb.SessionResponse) error) *session {
	return &session{
		s: s, stream: stream, out: newOutbox(s.opts.SlowReader, send),
		attachment: attachment{token: s.token(), replaced: make(chan struct{})},
	}
}

// Session implements the rpc.
func (s *agentService) Session(stream grpc.BidiStreamingServer[pb.SessionRequest, pb.SessionResponse]) error {
	ss := s.newSession(stream, stream.Send)
	h := &hearing{session: ss, recv: stream.Recv, hello: make(chan *pb.SessionHello, 1), opened: make(chan struct{})}
	go s.guarded("session", ss.out.fail, h.listen)
	hello, err := h.greet()
	if err != nil {
		return toError(s.log, err)
	}
	return ss.serve("hello.", hello, func() { close(h.opened) })
}

// Listen implements the rpc.
func (s *agentService) Listen(req *pb.ListenRequest, stream grpc.ServerStreamingServer[pb.ListenResponse]) error {
	ss := s.newSession(stream, func(m *pb.SessionResponse) error { return stream.Send(&pb.ListenResponse{Message: m}) })
	hello := &pb.SessionHello{Site: req.GetSite(), AgentId: req.GetAgentId(), After: req.After, SignIn: req.GetSignIn()}
	return ss.serve("", hello, func() {})
}

// serve runs the session from its hello, whose fields are named with a prefix, to
// its end. It tells when commands may begin.
func (ss *session) serve(prefix string, hello *pb.SessionHello, opened func()) error {
	if err := ss.open(prefix, hello); err != nil {
		return toError(ss.s.log, err)
	}
	defer func() { ss.sub.Close() }()
	ss.s.counts.Sessions.Add(1)
	defer ss.s.counts.Sessions.Add(-1)
	opened()
	err := ss.run()
	ss.close(err)
	return toError(ss.s.log, err)
}

// open checks the hello, makes the agent available and sends what the softphone
// has to know first.
func (ss *session) open(prefix string, hello *pb.SessionHello) error {
	st, signIn, err := ss.s.helloCommand(prefix, hello)
	if err != nil {
		return err
	}
	ss.st, ss.agent = st, hello.GetAgentId()
	ctx := ss.stream.Context()
	after := feed.FromNow
	if hello.After != nil {
		after = hello.GetAfter()
		if err := ss.s.checkCursor(ctx, st, after); err != nil {
			return err
		}
	}
	if signIn != nil {
		if _, err := st.engine.Do(ctx, signIn); err != nil {
			return err
		}
	}
	ss.sub = st.feed.Agent(ss.agent, after)
	begins := ss.sub.Cursor()
	st.attached.open(&ss.attachment)
	res, err := ss.attach(ctx)
	if err != nil {
		ss.sub.Close()
		st.attached.close(&ss.attachment)
		if ctx.Err() != nil {
			ss.detach(true)
		}
		return err
	}
	ss.seen = viewOf(res.Agent)
	ss.out.put(&pb.SessionResponse{Sequence: begins, Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{
		Agent: toAgent(st.name, res.Agent), HeartbeatEvery: toDuration(ss.s.opts.HeartbeatEvery), Now: toTime(st.now()),
	}}})
	if hello.After == nil {
		ss.show(begins, res.Offer)
	}
	return nil
}

func (ss *session) attach(ctx context.Context) (res queue.Result, err error) {
	err = ss.st.attached.attach(ctx, &ss.attachment, func() (err error) {
		res, err = ss.st.engine.Do(ctx, &queue.Attach{
			Agent: ss.agent, Owner: ss.s.owner, Token: ss.token, Presence: queue.PresentStream,
		})
		return err
	})
	if errors.Is(err, errReplaced) {
		err = errTakeover
	}
	return res, err
}

// helloCommand checks a hello, and makes the sign-in it may carry.
func (s *Server) helloCommand(prefix string, hello *pb.SessionHello) (*site, *queue.SignIn, error) {
	var c check
	c.name(prefix+"site", hello.GetSite(), false)
	c.id(prefix+"agent_id", hello.GetAgentId())
	in := hello.GetSignIn()
	if !sameSite(in.GetSite(), hello.GetSite()) {
		c.fault(prefix+"sign_in.site", "must be the session's or empty")
	}
	if in.GetAgentId() != "" && in.GetAgentId() != hello.GetAgentId() {
		c.fault(prefix+"sign_in.agent_id", "must be the session's or empty")
	}
	if err := c.err(); err != nil {
		return nil, nil, err
	}
	st, err := s.site(hello.GetSite())
	if err != nil || in == nil {
		return st, nil, err
	}
	in.Site, in.AgentId = st.name, hello.GetAgentId()
	_, cmd, err := s.signInCommand(in)
	return st, cmd, err
}

// sameSite reports whether two names of a site, either of which may be left out,
// mean the same one; a name that is left out on the left means the right one.
func sameSite(name, other string) bool {
	if other == "" {
		other = DefaultSite
	}
	return name == "" || name == other
}

// checkCursor refuses a cursor that the log has not reached.
func (s *Server) checkCursor(ctx context.Context, st *site, after uint64) error {
	last, err := st.engine.LastEvent(ctx)
	if err != nil {
		return err
	}
	if after > last {
		return outOfRange(after, 0, last)
	}
	return nil
}

// run waits for what happens, until the session is over.
func (ss *session) run() error {
	ctx := ss.stream.Context()
	beat := time.NewTimer(ss.s.opts.HeartbeatEvery)
	defer beat.Stop()
	for {
		ready := ss.sub.Ready()
		if ss.out.holding() {
			ready = nil // the softphone is behind; the log keeps what it has not seen
		}
		select {
		case <-ready:
			if err := ss.follow(ctx); err != nil {
				return err
			}
		case <-ss.out.room:
		case <-beat.C:
			due, next := ss.out.beat(ss.s.opts.HeartbeatEvery)
			if due {
				ss.out.put(&pb.SessionResponse{Message: &pb.SessionResponse_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
			}
			beat.Reset(next)
		case <-ss.out.failed:
			return ss.out.Err()
		case <-ss.replaced:
			return errTakeover
		case <-ss.s.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close ends the agent's availability; a live offer goes back at once, unless the agent
// has another way in, which shows it again. What was already decided is sent, when the
// client still reads.
func (ss *session) close(err error) {
	ss.st.attached.close(&ss.attachment)
	ss.detach(!errors.Is(err, errTakeover))
	if !errors.Is(err, errSlow) && ss.stream.Context().Err() == nil {
		ss.out.flush(flushFor)
	}
}

func (ss *session) detach(undelivered bool) {
	ctx, cancel := ss.s.detached()
	defer cancel()
	_, err := ss.st.engine.Do(ctx, &queue.Detach{Agent: ss.agent, Token: ss.token, Undelivered: undelivered})
	if err != nil {
		ss.s.log.Warn("a session ended and its agent could not be detached; the lease will end it",
			"site", ss.st.name, "agent", ss.agent, "error", err)
	}
}
