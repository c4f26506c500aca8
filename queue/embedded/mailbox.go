package embedded

import (
	"context"
	"sync"
	"sync/atomic"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// request is a command or a question on its way to the decider and back.
type request struct {
	cmd queue.Command
	// ask is set instead of cmd for a question; it keeps its answer itself.
	ask func(m *queue.Machine, now instant.Instant)

	claimed atomic.Bool   // taken by the decider, or withdrawn by its sender
	done    chan struct{} // closed when res and err stand
	res     queue.Result
	err     error
}

// claim reports whether the caller is the first to call it: the decider, who
// then serves the request, or its sender, who then withdraws it.
func (r *request) claim() bool { return r.claimed.CompareAndSwap(false, true) }

func (r *request) answer(err error) {
	if err != nil {
		r.res, r.err = queue.Result{}, err
	}
	close(r.done)
}

// mailbox holds requests until the decider takes them, all that wait at once.
type mailbox struct {
	limit int
	ready chan struct{} // has a token when there is something to take, or it was shut

	mu       sync.Mutex
	requests []*request
	shut     error         // set: nothing is put in any more, for this reason
	room     chan struct{} // closed when there is room again; nil when nobody waits
}

func newMailbox(limit int) *mailbox {
	return &mailbox{limit: limit, ready: make(chan struct{}, 1)}
}

// put waits for room and leaves r with the decider. An error means that r will
// never be served.
func (m *mailbox) put(ctx context.Context, r *request) error {
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

// take appends up to n waiting requests to dst, leaving out those withdrawn.
func (m *mailbox) take(dst []*request, n int) []*request {
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

// close refuses all further requests with reason; those already inside stay.
// Only the first call counts.
func (m *mailbox) close(reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shut == nil {
		m.shut = reason
	}
	m.wake()
	m.signal()
}

// drained reports whether the mailbox is closed and empty.
func (m *mailbox) drained() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.shut != nil && len(m.requests) == 0
}

// waiting returns how many requests are inside.
func (m *mailbox) waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.requests)
}

// wake and signal are called with mu held.
func (m *mailbox) wake() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}

func (m *mailbox) signal() {
	select {
	case m.ready <- struct{}{}:
	default:
	}
}
