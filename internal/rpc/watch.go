package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// How often Watch sends: by default, and at most.
const (
	watchEvery = time.Second
	watchLeast = 100 * time.Millisecond
	watchMost  = time.Hour
)

// Watch implements the rpc. Watchers tick together, so that all of one interval
// share one snapshot; nothing is asked for while nothing changes.
func (s *supervisorService) Watch(req *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	var c check
	c.name("site", req.GetSite(), false)
	every := c.duration("min_interval", req.GetMinInterval(), watchLeast, watchMost, watchEvery)
	if err := c.err(); err != nil {
		return err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return err
	}
	s.counts.Watchers.Add(1)
	defer s.counts.Watchers.Add(-1)
	w := &watcher{s: s.Server, st: st, every: every, short: req.GetOmitAgents(), out: newOutbox(2, stream.Send)}
	return toError(s.log, w.run(stream.Context()))
}

type watcher struct {
	s     *Server
	st    *site
	every time.Duration
	short bool
	out   *outbox[*pb.WatchResponse]
	seen  uint64 // the last event that was shown
	runs  bool   // somebody waited then: time alone changes what is shown
}

func (w *watcher) run(ctx context.Context) error {
	if err := w.show(ctx, 0); err != nil {
		return err
	}
	tick := time.NewTimer(w.untilTick())
	defer tick.Stop()
	stall := time.NewTicker(w.s.opts.HeartbeatEvery)
	defer stall.Stop()
	for {
		select {
		case <-tick.C:
			// A watcher that is behind gets the next snapshot, not every one.
			if (w.runs || w.st.feed.Position() != w.seen) && !w.out.holding() {
				if err := w.show(ctx, w.every/2); err != nil {
					return err
				}
			}
			tick.Reset(w.untilTick())
		case <-stall.C:
			w.out.beat(w.s.opts.HeartbeatEvery) // gives a stalled reader up
		case <-w.out.failed:
			return w.out.Err()
		case <-w.s.stopping:
			w.out.flush(flushFor)
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// untilTick is how long it is until the next multiple of the interval, but not
// less than half of one: the same moment for all who watch as often.
func (w *watcher) untilTick() time.Duration {
	now := time.Now()
	d := now.Truncate(w.every).Add(w.every).Sub(now)
	if d < w.every/2 {
		d += w.every
	}
	return d
}

func (w *watcher) show(ctx context.Context, age time.Duration) error {
	shot, err := w.st.shots.get(ctx, w.st, age)
	if err != nil {
		return err
	}
	w.seen, w.runs = shot.Seq, false
	for i := range shot.Queues {
		for j := range shot.Queues[i].Tiers {
			w.runs = w.runs || shot.Queues[i].Tiers[j].Waiting > 0
		}
	}
	w.out.put(&pb.WatchResponse{Snapshot: shot.message(w.short)})
	return nil
}
