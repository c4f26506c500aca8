package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What the long streams have in common.

// retryPause is how long a stream waits before it asks an engine again that was
// away.
const retryPause = 200 * time.Millisecond

// pause waits a little; an error means that the stream is over.
func (s *Server) pause(ctx context.Context) error {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.stopping:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guarded runs do; a panic in it is logged and told to fail instead of ending
// the process. The interceptors guard only the handler's own goroutine.
func (s *Server) guarded(what string, fail func(error), do func()) {
	defer func() {
		if p := recover(); p != nil {
			fail(panicked(s.log, what, p))
		}
	}()
	do()
}

// panicked logs a panic and returns what the client is told.
func panicked(log *slog.Logger, what string, p any) error {
	log.Error("panic in a request", "in", what, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return status.Error(codes.Internal, "internal error; the daemon's log has the details")
}

// outOfRange says that a cursor is outside of what the log has. Oldest and
// newest are the first and last sequence kept; 0 when not known.
func outOfRange(after, oldest, newest uint64) error {
	meta := map[string]string{"newest": strconv.FormatUint(newest, 10)}
	if oldest > 0 {
		meta["oldest"] = strconv.FormatUint(oldest, 10)
	}
	return refuse(codes.OutOfRange, "CURSOR_OUT_OF_RANGE",
		fmt.Sprintf("after: %d is beyond the end of the log, which is at %d", after, newest), meta)
}
