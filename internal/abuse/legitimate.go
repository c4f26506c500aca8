package abuse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// legitimate is the switch that is trusted: every call of its is the VIP's.
type legitimate struct {
	target Target
	name   string // begins the ids of its calls, which no other has
	conns  []*grpc.ClientConn
	mu     sync.Mutex
	known  map[string]bool
	n      int
}

// workers is how many requests a legitimate switch makes at a time.
const workers = 4

func newLegitimate(ctx context.Context, t Target) (*legitimate, error) {
	l := &legitimate{target: t, name: rand.Text(), known: map[string]bool{}}
	for range workers {
		conn, err := t.client()
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	_, err := pb.NewTierServiceClient(l.conns[0]).Set(ctx, &pb.TierServiceSetRequest{Caller: VIP, Tier: pb.Tier_TIER_VIP})
	return l, err
}

func (l *legitimate) close() {
	for _, c := range l.conns {
		_ = c.Close() // nothing is written to it any more
	}
}

// warm has calls come and go until the daemon has collected its garbage a few times:
// it holds then what it takes between two collections, which is no attack's doing.
func (l *legitimate) warm(ctx context.Context) error {
	const cycles = 3
	began, err := l.target.metric(ctx, "go_gc_duration_seconds_count")
	for now := began; err == nil && now < began+cycles; {
		if err = l.all(func(i int) error {
			api := pb.NewSwitchServiceClient(l.conns[i])
			for range 500 {
				if _, err := l.call(ctx, api); err != nil {
					return err
				}
			}
			return nil
		}); err == nil {
			now, err = l.target.metric(ctx, "go_gc_duration_seconds_count")
		}
	}
	return err
}

// all has the workers do something at a time.
func (l *legitimate) all(do func(i int) error) error {
	faults := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() { faults[i] = do(i) })
	}
	all.Wait()
	return errors.Join(faults...)
}

// work has calls arrive and hang up for a span, and returns how long each arrival
// took.
func (l *legitimate) work(ctx context.Context, span time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, span+30*time.Second)
	defer cancel()
	began := time.Now()
	return l.until(ctx, func() bool { return time.Since(began) >= span })
}

// until is work until done says so. done is asked by several goroutines.
func (l *legitimate) until(ctx context.Context, done func() bool) ([]time.Duration, error) {
	took := make([][]time.Duration, workers)
	err := l.all(func(i int) error {
		api := pb.NewSwitchServiceClient(l.conns[i])
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ; !done(); <-tick.C {
			d, err := l.call(ctx, api)
			if err != nil {
				return err
			}
			took[i] = append(took[i], d)
		}
		return nil
	})
	return slices.Concat(took...), err
}

func (l *legitimate) call(ctx context.Context, api pb.SwitchServiceClient) (time.Duration, error) {
	l.mu.Lock()
	l.n++
	id := fmt.Sprintf("%s-%d", l.name, l.n)
	l.known[id] = true
	l.mu.Unlock()
	began := time.Now()
	res, err := api.CallArrived(ctx, &pb.CallArrivedRequest{
		SwitchId: "trunk", CallId: id, Caller: VIP, Attestation: pb.Attestation_ATTESTATION_FULL,
	})
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("a legitimate call: %w", err)
	}
	if c := res.GetCall(); c.GetTier() != pb.Tier_TIER_VIP || c.GetState() != pb.CallState_CALL_STATE_WAITING {
		return took, fmt.Errorf("a legitimate call is %v and %v (%s)", c.GetTier(), c.GetState(), c.GetReason())
	}
	_, err = api.CallAbandoned(ctx, &pb.CallAbandonedRequest{SwitchId: "trunk", CallId: id})
	return took, err
}

// check looks for calls that are a VIP's, or the legitimate switch's, and are not
// its own.
func (l *legitimate) check(ctx context.Context) error {
	api := pb.NewSupervisorServiceClient(l.conns[0])
	req := &pb.ListCallsRequest{Tier: pb.Tier_TIER_VIP, PageSize: 1000}
	for {
		res, err := api.ListCalls(ctx, req)
		if err != nil {
			return err
		}
		for _, c := range res.GetCalls() {
			if !l.known[c.GetCallId()] {
				return fmt.Errorf("call %s of switch %s is a VIP's", c.GetCallId(), c.GetSwitchId())
			}
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return nil
		}
	}
}
