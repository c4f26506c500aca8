package rpc

import (
	"context"
	"testing"

	"google.golang.org/grpc/codes"

	"greenlane/queue"
)

func TestAClientThatWentAwayIsNoFailureOfTheEngine(t *testing.T) {
	gone, leave := context.WithCancel(context.Background())
	leave()
	for _, x := range []struct {
		ctx  context.Context
		err  error
		want codes.Code
	}{
		{context.Background(), nil, codes.OK},
		{gone, nil, codes.OK},
		{gone, toError(nil, queue.ErrUnavailable), codes.Canceled},
		{context.Background(), toError(nil, queue.ErrUnavailable), codes.Unavailable},
		{gone, toError(nil, queue.ErrCallNotFound), codes.NotFound},
	} {
		if got := ended(x.ctx, x.err); got != x.want {
			t.Errorf("%v after %v counts as %v, want %v", x.err, x.ctx.Err(), got, x.want)
		}
	}
}
