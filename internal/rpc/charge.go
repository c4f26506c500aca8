package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"greenlane/internal/h2limit"
)

// charge has the address that a request came from pay for it.
func charge(ctx context.Context, cost int64) {
	if p, ok := peer.FromContext(ctx); ok {
		h2limit.Charge(p.Addr, cost)
	}
	h2limit.ChargeContext(ctx, cost)
}

// Knows has requests turned away early that are for none of the methods registered
// with a gRPC server. Call it when all are.
func (s *Server) Knows(server *grpc.Server) {
	methods := map[string]bool{}
	for service, info := range server.GetServiceInfo() {
		for _, m := range info.Methods {
			methods["/"+service+"/"+m.Name] = true
		}
	}
	s.methods.Store(&methods)
}

// known turns requests for methods that there are none of away before a handler is
// found for them.
func (s *Server) known(ctx context.Context, info *tap.Info) (context.Context, error) {
	methods := s.methods.Load()
	if methods == nil || (*methods)[info.FullMethodName] {
		return ctx, nil
	}
	charge(ctx, h2limit.RefusalCost)
	return ctx, errNoMethod
}

var errNoMethod = status.Error(codes.Unimplemented, "there is no such method")
