package abuse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "greenlane/proto/greenlane/v1"
)

// Attack is one way to harm a daemon. Run attacks until ctx ends. Its error is a
// promise that the daemon broke; that the daemon defends itself is none.
type Attack struct {
	Name string
	Run  func(ctx context.Context, t Target) error
	// Defence is the metric by which the daemon tells that it has defended itself, as
	// Target.metric takes it; empty: there is nothing that it would have to do.
	Defence string

	secure  bool // it attacks a daemon that speaks TLS
	library bool // its attackers are clients of a library, who have to be answered
}

// cut is the metric of connections that were cut, or turned away, for a reason.
func cut(port, why string) string {
	return `greenlaned_connections_ended_total{port="` + port + `",why="` + why + `"}`
}

// Attacks are all that there are.
var Attacks = append(apiAttacks, httpAttacks...)

var apiAttacks = []Attack{
	{Name: "rapid reset", Run: apiDoor.rapidReset(arrivedPath), Defence: cut("grpc", "resets")},
	{Name: "tiny DATA", Run: apiDoor.tinyData(connectPath), Defence: cut("grpc", "frames")},
	{Name: "endless CONTINUATION", Run: apiDoor.continuation(arrivedPath), Defence: cut("grpc", "wasted")},
	{Name: "pings", Run: apiDoor.pings(arrivedPath), Defence: cut("grpc", "frames")},
	{Name: "settings", Run: apiDoor.settings, Defence: cut("grpc", "frames")},
	{Name: "clients that never read", Run: neverRead},
	{Name: "wallboards that never read", Run: neverReadHTTP},
	{Name: "oversized metadata", Run: apiDoor.metadata(arrivedPath), Defence: cut("grpc", "wasted")},
	{Name: "messages that never end", Run: endless, Defence: `greenlaned_limit_reached_total{limit="room"`},
	{Name: "paths without a slash", Run: slashless, Defence: cut("grpc", "refusals"), library: true},
	{Name: "forged numbers", Run: forged, Defence: `greenlaned_flood_refused_calls_total`, library: true},
}

const (
	arrivedPath = "/greenlane.v1.SwitchService/CallArrived"
	connectPath = "/greenlane.v1.SwitchService/Connect"
	eventsPath  = "/greenlane.v1.SupervisorService/StreamEvents"
	watchPath   = "/greenlane.v1.SupervisorService/Watch"
)

func (d door) rapidReset(path string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		return d.again(ctx, t, func(w *wire) error {
			id, err := w.open(path, false)
			return errors.Join(err, w.WriteRSTStream(id, http2.ErrCodeCancel))
		})
	}
}

func (d door) tinyData(path string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		const streams = 100
		return d.again(ctx, t, func(w *wire) error {
			for w.next < 2*streams {
				if _, err := w.open(path, false); err != nil {
					return err
				}
			}
			for id := uint32(1); id < 2*streams; id += 2 {
				// A message of a megabyte, a byte at a time, and nothing in between.
				if err := errors.Join(w.WriteData(id, false, []byte{0}), w.WriteData(id, false, nil)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (d door) continuation(path string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		var filler []string
		for range 100 {
			filler = append(filler, "x-filler", strings.Repeat("x", 100))
		}
		block := headers(filler)
		return d.again(ctx, t, func(w *wire) error {
			err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: w.next, BlockFragment: w.request(path)})
			for err == nil {
				err = w.WriteContinuation(w.next, false, block)
			}
			return err
		})
	}
}

func (d door) pings(path string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		return d.again(ctx, t, func(w *wire) error {
			// A request now and then keeps the server from counting the pings.
			if _, err := w.open(path, true); err != nil {
				return err
			}
			for range 1000 {
				if err := w.WritePing(false, [8]byte{1}); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func (d door) settings(ctx context.Context, t Target) error {
	return d.again(ctx, t, func(w *wire) error {
		return w.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16})
	})
}

func (d door) metadata(path string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		large := headers([]string{":path", path}, d.fields, []string{"x-filler", strings.Repeat("x", 1<<20)})
		return d.again(ctx, t, func(w *wire) error {
			const most = 16 << 10
			id, block := w.next, large[most:]
			w.next += 2
			err := w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: large[:most]})
			for err == nil && len(block) > 0 {
				n := min(most, len(block))
				err = w.WriteContinuation(id, n == len(block), block[:n])
				block = block[n:]
			}
			return err
		})
	}
}

// framed is a message as gRPC sends it.
func framed(m proto.Message) []byte {
	wire, err := proto.Marshal(m)
	if err != nil {
		panic(err) // a message of this package's own
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(wire))), wire...)
}

