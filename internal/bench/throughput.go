package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/load"
	pb "greenlane/proto/greenlane/v1"
)

// clients is how many clients send at the same time, each on a connection of its
// own.
const clients = 64

// measureThroughput lets the same clients send the same requests to a daemon,
// which commits each to disk before it answers, and to a service that does
// nothing but answer as many bytes; in turns.
func measureThroughput(ctx context.Context, b *bench) (figures []Figure, err error) {
	rounds, span := 7, 3*time.Second
	if b.quick {
		rounds, span = 1, time.Second
	}
	d, conn, err := b.start(ctx, bigConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), b.end(d)) }()
	sizes, err := answerSizes(ctx, conn)
	if err != nil {
		return nil, err
	}
	echo, err := startEcho(ctx, b, sizes)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, echo.stop()) }()
	durable, err := newCrowd(d.Addr(), clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, durable.close()) }()
	bare, err := newCrowd(echo.addr, clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	if got, err := answerSizes(ctx, bare.conns[0]); err != nil || !got.like(sizes) {
		return nil, fmt.Errorf("the echo answers %v bytes, the daemon %v: %w", got, sizes, err)
	}
	var ours, theirs, ratio []float64
	for round := range rounds + 1 {
		o, err := durable.rate(ctx, span)
		if err != nil {
			return nil, err
		}
		e, err := bare.rate(ctx, span)
		if err != nil {
			return nil, err
		}
		b.log("  %.0f requests/s, echo %.0f: %.2f", o, e, o/e)
		if round > 0 || rounds == 1 { // The first round warms both up.
			ours, theirs, ratio = append(ours, o), append(theirs, e), append(ratio, o/e)
		}
	}
	return []Figure{
		{What: "requests/s, durable, 64 clients", Measured: fmt.Sprintf("%.0f", median(ours))},
		{What: "requests/s, bare echo, 64 clients", Measured: fmt.Sprintf("%.0f", median(theirs))},
		{What: "durable requests against bare echo", Measured: fmt.Sprintf("%.2f", median(ratio)), Needed: ">= 0.6", OK: reached(median(ratio) >= 0.6)},
	}, nil
}

// sizes are the bytes of the answers to an arrival and to its hang-up.
type sizes struct{ arrived, abandoned int }

// like reports whether two answers are of the same size, but for the byte that a
// length may take more.
func (s sizes) like(o sizes) bool {
	near := func(a, b int) bool { return a >= b-1 && a <= b+1 }
	return near(s.arrived, o.arrived) && near(s.abandoned, o.abandoned)
}

// answerSizes asks once.
func answerSizes(ctx context.Context, conn *grpc.ClientConn) (sizes, error) {
	c := &switchClient{id: "switch-00", api: pb.NewSwitchServiceClient(conn), next: 100_000}
	arrived, abandoned, err := c.life(ctx)
	return sizes{proto.Size(arrived), proto.Size(abandoned)}, err
}

// crowd is the clients of one server.
type crowd struct {
	conns   []*grpc.ClientConn
	clients []*switchClient
}

// newCrowd connects n switches; how, when given, says how each is to prove who it is.
func newCrowd(addr string, n int, how ...func(switchID string) ([]grpc.DialOption, error)) (*crowd, error) {
	c := new(crowd)
	for i := range n {
		id := fmt.Sprintf("switch-%02d", i)
		var opts []grpc.DialOption
		for _, f := range how {
			more, err := f(id)
			if err != nil {
				return nil, errors.Join(err, c.close())
			}
			opts = append(opts, more...)
		}
		conn, err := load.Dial(addr, opts...)
		if err != nil {
			return nil, errors.Join(err, c.close())
		}
		c.conns = append(c.conns, conn)
		c.clients = append(c.clients, &switchClient{id: id, api: pb.NewSwitchServiceClient(conn), next: 200_000})
	}
	return c, nil
}

// apart gives the calls of several crowds at one daemon different ids.
func (c *crowd) apart(crowd int) {
	for _, client := range c.clients {
		client.next += crowd * 10_000_000
	}
}

func (c *crowd) close() error {
	var err error
	for _, conn := range c.conns {
		err = errors.Join(err, conn.Close())
	}
	return err
}

// rate lets all clients send for a span and returns the requests per second.
func (c *crowd) rate(ctx context.Context, span time.Duration) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var requests atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for _, client := range c.clients {
		all.Go(func() {
			for time.Since(began) < span && ctx.Err() == nil {
				if _, _, err := client.life(ctx); err != nil {
					cancel(err)
					return
				}
				requests.Add(2)
			}
		})
	}
	all.Wait()
	return float64(requests.Load()) / time.Since(began).Seconds(), context.Cause(ctx)
}

// switchClient is one switch, which sends one request after the other.
type switchClient struct {
	id   string
	api  pb.SwitchServiceClient
	next int
}

// life lets a call arrive and hang up: two requests, each a durable change.
func (c *switchClient) life(ctx context.Context) (*pb.CallArrivedResponse, *pb.CallAbandonedResponse, error) {
	c.next++
	id := c.id + "-" + strconv.Itoa(c.next)
	now := timestamppb.Now()
	arrived, err := c.api.CallArrived(ctx, &pb.CallArrivedRequest{
		RequestId: id + "-a", SwitchId: c.id, CallId: id, Caller: fmt.Sprintf("+86138%08d", c.next), Dialed: "10010", ArrivedAt: now,
		Attestation: pb.Attestation_ATTESTATION_FULL,
	})
	if err != nil {
		return nil, nil, err
	}
	abandoned, err := c.api.CallAbandoned(ctx, &pb.CallAbandonedRequest{RequestId: id + "-b", SwitchId: c.id, CallId: id, At: now})
	return arrived, abandoned, err
}
