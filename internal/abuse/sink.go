package abuse

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// sink is attacked in a daemon's place, for what an attack costs the machine alone:
// it takes in whatever comes and throws it away. Only clients of a library need to
// be spoken to, and are refused.
func sink(ctx context.Context, a Attack, ready func(at Target)) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	at := Target{Addr: l.Addr().String(), HTTP: l.Addr().String()}
	if a.secure {
		ca, server, err := newPair()
		if err != nil {
			return err
		}
		pair, err := tls.X509KeyPair(server.Cert, server.Key)
		if err != nil {
			return err
		}
		at.CA = ca
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}})
	}
	ready(at)
	if a.library {
		srv := grpc.NewServer(grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			return status.Error(codes.ResourceExhausted, "nothing is done here")
		}))
		defer context.AfterFunc(ctx, srv.Stop)()
		return srv.Serve(l)
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		all.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			_, _ = io.Copy(io.Discard, c) // until either side has had enough
			_ = c.Close()
		})
	}
}
