package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
)

// eventReader reads the event log from a sequence on, over as many streams as it
// takes.
type eventReader struct {
	s      *session
	follow bool
	last   uint64 // the last event that was read
	must   uint64 // the log must still have what comes after this one
	seen   bool   // whether the daemon was ever reached
	away   bool   // whether the user was told that it is away
}

// longestPause is how long a reader waits at most between two tries to reach a
// daemon that is away.
const longestPause = 2 * time.Second

// read sends events until the log ends (without follow), ctx ends, or something is
// wrong that another try would not change.
func (r *eventReader) read(ctx context.Context, events chan<- *pb.Event) error {
	pause, failed := firstPause, 0
	for {
		before, began := r.last, time.Now()
		reached, err := r.stream(ctx, events)
		if errors.Is(err, io.EOF) && !r.follow {
			if r.last < r.must {
				return status.Errorf(codes.OutOfRange, "%d is beyond the end of the log, which is at %d", r.must, r.last)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if code := status.Code(err); !errors.Is(err, io.EOF) && code != codes.Unavailable && code != codes.ResourceExhausted {
			return err
		}
		r.seen = r.seen || reached
		if r.last > before || r.follow && reached && time.Since(began) > time.Second {
			pause, failed = firstPause, 0
		}
		failed++
		if failed >= tries && (!r.follow || !r.seen) {
			return err
		}
		if r.follow && r.seen && !r.away {
			r.away = true
			fmt.Fprintf(r.s.err, "greenlane: the daemon at %s is away; waiting for it, to go on after event %d\n", r.s.addr, r.last)
		}
		if !wait(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, longestPause)
	}
}

// stream reads one stream to its end; reached says that there was a daemon at all.
func (r *eventReader) stream(ctx context.Context, events chan<- *pb.Event) (reached bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := r.s.supervisor().StreamEvents(ctx, &pb.StreamEventsRequest{Site: r.s.site, After: r.last, Follow: &r.follow})
	if err != nil {
		return false, err
	}
	if r.away {
		r.away = false
		fmt.Fprintln(r.s.err, "greenlane: the daemon is back")
	}
	for {
		res, err := stream.Recv()
		if err != nil {
			return true, err
		}
		ev := res.GetEvent()
		switch seq := ev.GetSequence(); {
		case r.last == 0 && seq > r.must+1 && r.must > 0:
			return true, status.Errorf(codes.OutOfRange, "events after %d are no longer kept; the oldest is %d: begin with --after 0", r.must, seq)
		case r.last > 0 && seq <= r.last:
			continue // had already
		case r.last > 0 && seq != r.last+1:
			return true, fmt.Errorf("the daemon sent event %d after event %d: the log has a gap; nothing after it was written", seq, r.last)
		}
		select {
		case events <- ev:
		case <-ctx.Done():
			return true, ctx.Err()
		}
		r.last = ev.GetSequence()
	}
}

// lookup asks the daemon for what a queue_log says and the event log does not.
type lookup struct {
	s       *session
	patient bool // wait for a daemon that is away
	asOf    uint64
	queues  map[string][]string // by agent, as of that sequence or later
}

// serves returns the queues of an agent, as they are at the sequence or later.
func (l *lookup) serves(ctx context.Context, agent string, sequence uint64) ([]string, error) {
	if sequence > l.asOf {
		err := l.insist(ctx, func() error { return l.readAgents(ctx) })
		if err != nil {
			return nil, err
		}
	}
	return l.queues[agent], nil
}

func (l *lookup) readAgents(ctx context.Context) error {
	snap, err := do(ctx, l.s, l.s.supervisor().GetSnapshot, &pb.GetSnapshotRequest{Site: l.s.site, OmitAgents: true})
	if err != nil {
		return err
	}
	queues := map[string][]string{}
	err = l.s.eachAgent(ctx, "", everyState, func(a *pb.Agent) bool {
		for _, q := range a.GetQueues() {
			queues[a.GetAgentId()] = append(queues[a.GetAgentId()], q.GetQueue())
		}
		return true
	})
	if err == nil {
		l.queues, l.asOf = queues, snap.GetSequence()
	}
	return err
}

// caller returns a call's number; empty for a call that is no longer kept.
func (l *lookup) caller(ctx context.Context, call string) (number string, err error) {
	err = l.insist(ctx, func() error {
		res, err := do(ctx, l.s, l.s.supervisor().Explain, &pb.ExplainRequest{Site: l.s.site, CallId: call})
		number = res.GetCall().GetCaller()
		if status.Code(err) == codes.NotFound {
			return nil
		}
		return err
	})
	return number, err
}

// insist asks again while the daemon is away, if it is to be waited for.
func (l *lookup) insist(ctx context.Context, ask func() error) error {
	for {
		err := ask()
		if !l.patient || status.Code(err) != codes.Unavailable || !wait(ctx, firstPause) {
			return err
		}
	}
}
