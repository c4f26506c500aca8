package rpc

import (
	"sync"
	"time"
)

// stalledAfter is for how many heartbeats' time nothing may be sent although
// there is something to send.
const stalledAfter = 10

// outbox is what waits to be sent on one stream. Sending blocks while the
// client does not read, so it is done by a goroutine that exists only while
// there is something to send: a stream whose client is idle costs none.
//
// There are two ways to put. What must be said (a result, an offer) is put
// whatever the state; when too much of it waits, the client does not read and
// the outbox fails with errSlow. What can be read again later (the log) is put
// only while holding is false; room says when that is so again.
type outbox[T any] struct {
	send  func(T) error
	limit int           // of what waits; while holding is false, half of it may be put
	room  chan struct{} // has a value when holding has become false

	mu      sync.Mutex
	waiting []T
	head    int // of waiting
	sending bool
	putAt   time.Time     // when something was put last
	sentAt  time.Time     // when something was sent last, or sending began
	err     error         // why nothing is sent any more
	failed  chan struct{} // closed with err
	drained chan struct{} // made by flush, closed when nothing is left
}

func newOutbox[T any](limit int, send func(T) error) *outbox[T] {
	return &outbox[T]{send: send, limit: limit, room: make(chan struct{}, 1), failed: make(chan struct{})}
}

// put leaves a message to be sent. After a failure it does nothing.
func (o *outbox[T]) put(m T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return
	case len(o.waiting)-o.head >= o.limit:
		o.failLocked(errSlow)
		return
	}
	o.putAt = time.Now()
	o.waiting = append(o.waiting, m)
	if !o.sending {
		o.sending, o.sentAt = true, o.putAt
		go o.work()
	}
}

// holding reports whether so much waits that what can wait should.
func (o *outbox[T]) holding() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.holdingLocked()
}

func (o *outbox[T]) holdingLocked() bool { return len(o.waiting)-o.head > o.limit/2 }

// work sends until nothing is left.
func (o *outbox[T]) work() {
	o.mu.Lock()
	defer o.mu.Unlock()
	var none T
	for o.err == nil && o.head < len(o.waiting) {
		m := o.waiting[o.head]
		o.mu.Unlock()
		err := o.send(m)
		o.mu.Lock()
		if err != nil {
			o.failLocked(err)
		}
		if o.err != nil {
			break
		}
		held := o.holdingLocked()
		o.waiting[o.head] = none
		o.head++
		o.sentAt = time.Now()
		if held && !o.holdingLocked() {
			select {
			case o.room <- struct{}{}:
			default:
			}
		}
		o.compactLocked()
	}
	o.sending = false
	if o.drained != nil {
		close(o.drained)
		o.drained = nil
	}
}

// compactLocked gives the space of what was sent back.
func (o *outbox[T]) compactLocked() {
	switch {
	case o.head == len(o.waiting) && cap(o.waiting) > 64:
		o.waiting, o.head = nil, 0
	case o.head == len(o.waiting):
		o.waiting, o.head = o.waiting[:0], 0
	case o.head > 1024 && o.head > len(o.waiting)/2:
		n := copy(o.waiting, o.waiting[o.head:])
		clear(o.waiting[n:])
		o.waiting, o.head = o.waiting[:n], 0
	}
}

// fail ends the outbox.
func (o *outbox[T]) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failLocked(err)
}

func (o *outbox[T]) failLocked(err error) {
	if o.err == nil {
		o.err, o.waiting, o.head = err, nil, 0
		close(o.failed)
	}
}

// Err says why nothing is sent any more.
func (o *outbox[T]) Err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// flush waits until what was put is sent, at most for d.
func (o *outbox[T]) flush(d time.Duration) {
	o.mu.Lock()
	if !o.sending {
		o.mu.Unlock()
		return
	}
	if o.drained == nil {
		o.drained = make(chan struct{})
	}
	drained := o.drained
	o.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-drained:
	case <-o.failed:
	case <-t.C:
	}
}

// beat says whether it is time for a heartbeat, one being sent when nothing else
// was put for so long, and when to ask again. A client that has read nothing for
// many times as long, although it was sent something, is given up.
func (o *outbox[T]) beat(every time.Duration) (due bool, next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if o.sending {
		if now.Sub(o.sentAt) > stalledAfter*every {
			o.failLocked(errSlow)
		}
		return false, every
	}
	if silent := now.Sub(o.putAt); silent < every {
		return false, every - silent
	}
	return true, every
}
