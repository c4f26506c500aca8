package load

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// Dial opens a connection that comes back quickly after a daemon's restart. It is in
// the clear unless opts say otherwise.
func Dial(addr string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.3, MaxDelay: 300 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 10 * time.Second}),
	}, opts...)...)
}

// attemptTimeout ends one try of a request; the next one has the same
// request_id.
const attemptTimeout = 10 * time.Second

// retries counts the requests that had to be sent again.
type retries struct{ n atomic.Int64 }

// call sends a request until it is answered: with the answer, or with an error
// that a repetition would not change. Each try says the same, so that the
// daemon does it once.
func call[Req, Res any](ctx context.Context, r *retries, rpc func(context.Context, Req, ...grpc.CallOption) (Res, error), req Req) (Res, error) {
	var pause pause
	for {
		try, cancel := context.WithTimeout(ctx, attemptTimeout)
		res, err := rpc(try, req)
		cancel()
		if err == nil || !again(err) || ctx.Err() != nil {
			return res, err
		}
		r.n.Add(1)
		if !pause.wait(ctx) {
			return res, err
		}
	}
}

// again reports whether a request that failed so may be sent again: the daemon
// was not there, or did not answer in time.
func again(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		return true
	}
	return false
}

// pause is the growing time between two tries, with full jitter, so that a
// thousand clients of a restarted daemon do not come back at once.
type pause struct{ longest time.Duration }

const (
	firstPause = 10 * time.Millisecond
	lastPause  = 400 * time.Millisecond
)

// wait waits. It returns false when ctx ended first.
func (p *pause) wait(ctx context.Context) bool {
	p.longest = min(max(2*p.longest, firstPause), lastPause)
	return sleep(ctx, time.Duration(rand.Int64N(int64(p.longest))+1))
}

// reset begins anew, after something went well.
func (p *pause) reset() { p.longest = 0 }
