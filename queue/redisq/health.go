package redisq

import (
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// health is whether Redis answers.
type health struct {
	mu      sync.Mutex
	ok      bool
	changed chan struct{}
	last    error
	since   time.Time
}

func newHealth() *health { return &health{ok: true, changed: make(chan struct{}), since: time.Now()} }

func (h *health) set(ok bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = err
	if h.ok != ok {
		h.ok, h.since = ok, time.Now()
		close(h.changed)
		h.changed = make(chan struct{})
	}
}

func (h *health) failed(err error) { h.set(false, err) }

func (h *health) answered() { h.set(true, nil) }

func (h *health) state() (ok bool, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ok, h.changed, h.last
}

// isAway reports whether an error means that nothing can be done with Redis now.
// One that is full, or that has too few replicas, still answers.
func isAway(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return !errors.Is(err, errUnconfirmed) && !errors.Is(err, errMixedUp)
	}
	for _, word := range []string{"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH", "WRONGPASS", "NOPERM"} {
		if redis.HasErrorPrefix(err, word) {
			return true
		}
	}
	return false
}