// neverRead opens streams of which much is sent, and reads nothing at all.
func neverRead(ctx context.Context, t Target) error {
	asks := []struct {
		path string
		m    proto.Message
	}{{eventsPath, &pb.StreamEventsRequest{}}, {watchPath, &pb.WatchRequest{}}, {connectPath, &pb.ConnectRequest{SwitchId: "silent"}}}
	wires := make([]*wire, 0, t.Clients)
	defer func() {
		for _, w := range wires {
			_ = w.Close() // the daemon may have done so
		}
	}()
	for i := range t.Clients {
		if ctx.Err() != nil {
			return nil
		}
		w, err := apiDoor.dial(ctx, t, false)
		if err != nil {
			continue // turned away
		}
		wires = append(wires, w)
		ask := asks[i%len(asks)]
		if id, err := w.open(ask.path, false); err == nil {
			// The windows of a client that says it reads a lot.
			_ = errors.Join(w.WriteWindowUpdate(0, 1<<30), w.WriteWindowUpdate(id, 1<<30), w.WriteData(id, false, framed(ask.m)), w.out.Flush())
		}
	}
	<-ctx.Done()
	return nil
}

// neverReadHTTP is the same for wallboards.
func neverReadHTTP(ctx context.Context, t Target) error {
	conns := make([]net.Conn, 0, t.Clients)
	defer func() {
		for _, c := range conns {
			_ = c.Close() // the daemon may have done so
		}
	}()
	for range t.Clients {
		conn, err := t.dialer().DialContext(ctx, "tcp", t.HTTP)
		if err != nil {
			continue // turned away
		}
		conns = append(conns, conn)
		_, _ = fmt.Fprintf(conn, "GET /wallboard/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	<-ctx.Done()
	return nil
}

// slashless asks for methods by paths that a rule for "/greenlane..." would not
// match, and is to be answered by none of them.
func slashless(ctx context.Context, t Target) error {
	conn, err := hostileConn(t)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for ctx.Err() == nil {
		for _, path := range []string{"greenlane.v1.SwitchService/CallArrived", "//greenlane.v1.SwitchService/CallArrived", "/greenlane.v1.SwitchService/CallArrived/"} {
			out := new(pb.CallArrivedResponse)
			err := conn.Invoke(ctx, path, &pb.CallArrivedRequest{SwitchId: "slash", CallId: "slash", Caller: VIP}, out)
			if err == nil {
				return fmt.Errorf("the path %q was answered: %v", path, out)
			}
			if c := status.Code(err); c == codes.Internal || c == codes.Unknown {
				return fmt.Errorf("the path %q: %w", path, err)
			}
		}
	}
	return nil
}

func hostileConn(t Target) (*grpc.ClientConn, error) {
	return t.client(grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		return t.dialer().DialContext(ctx, "tcp", addr)
	}))
}

// forged has calls arrive whose numbers are made up, every other one a VIP's, and
// all of them vouched for by a switch that nobody trusts.
func forged(ctx context.Context, t Target) error {
	const senders = 8
	var all sync.WaitGroup
	faults := make([]error, senders)
	for s := range senders {
		all.Go(func() { faults[s] = forge(ctx, t, s, time.Second*senders/time.Duration(t.Forged)) })
	}
	all.Wait()
	return errors.Join(faults...)
}

func forge(ctx context.Context, t Target, sender int, every time.Duration) error {
	conn, err := hostileConn(t)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	api := pb.NewSwitchServiceClient(conn)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		caller := VIP
		if i%2 == 0 {
			caller = fmt.Sprintf("+86155%04d%04d", sender, i%10_000)
		}
		id := fmt.Sprintf("forged-%d-%d", sender, i)
		res, err := api.CallArrived(ctx, &pb.CallArrivedRequest{
			SwitchId: fmt.Sprint("forger-", i), CallId: id, Caller: caller, Attestation: pb.Attestation_ATTESTATION_FULL,
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && status.Code(err) != codes.ResourceExhausted:
			return fmt.Errorf("a forged call: %w", err)
		case res.GetCall().GetTier() == pb.Tier_TIER_VIP:
			return fmt.Errorf("forged call %s is served as a VIP's", id)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
