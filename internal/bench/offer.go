package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// How calls come while agents wait in sessions.
const (
	offerRate    = 1000 // calls a second, Poisson
	offerAgents  = 64
	offerSenders = 8 // connections of the switch

	clientGC = 1000 // GOGC of the clients
)

// measureOffer lets calls arrive at a steady rate while agents wait in Session
// streams, and measures the time from when a call was to be sent until a
// softphone has its offer: the change is on disk by then. A call that the client
// sends late, because the machine is busy, counts from when it was due.
func measureOffer(ctx context.Context, b *bench) (figures []Figure, err error) {
	span := 20 * time.Second
	if b.quick {
		span = 3 * time.Second
	}
	// The softphones and switches share this process, and no real one waits for the
	// collections of sixty others.
	defer debug.SetGCPercent(debug.SetGCPercent(clientGC))
	d, conn, err := b.start(ctx, bigConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), b.end(d)) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f := &offers{due: make(map[string]time.Time), took: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	var agents sync.WaitGroup
	for i := range offerAgents {
		s, err := openSession(ctx, conn, "agent-"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		agents.Go(func() {
			if err := f.work(s); ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	if err := f.arrive(ctx, d.Addr(), 2*time.Second); err != nil { // Warm.
		return nil, err
	}
	f.reset()
	if err := f.arrive(ctx, d.Addr(), span); err != nil {
		return nil, err
	}
	cancel(nil)
	agents.Wait()
	return f.figures(), nil
}

// figures sums up what was measured. Calls that found every agent busy are no
// part of it; when they are many, the machine did not keep up, and the figure is
// not reached.
func (f *offers) figures() []Figure {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := func(p float64) time.Duration { return time.Duration(f.took.ValueAtQuantile(p)) * time.Microsecond }
	idle := float64(f.took.TotalCount()) / float64(max(f.sent, 1))
	measured := q(99).String()
	if idle < 0.9 {
		measured += fmt.Sprintf(", but only %.0f %% of the calls found an idle agent", 100*idle)
	}
	return []Figure{
		{
			What: "call arrives until the softphone has the offer, p99, durable, 1,000 calls/s", Measured: measured,
			Needed: "<= 5ms", OK: reached(idle >= 0.9 && q(99) <= 5*time.Millisecond),
		},
		{What: fmt.Sprintf("the same, p50 / p90 / p99.9, of %d offers", f.took.TotalCount()), Measured: fmt.Sprintf("%v / %v / %v", q(50), q(90), q(99.9))},
	}
}

// offers measures when calls were due and when their offers came.
type offers struct {
	mu   sync.Mutex
	due  map[string]time.Time
	took *hdrhistogram.Histogram
	sent int // since reset
	next int // call
}

func (f *offers) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.took.Reset()
	f.sent = 0
}

// came records an offer; only one that an idle agent got at once counts.
func (f *offers) came(o *pb.Offer, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	due, ok := f.due[o.GetCall().GetCallId()]
	delete(f.due, o.GetCall().GetCallId())
	if ok && o.GetWhy() == "longest_idle" {
		_ = f.took.RecordValue(min(now.Sub(due), time.Minute).Microseconds()) // In range by the line itself.
	}
}

// arrive lets calls arrive for a span and waits until each was acknowledged.
func (f *offers) arrive(ctx context.Context, addr string, span time.Duration) (err error) {
	senders, err := newCrowd(addr, offerSenders)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, senders.close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chance := rand.New(rand.NewPCG(1, 1))
	var all sync.WaitGroup
	began := time.Now()
	for due := began; due.Sub(began) < span && ctx.Err() == nil; due = due.Add(time.Duration(chance.ExpFloat64() * float64(time.Second) / offerRate)) {
		if wait := time.Until(due); wait > 0 {
			pause(wait)
		}
		f.mu.Lock()
		f.sent++
		f.next++
		n := f.next
		id := "call-" + strconv.Itoa(n)
		f.due[id] = due
		f.mu.Unlock()
		all.Go(func() {
			_, err := senders.clients[n%offerSenders].api.CallArrived(ctx, &pb.CallArrivedRequest{
				RequestId: id, SwitchId: "switch-1", CallId: id, Caller: "+86138" + strconv.Itoa(10_000_000+n),
			})
			if err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}

// openSession signs an agent in, and returns when the agent waits.
func openSession(ctx context.Context, conn *grpc.ClientConn, agent string) (pb.AgentService_SessionClient, error) {
	s, err := pb.NewAgentServiceClient(conn).Session(ctx)
	if err != nil {
		return nil, err
	}
	hello := &pb.SessionHello{AgentId: agent, SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}}
	if err := s.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello}}); err != nil {
		return nil, err
	}
	for {
		res, err := s.Recv()
		if err != nil || res.GetWelcome() != nil {
			return s, err
		}
	}
}

// work takes every offer at once: acknowledges, accepts, completes. It returns
// why the session ended.
func (f *offers) work(s pb.AgentService_SessionClient) error {
	for {
		res, err := s.Recv()
		if err != nil {
			return err
		}
		var reply []*pb.SessionRequest
		switch m := res.GetMessage().(type) {
		case *pb.SessionResponse_Offer:
			f.came(m.Offer, time.Now())
			reply = []*pb.SessionRequest{
				{Message: &pb.SessionRequest_Ack{Ack: &pb.OfferAcknowledgement{OfferId: m.Offer.GetOfferId()}}},
				{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{RequestId: m.Offer.GetOfferId(), OfferId: m.Offer.GetOfferId()}}},
				{Message: &pb.SessionRequest_Complete{Complete: &pb.CompleteRequest{CallId: m.Offer.GetCall().GetCallId()}}},
			}
		case *pb.SessionResponse_Heartbeat:
			reply = []*pb.SessionRequest{{Message: &pb.SessionRequest_Heartbeat{Heartbeat: &pb.Heartbeat{}}}}
		}
		for _, r := range reply {
			if err := s.Send(r); err != nil {
				return err
			}
		}
	}
}
