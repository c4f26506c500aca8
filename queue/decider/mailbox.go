package decider

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Request is a command or a question on its way to the decider and back.
type Request struct {
	Cmd queue.Command
	// Ask is set instead of Cmd for a question; it keeps its answer itself.
	Ask func(m *queue.Machine, now instant.Instant)

	Res queue.Result // of a command; read it when Serve has returned
	Err error

	claimed atomic.Bool   // taken by the decider, or withdrawn by its sender
	done    chan struct{} // closed when Res and Err stand
}

// claim reports whether the caller is the first to call it: the decider, who
// then serves the request, or its sender, who then withdraws it.
func (r *Request) claim() bool { return r.claimed.CompareAndSwap(false, true) }

// Answer wakes the sender; an error takes the place of whatever was decided.
func (r *Request) Answer(err error) {
	if err != nil {
		r.Res, r.Err = queue.Result{}, err
	}
	close(r.done)
}

// Mailbox holds requests until the decider takes them, all that wait at once.
type Mailbox struct {
	limit int
	ready chan struct{} // see Ready

	mu       sync.Mutex
	requests []*Request
	shut     error         // set: nothing is put in any more, for this reason
	room     chan struct{} // closed when there is room again; nil when nobody waits
}

// NewMailbox returns one that holds so many requests at most; more of them wait
// outside.
func NewMailbox(limit int) *Mailbox {
	return &Mailbox{limit: limit, ready: make(chan struct{}, 1)}
}

// Ready has a token when there is something to take, or the mailbox was closed.
func (m *Mailbox) Ready() <-chan struct{} { return m.ready }

// Serve brings r to the decider and waits for the answer. An error means that
// r's fields must not be read: when ctx ended before the decider had taken r it is
// ctx's, and nothing has happened, nor will it; when ctx ended later it is both
// ctx's and queue.ErrUnavailable.
func (m *Mailbox) Serve(ctx context.Context, r *Request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.done = make(chan struct{})
	if err := m.put(ctx, r); err != nil {
		return err
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	if r.claim() {
		return ctx.Err()
	}
	select {
	case <-r.done: // both at once
		return nil
	default:
	}
	return fmt.Errorf("%w: the answer was not waited for: %w", queue.ErrUnavailable, ctx.Err())
}

// put waits for room and leaves r with the decider. An error means that r will
// never be served.
func (m *Mailbox) put(ctx context.Context, r *Request) error {
	m.mu.Lock()
	for m.shut == nil && len(m.requests) >= m.limit {
		if m.room == nil {
			m.room = make(chan struct{})
		}
		room := m.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	if m.shut != nil {
		return m.shut
	}
	m.requests = append(m.requests, r)
	if len(m.requests) == 1 {
		m.signal()
	}
	return nil
}

// Take appends up to n waiting requests to dst, all of them when n is negative, leaving out those withdrawn.
func (m *Mailbox) Take(dst []*Request, n int) []*Request {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := 0
	for _, r := range m.requests {
		if n == 0 {
			break
		}
		taken++
		if r.claim() {
			dst = append(dst, r)
			n--
		}
	}
	rest := copy(m.requests, m.requests[taken:])
	clear(m.requests[rest:])
	m.requests = m.requests[:rest]
	if rest > 0 {
		m.signal()
	}
	if taken > 0 {
		m.wake()
	}
	return dst
}

// Close refuses all further requests with reason; those already inside stay.
// Only the first call counts.
func (m *Mailbox) Close(reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut == nil {
		m.shut = reason
	}
	m.wake()
	m.signal()
}

// Drained reports whether the mailbox is closed and empty.
func (m *Mailbox) Drained() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shut != nil && len(m.requests) == 0
}

// Waiting returns how many requests are inside.
func (m *Mailbox) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

// Gather lets whoever is about to submit go first, for as long as that brings more
// and there are fewer than most. On a busy machine batches grow and each command
// costs less; on an idle one this returns at once.
func (m *Mailbox) Gather(most int) {
	for n := -1; ; {
		runtime.Gosched()
		more := m.Waiting()
		if more <= n || more >= most {
			return
		}
		n = more
	}
}

// wake and signal are called with mu held.
func (m *Mailbox) wake() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

func (m *Mailbox) signal() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}
