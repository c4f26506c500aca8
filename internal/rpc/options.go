package rpc

import (
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// The limits of the gRPC server. grpc-go's own defaults allow any number of
// streams, headers of 16 MiB, and know no dead peers.
const (
	// MaxStreams is how many requests may be open on one connection: one gateway
	// may carry the sessions of a whole call centre.
	MaxStreams = 10_000
	// MaxMessage is the largest message taken in: a Reconcile of 50,000 calls with
	// their attributes fits; everything else is far smaller.
	MaxMessage = 16 << 20
	// MaxHeaders bounds the metadata of a request.
	MaxHeaders = 64 << 10
	// A peer that answers no ping within pingTimeout is dead: its sessions end and
	// their offers go back.
	pingEvery   = 5 * time.Second
	pingTimeout = 3 * time.Second
	// minPing is how often a client may ping at most, with streams open or not:
	// idle softphones that ping every 10 s are welcome.
	minPing = 5 * time.Second
	// connectTimeout bounds the handshake.
	connectTimeout = 10 * time.Second
	// workers serve requests with stacks that have grown already; more requests at
	// once than these get goroutines of their own. It saves a tenth of a request.
	workers = 256
	// Buffers per connection. Write buffers are shared by the library between
	// connections that have something to send; read buffers are each one's own, so
	// that half the default saves 160 MB with 10,000 softphones.
	readBuffer  = 16 << 10
	writeBuffer = 32 << 10
)

// ServerOptions returns the options of the gRPC server that s is registered
// with. observe, when not nil, is told of every request that ended: its method,
// code and duration.
func (s *Server) ServerOptions(secure *tls.Config, observe Observe) []grpc.ServerOption {
	i := &interceptor{server: s, log: s.log, observe: observe, limits: s.limits, stopping: s.stopping}
	opts := []grpc.ServerOption{
		grpc.MaxConcurrentStreams(MaxStreams),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxHeaderListSize(MaxHeaders),
		grpc.ConnectionTimeout(connectTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.NumStreamWorkers(workers),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.InTapHandle(s.known),
		grpc.ForceServerCodecV2(protobuf),
		grpc.UnaryInterceptor(i.unary),
		grpc.StreamInterceptor(i.stream),
	}
	if secure != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(secure)))
	}
	return opts
}
