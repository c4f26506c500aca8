package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// unread is a request whose message was not read yet: what stands before the handler
// says first whether it may be.
type unread struct {
	// read reads the message, has check look at it, and carries the request out.
	// room says whether there is some for the message, before it is read.
	read func(ctx context.Context, room *room, check func(req any) error) (any, error)
}

// laterRegistrar registers services whose unary requests are handed to the server's
// interceptor as unread. grpc-go reads the message when the generated code asks for
// it, which is before the interceptor is called.
type laterRegistrar struct{ grpc.ServiceRegistrar }

// RegisterService implements grpc.ServiceRegistrar.
func (r laterRegistrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	own := *desc
	own.Methods = slices.Clone(desc.Methods)
	for i := range own.Methods {
		m := &own.Methods[i]
		m.Handler = later("/"+desc.ServiceName+"/"+m.MethodName, m.Handler)
	}
	r.ServiceRegistrar.RegisterService(&own, impl)
}

func later(path string, handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		if intercept == nil {
			return handle(srv, ctx, decode, nil)
		}
		u := &unread{read: func(ctx context.Context, room *room, check func(any) error) (any, error) {
			read := func(m any) error { return open(m, decode) }
			if source := sourceOf(ctx); source != nil {
				read = func(m any) error { return source.only(ctx, m, room) }
			}
			return handle(srv, ctx, read, func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
				if err := check(req); err != nil {
					return nil, err
				}
				return handle(ctx, req)
			})
		}}
		return intercept(ctx, u, &grpc.UnaryServerInfo{Server: srv, FullMethod: path}, nil)
	}
}

// unreadOf returns a request as one that is yet to be read. That of a service which
// was registered otherwise was read before.
func unreadOf(req any, handle grpc.UnaryHandler) *unread {
	if u, ok := req.(*unread); ok {
		return u
	}
	return &unread{read: func(ctx context.Context, _ *room, check func(any) error) (any, error) {
		if err := check(req); err != nil {
			return nil, err
		}
		return handle(ctx, req)
	}}
}

// source is grpc-go's stream of bytes below a request: it tells how long a message is
// before that is read. grpc-go exports its methods, and no name for it; when it is not
// to be had, messages are read first and measured then.
type source struct{ wire }

type wire interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
	RecvCompress() string
}

// sourceOf returns the stream of bytes below the request of ctx, if it is to be had.
func sourceOf(ctx context.Context) *source {
	w, ok := grpc.ServerTransportStreamFromContext(ctx).(wire)
	if !ok {
		return nil
	}
	// What is compressed is left to grpc-go, which refuses it.
	if c := w.RecvCompress(); c != "" && c != encoding.Identity {
		return nil
	}
	return &source{w}
}

// Lengths of gRPC: a flag and four bytes stand before each message.
const prefixBytes = 5

// next reads one message. io.EOF says that there is none any more.
func (s *source) next(ctx context.Context, m any, room *room) error {
	var prefix [prefixBytes]byte
	if err := s.ReadMessageHeader(prefix[:]); err != nil {
		return readError(ctx, err)
	}
	if prefix[0] != 0 {
		return status.Error(codes.Internal, "the message is compressed, and the headers name no compression")
	}
	n := int64(binary.BigEndian.Uint32(prefix[1:]))
	if err := room.hold(ctx, n); err != nil {
		return err
	}
	data, err := s.Read(int(n))
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return readError(ctx, err)
	}
	defer data.Free()
	return open(m, func(p any) error { return protobuf.Unmarshal(data, p) })
}

// only reads the one message of a request.
func (s *source) only(ctx context.Context, m any, room *room) error {
	if err := s.next(ctx, m, room); err != nil {
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Internal, "the request has no message")
		}
		return err
	}
	var prefix [prefixBytes]byte
	switch err := s.ReadMessageHeader(prefix[:]); {
	case err == nil:
		return status.Error(codes.Internal, "the request has more than one message")
	case errors.Is(err, io.EOF):
		return nil
	default:
		return readError(ctx, err)
	}
}

// measured is a stream whose messages are measured before they are read, once it is
// known whose they are.
type measured struct {
	grpc.ServerStream
	one   bool    // the client sends one message
	bytes *source // nil: they are measured when they were read
	room  *room
}

func (s *measured) within(room *room) { s.bytes, s.room = sourceOf(s.Context()), room }

// RecvMsg implements grpc.ServerStream.
func (s *measured) RecvMsg(m any) error {
	switch {
	case s.bytes == nil:
		return open(m, s.ServerStream.RecvMsg)
	case s.one:
		return s.bytes.only(s.Context(), m, s.room)
	}
	return s.bytes.next(s.Context(), m, s.room)
}

// readError turns what grpc-go says of a stream that broke into what it would tell
// the client, should that still listen.
func readError(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if ctx.Err() != nil {
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(codes.Internal, err.Error())
}
