package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"greenlane/internal/feed"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// StreamEvents implements the rpc.
func (s *supervisorService) StreamEvents(req *pb.StreamEventsRequest, stream grpc.ServerStreamingServer[pb.StreamEventsResponse]) error {
	var c check
	c.name("site", req.GetSite(), false)
	types := map[queue.EventType]bool{}
	for i, t := range req.GetTypes() {
		if c.enum(index("types", i, ""), int32(t), pb.EventType_name, true); len(c.faults) > 0 {
			break
		}
		types[queue.EventType(t)] = true
	}
	if err := c.err(); err != nil {
		return err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return err
	}
	r := &eventReader{
		s: s.Server, st: st, types: types, follow: req.Follow == nil || req.GetFollow(),
		out: newOutbox(32*s.opts.SlowReader, stream.Send),
	}
	return toError(s.log, r.run(stream.Context(), req.GetAfter()))
}

// eventReader is one StreamEvents.
type eventReader struct {
	s      *Server
	st     *site
	types  map[queue.EventType]bool
	follow bool
	until  uint64 // without follow: where to stop
	out    *outbox[*pb.StreamEventsResponse]
	sub    *feed.Sub
	buf    []*queue.Event
}

func (r *eventReader) run(ctx context.Context, after uint64) error {
	last, err := r.st.engine.LastEvent(ctx)
	if err != nil {
		return err
	}
	r.until = last
	if after, err = r.begin(ctx, after, last); err != nil {
		return err
	}
	if !r.follow && after >= last {
		return nil
	}
	r.sub = r.st.feed.All(after)
	defer func() { r.sub.Close() }()
	stall := time.NewTicker(r.s.opts.HeartbeatEvery)
	defer stall.Stop()
	for {
		ready := r.sub.Ready()
		if r.out.holding() {
			ready = nil // the reader is behind; the log keeps what it has not seen
		}
		select {
		case <-ready:
			done, err := r.read(ctx)
			if done || err != nil {
				r.out.flush(time.Minute)
				return errors.Join(r.out.Err(), err)
			}
		case <-r.out.room:
		case <-stall.C:
			r.out.beat(r.s.opts.HeartbeatEvery) // gives a stalled reader up
		case <-r.out.failed:
			return r.out.Err()
		case <-r.s.stopping:
			r.out.flush(flushFor)
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin checks the cursor and returns where to read from: 0 means the oldest
// event kept, whatever has been trimmed.
func (r *eventReader) begin(ctx context.Context, after, last uint64) (uint64, error) {
	if after > last {
		return 0, outOfRange(after, 0, last)
	}
	if after == last {
		return after, nil
	}
	_, err := r.st.engine.Events(ctx, after, 1)
	var trimmed *queue.Error
	if errors.As(err, &trimmed) && after == 0 && trimmed.Oldest > 0 {
		return trimmed.Oldest - 1, nil
	}
	if errors.Is(err, queue.ErrTrimmed) && trimmed != nil {
		return 0, refuse(codes.OutOfRange, "EVENTS_TRIMMED", err.Error(), map[string]string{
			"oldest": strconv.FormatUint(trimmed.Oldest, 10), "newest": strconv.FormatUint(last, 10),
		})
	}
	return after, err
}

// read sends what is there; done means that the end was reached.
func (r *eventReader) read(ctx context.Context) (done bool, err error) {
	cursor := r.sub.Cursor()
	events, err := r.sub.Take(ctx, r.buf, r.out.limit/2)
	if errors.Is(err, feed.ErrCutOff) {
		r.sub.Close()
		r.sub = r.st.feed.All(cursor) // the log has what was missed
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r.buf = events
	for _, ev := range events {
		if !r.follow && ev.Seq > r.until {
			return true, nil
		}
		if len(r.types) == 0 || r.types[ev.Type] {
			r.out.put(&pb.StreamEventsResponse{Event: toEvent(ev)})
		}
		if !r.follow && ev.Seq == r.until {
			return true, nil
		}
	}
	return false, nil
}
