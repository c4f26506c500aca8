package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"greenlane/internal/feed"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// inFlight bounds how many messages of one switch are being decided at once.
// They share commits, so a fast switch needs many.
const inFlight = 256

// connection is one switch's stream.
type connection struct {
	s       *Server
	st      *site
	id      string // the switch
	trunk   *trunk
	stream  grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse]
	out     *outbox[*pb.ConnectResponse]
	first   chan *pb.ConnectRequest // the first message; closed when there is none
	opened  chan struct{}           // closed when the stream is open
	badly   error                   // why the stream must end
	broken  chan struct{}           // closed with badly, after the first message
	order   ordered
	sub     *feed.Sub
	buf     []*queue.Event
	rings   rings
	told    map[string]place // by call: what was announced last
	replays uint64           // events up to here were there before the stream
	earlier uint64           // events up to here may be of rings of an earlier stream
}

// Connect implements the rpc.
func (s *switchService) Connect(stream grpc.BidiStreamingServer[pb.ConnectRequest, pb.ConnectResponse]) error {
	cn := &connection{
		s: s.Server, stream: stream,
		out:   newOutbox(32*s.opts.SlowReader, stream.Send),
		first: make(chan *pb.ConnectRequest, 1), opened: make(chan struct{}), broken: make(chan struct{}),
		told: map[string]place{},
	}
	cn.order.limit = make(chan struct{}, inFlight)
	go s.guarded("connect", cn.out.fail, cn.listen)
	first, err := cn.greet()
	if err != nil {
		return toError(s.log, err)
	}
	if err := cn.open(first); err != nil {
		return toError(s.log, err)
	}
	s.counts.Switches.Add(1)
	defer s.counts.Switches.Add(-1)
	close(cn.opened)
	err = cn.run()
	cn.close(err)
	return toError(s.log, err)
}

// listen reads what the switch says. Messages of one call are decided in their
// order; those of different calls side by side, so that they share commits.
func (cn *connection) listen() {
	ctx := cn.stream.Context()
	first, err := cn.stream.Recv()
	if err != nil {
		if cn.badly = err; errors.Is(err, io.EOF) {
			cn.badly = refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "switch_id: the first message must name the switch", nil)
		}
		close(cn.first)
		return
	}
	cn.first <- first
	select {
	case <-cn.opened:
	case <-ctx.Done():
		return
	}
	req := first
	for {
		if err := cn.belongs(req); err != nil {
			cn.badly = err
			close(cn.broken)
			return
		}
		if !cn.take(ctx, req, req == first) {
			return
		}
		if req, err = cn.hear(ctx); err != nil {
			if !errors.Is(err, io.EOF) { // else half-closed: the orders go on
				cn.badly = err
				close(cn.broken)
			}
			return
		}
	}
}

// hear returns the next message that can be read. One that can't is answered: the
// switch learns by its result which it was.
func (cn *connection) hear(ctx context.Context) (*pb.ConnectRequest, error) {
	for {
		req := new(pb.ConnectRequest)
		err := cn.stream.RecvMsg(req)
		if !isUnreadable(err) {
			return req, err
		}
		cn.answer(ctx, req.GetRequestId(), func(context.Context) (*pb.ConnectResult, error) { return nil, err })
	}
}

func (cn *connection) greet() (*pb.ConnectRequest, error) {
	t := time.NewTimer(cn.s.opts.HelloTimeout)
	defer t.Stop()
	select {
	case first, ok := <-cn.first:
		if !ok {
			return nil, cn.badly
		}
		return first, nil
	case <-t.C:
		return nil, refuse(codes.InvalidArgument, "INVALID_ARGUMENT", "switch_id: no message came in time", nil)
	case <-cn.s.stopping:
		return nil, errStopping
	case <-cn.stream.Context().Done():
		return nil, cn.stream.Context().Err()
	}
}

// open finds out who the switch is, subscribes to its orders and then makes it
// known, so that none can fall between the two.
func (cn *connection) open(first *pb.ConnectRequest) error {
	siteName, switchID := trunkOf(first)
	var c check
	c.name("site", siteName, false)
	c.id("switch_id", switchID)
	if err := c.err(); err != nil {
		return err
	}
	st, err := cn.s.site(siteName)
	if err != nil {
		return err
	}
	cn.st, cn.id = st, switchID
	ctx := cn.stream.Context()
	after := feed.FromNow
	if hello := first.GetHello(); hello != nil && hello.After != nil {
		after = hello.GetAfter()
		if err := cn.s.checkCursor(ctx, st, after); err != nil {
			return err
		}
	}
	cn.sub = st.feed.Switch(switchID, after)
	begins := cn.sub.Cursor()
	cn.replays = st.feed.Position()
	if err := cn.attach(ctx); err != nil {
		cn.sub.Close()
		return err
	}
	// The feed may be behind the log, and with it cn.replays.
	if cn.earlier, err = st.engine.LastEvent(ctx); err != nil {
		cn.sub.Close()
		cn.detach()
		return err
	}
	cn.out.put(&pb.ConnectResponse{Sequence: begins, Message: &pb.ConnectResponse_Welcome{Welcome: &pb.SwitchWelcome{
		HeartbeatEvery: toDuration(cn.s.opts.HeartbeatEvery),
	}}})
	return nil
}

// run waits for what happens, until the stream is over.
func (cn *connection) run() error {
	ctx := cn.stream.Context()
	beat := time.NewTimer(cn.s.opts.HeartbeatEvery)
	defer beat.Stop()
	announce := time.NewTicker(cn.s.opts.AnnounceEvery)
	defer announce.Stop()
	for {
		ready := cn.sub.Ready()
		if cn.out.holding() {
			ready = nil // the switch is behind; the log keeps what it has not seen
		}
		select {
		case <-ready:
			if err := cn.follow(ctx); err != nil {
				return err
			}
		case <-cn.out.room:
		case <-announce.C:
			if err := cn.announce(ctx); err != nil {
				return err
			}
		case <-beat.C:
			due, next := cn.out.beat(cn.s.opts.HeartbeatEvery)
			if due {
				cn.out.put(&pb.ConnectResponse{Message: &pb.ConnectResponse_Heartbeat{Heartbeat: &pb.Heartbeat{}}})
			}
			beat.Reset(next)
		case <-cn.broken:
			return cn.badly
		case <-cn.out.failed:
			return cn.out.Err()
		case <-cn.s.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close makes the switch unknown as one that can ring phones: their offers go
// back at once. What is being decided is awaited, so that its results can be
// sent while the switch still reads.
func (cn *connection) close(err error) {
	cn.sub.Close()
	if !errors.Is(err, errSlow) && cn.stream.Context().Err() == nil {
		cn.order.wait(flushFor)
		cn.out.flush(flushFor)
	}
	cn.detach()
}

// follow sends the orders that the events since the last time mean.
func (cn *connection) follow(ctx context.Context) error {
	from := cn.sub.Cursor()
	events, err := cn.sub.Take(ctx, cn.buf, cn.out.limit/2)
	if err == nil {
		cn.buf = events
		for _, ev := range events {
			if err = cn.orderOf(ctx, ev); err != nil {
				break
			}
		}
	}
	switch {
	case errors.Is(err, feed.ErrCutOff): // the log has what was missed
	case errors.Is(err, queue.ErrUnavailable):
		if err := cn.s.pause(ctx); err != nil {
			return err
		}
	default:
		return err
	}
	cn.sub.Close()
	cn.sub = cn.st.feed.Switch(cn.id, from)
	return nil
}
