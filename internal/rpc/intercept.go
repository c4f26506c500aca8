package rpc

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Observe is told of a request that ended. Streams and long polls last as long
// as they are wanted: their duration says nothing, and is given as negative.
type Observe func(method string, code codes.Code, took time.Duration)

// interceptor stands around every request: who makes it is found out and may or
// may not, a panic becomes Internal and is logged with its stack, and the request
// is observed. One of each kind is enough; a chain would cost more on each call.
type interceptor struct {
	server   *Server
	log      *slog.Logger
	observe  Observe
	limits   *limiter
	stopping <-chan struct{}
}

const nextCall = "/greenlane.v1.AgentService/NextCall"

func (i *interceptor) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (res any, err error) {
	if i.observe == nil {
		defer i.recovered(info.FullMethod, &err)
		return i.admitted(ctx, req, info, handle)
	}
	began := time.Now()
	defer func() {
		took := time.Since(began)
		if info.FullMethod == nextCall {
			took = -1
		}
		i.observe(info.FullMethod, ended(ctx, err), took)
	}()
	defer i.recovered(info.FullMethod, &err)
	return i.admitted(ctx, req, info, handle)
}

// ended is the code that a request counts with. One whose client went away before the
// engine's answer is no failure of the engine.
func ended(ctx context.Context, err error) codes.Code {
	code := status.Code(err)
	if code == codes.Unavailable && ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Code()
	}
	return code
}

func (i *interceptor) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if i.observe != nil {
			i.observe(info.FullMethod, ended(stream.Context(), err), -1)
		}
	}()
	defer i.recovered(info.FullMethod, &err)
	raw := &measured{ServerStream: stream, one: !info.IsClientStream}
	return i.server.guardStream(raw, info.FullMethod, func(stream grpc.ServerStream) error {
		return i.limits.stream(i.server.who(stream.Context()), srv, raw, stream, info, func(srv any, stream grpc.ServerStream) error {
			if strings.HasPrefix(info.FullMethod, "/greenlane.") {
				return handle(srv, stream)
			}
			return i.foreign(srv, stream, info, handle)
		})
	})
}

// admitted carries out a request of whoever the table of roles lets in, within the
// limits of that identity.
func (i *interceptor) admitted(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (res any, err error) {
	u := unreadOf(req, handle)
	return i.server.guardUnary(ctx, info.FullMethod, func(ctx context.Context, allow func(any) error) (any, error) {
		return i.limits.unary(ctx, i.server.who(ctx), info.FullMethod, u, allow)
	})
}

// foreign ends a stream of somebody else's service (health, reflection) when the
// daemon stops or the stream's credential ends: such a service does not know of it,
// and would hold the stop up.
// The handler ends a moment later, when its stream is gone.
func (i *interceptor) foreign(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer i.recovered(info.FullMethod, &err)
		err = handle(srv, stream)
	}()
	select {
	case err := <-done:
		return err
	case <-stream.Context().Done():
		return context.Cause(stream.Context())
	case <-i.stopping:
	}
	// What it has to say about the stop, it may still say.
	t := time.NewTimer(farewell)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return errStopping
	}
}

// farewell is how long a foreign stream may go on when the daemon stops.
const farewell = 100 * time.Millisecond

// recovered is deferred directly, so that recover works in it.
func (i *interceptor) recovered(method string, err *error) {
	if p := recover(); p != nil {
		*err = panicked(i.log, method, p)
	}
}
