package redisq

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/queue"
	"greenlane/queue/decider"
)

// health is whether Redis answers, and whether it takes what is written. Whoever
// could not write is healthy again with the first commit that is confirmed: that
// Redis answers says nothing of it.
type health struct {
	mu          sync.Mutex
	answers     bool
	writes      bool
	unconfirmed int // commits in a row that too few replicas had in time
	changed     chan struct{}
	last        error
	proved      time.Time // when it was last tried whether it takes writes again
}

func newHealth() *health {
	return &health{answers: true, writes: true, changed: make(chan struct{})}
}

// proveEvery is how long after a commit of nothing that failed the next is tried,
// and mostUnconfirmed how many commits in a row may lack their replicas.
const (
	proveEvery      = time.Second
	mostUnconfirmed = 2
)

// set is called with mu held.
func (h *health) set(answers, writes bool) {
	was := h.answers && h.writes
	h.answers, h.writes = answers, writes
	if (answers && writes) != was {
		close(h.changed)
		h.changed = make(chan struct{})
	}
}

// failed notes that Redis does not answer.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = err
	h.set(false, false)
}

// heard notes what an exchange failed with.
func (h *health) heard(err error) {
	switch {
	case isAway(err):
		h.failed(err)
		return
	case !errors.Is(err, errUnconfirmed) && !refusesWrites(err):
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if errors.Is(err, errUnconfirmed) {
		if h.unconfirmed++; h.unconfirmed < mostUnconfirmed {
			return
		}
	}
	h.last = err
	h.set(h.answers, false)
}

// answered notes that Redis answers, and with wrote that a commit was confirmed.
func (h *health) answered(wrote bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.answers {
		h.proved = time.Time{} // it is worth a try at once
	}
	if wrote {
		h.unconfirmed, h.last = 0, nil
	}
	h.set(true, h.writes || wrote)
}

// unproven reports whether it is time to try whether Redis takes writes again.
func (h *health) unproven(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.writes && now.Sub(h.proved) >= proveEvery
}

// tried notes that it was tried.
func (h *health) tried(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proved = now
}

// away returns why nothing can be asked, nil when Redis answers.
func (h *health) away() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.answers {
		return nil
	}
	return unavailable(h.last)
}

func (h *health) state() (ok bool, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.answers && h.writes, h.changed, h.last
}

// prove commits nothing, to find out whether Redis takes writes again: while the
// daemon says that it does not serve, perhaps nobody sends it a command.
func (e *Engine) prove() {
	b := &e.batch
	clear(b.requests)
	b.requests, b.prove = b.requests[:0], true
	err := decider.Guard(func() error { return e.serve(b, false, false) })
	b.prove = false
	e.health.tried(time.Now())
	if _, is := errors.AsType[*decider.PanicError](err); is {
		_ = e.fail(err)
	}
}

// unavailable is what a caller is told of a failed exchange.
func unavailable(err error) error { return fmt.Errorf("%w: redis: %w", queue.ErrUnavailable, err) }

// isAway reports whether an error means that nothing can be done with Redis now.
// One that is full, or that has too few replicas, still answers.
func isAway(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return !errors.Is(err, errUnconfirmed) && !errors.Is(err, errMixedUp)
	}
	return begins(err, "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "NOAUTH", "WRONGPASS", "NOPERM")
}

// refusesWrites reports whether an error means that Redis takes no write, of
// whatever kind. One that is full takes those that empty it.
func refusesWrites(err error) bool { return begins(err, "NOREPLICAS", "MISCONF") }

func begins(err error, words ...string) bool {
	for _, word := range words {
		if redis.HasErrorPrefix(err, word) {
			return true
		}
	}
	return false
}
