package rpc

import (
	"context"
	"sync"
	"time"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// snapshots shares a site's snapshot between those who ask at about the same
// time: one question to the engine and one conversion serve all wallboards.
type snapshots struct {
	mu     sync.Mutex
	shot   *shot
	flight chan struct{} // closed when the question under way is answered
}

// shot is a snapshot and its messages, converted when first asked for. They are
// shared: nobody may change them.
type shot struct {
	*queue.Snapshot
	asked time.Time // the snapshot knows everything that was done before

	full, short func() *pb.GetSnapshotResponse
}

func newShot(st *site, snap *queue.Snapshot, asked time.Time) *shot {
	return &shot{
		Snapshot: snap, asked: asked,
		full:  sync.OnceValue(func() *pb.GetSnapshotResponse { return toSnapshot(st.config, snap, true) }),
		short: sync.OnceValue(func() *pb.GetSnapshotResponse { return toSnapshot(st.config, snap, false) }),
	}
}

// message returns the snapshot as the API says it.
func (s *shot) message(omitAgents bool) *pb.GetSnapshotResponse {
	if omitAgents {
		return s.short()
	}
	return s.full()
}

// get returns a snapshot that is at most so old. With age 0 it knows everything
// that was acknowledged before the call of get.
func (ss *snapshots) get(ctx context.Context, st *site, age time.Duration) (*shot, error) {
	oldest := time.Now().Add(-age)
	for {
		ss.mu.Lock()
		shot, flight := ss.shot, ss.flight
		mine := flight == nil
		if shot != nil && !shot.asked.Before(oldest) {
			ss.mu.Unlock()
			return shot, nil
		}
		if mine {
			flight = make(chan struct{})
			ss.flight = flight
		}
		ss.mu.Unlock()
		if mine {
			return ss.ask(ctx, st, flight)
		}
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (ss *snapshots) ask(ctx context.Context, st *site, flight chan struct{}) (*shot, error) {
	asked := time.Now()
	snap, err := st.engine.Snapshot(ctx)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.flight = nil
	close(flight)
	if err != nil {
		return nil, err
	}
	ss.shot = newShot(st, snap, asked)
	return ss.shot, nil
}
