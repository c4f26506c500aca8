package load

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/load/audit"
	pb "greenlane/proto/greenlane/v1"
)

// follower reads the daemon's event log from a cursor, over restarts, and gives
// every event to the replay, once and in order.
type follower struct {
	api    pb.SupervisorServiceClient
	site   string
	faulty func(format string, args ...any)
	watch  func(*pb.Event)

	mu     sync.Mutex
	replay *audit.Replay
	grown  chan struct{} // closed and made anew when an event came
}

func newFollower(api pb.SupervisorServiceClient, site string, r *audit.Replay, watch func(*pb.Event), faulty func(string, ...any)) *follower {
	return &follower{api: api, site: site, replay: r, watch: watch, faulty: faulty, grown: make(chan struct{})}
}

// run follows the log until ctx ends.
func (f *follower) run(ctx context.Context) {
	var pause pause
	for ctx.Err() == nil {
		if f.read(ctx) {
			pause.reset()
		}
		pause.wait(ctx)
	}
}

// read reads one stream to its end. It reports whether anything came.
func (f *follower) read(ctx context.Context) bool {
	stream, err := f.api.StreamEvents(ctx, &pb.StreamEventsRequest{Site: f.site, After: f.last()})
	if err != nil {
		return false
	}
	got := false
	for {
		res, err := stream.Recv()
		if err != nil {
			switch status.Code(err) {
			case codes.Unavailable, codes.ResourceExhausted, codes.Canceled:
			default:
				if ctx.Err() == nil {
					f.faulty("the event log ended: %v", err)
				}
			}
			return got
		}
		got = true
		f.observe(res.GetEvent())
	}
}

func (f *follower) observe(e *pb.Event) {
	f.mu.Lock()
	f.replay.Observe(e)
	close(f.grown)
	f.grown = make(chan struct{})
	f.mu.Unlock()
	if f.watch != nil {
		f.watch(e)
	}
}

func (f *follower) last() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replay.Last()
}

// reach waits until the event with a sequence was seen. It returns false when
// ctx ended first.
func (f *follower) reach(ctx context.Context, seq uint64) bool {
	for {
		f.mu.Lock()
		done, grown := f.replay.Last() >= seq, f.grown
		f.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return false
		}
	}
}

// with runs g while no event is observed.
func (f *follower) with(g func(*audit.Replay)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g(f.replay)
}
