package rpc

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// A message of more than smallMessage needs room while it is read and carried out: all
// of them together have roomForLarge, and those of one identity half of it. Without
// it a few streams whose large messages never end would take all memory.
const (
	smallMessage = 64 << 10
	roomForLarge = 4 * MaxMessage
	roomForOne   = roomForLarge / 2
)

// room is what the message takes that a request has at hand. A stream's messages may
// be read by a goroutine that outlives its handler for a moment.
type room struct {
	l *limiter
	g *guest
	// measured says that messages are measured before they are read. It belongs to whoever
	// reads them.
	measured bool

	mu    sync.Mutex
	held  int64
	ended bool
}

// hold takes room for a message of some bytes, in place of the one before.
func (r *room) hold(ctx context.Context, bytes int64) error {
	r.measured = true
	if err := r.fits(ctx, bytes); err != nil {
		return err
	}
	if bytes <= smallMessage {
		bytes = 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return errEnded
	}
	if r.take(bytes) {
		return nil
	}
	r.take(0)
	return r.l.refuse(ctx, r.g, limitRoom, retryAfter, fmt.Sprintf("there is no room for a message of %d bytes now", bytes))
}

// check checks the size of a message that could not be measured before it was read.
func (r *room) check(ctx context.Context, m any) error {
	if msg, ok := m.(proto.Message); ok && !r.measured {
		return r.fits(ctx, int64(proto.Size(msg)))
	}
	return nil
}

func (r *room) fits(ctx context.Context, bytes int64) error {
	most := int64(r.g.limits.Message)
	if most <= 0 || most > MaxMessage {
		most = MaxMessage
	}
	if bytes <= most {
		return nil
	}
	return r.l.refuse(ctx, r.g, limitMessage, 0, fmt.Sprintf("the message is %d bytes: at most %d are allowed", bytes, most))
}

// errEnded is what a stream's reader is told whose handler has returned: nobody else
// hears it.
var errEnded = status.Error(codes.Canceled, "the request has ended")

// take holds so many bytes, and reports whether they are there.
func (r *room) take(bytes int64) bool {
	more := bytes - r.held
	if more == 0 {
		return true
	}
	r.held = bytes
	own, all := r.g.large.Add(more), r.l.large.Add(more)
	return more < 0 || own <= roomForOne && all <= roomForLarge
}

// leave gives it up, for good.
func (r *room) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.take(0)
	r.ended = true
}
