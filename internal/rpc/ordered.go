package rpc

import (
	"sync"
	"time"
)

// ordered runs work side by side, except that work of the same key runs in the
// order in which it was given. It bounds how much runs at once.
type ordered struct {
	limit chan struct{}

	mu   sync.Mutex
	last map[string]chan struct{} // by key: closed when its latest work is done
	n    int
	idle chan struct{} // made by wait, closed when nothing runs
}

// run starts do after everything of the same key is done. It waits for room;
// false means that stop was closed before there was any.
func (o *ordered) run(stop <-chan struct{}, key string, do func()) bool {
	select {
	case o.limit <- struct{}{}:
	case <-stop:
		return false
	}
	done := make(chan struct{})
	o.mu.Lock()
	if o.last == nil {
		o.last = map[string]chan struct{}{}
	}
	before := o.last[key]
	o.last[key] = done
	o.n++
	o.mu.Unlock()
	go func() {
		defer o.finish(key, done)
		if before != nil {
			<-before
		}
		do()
	}()
	return true
}

func (o *ordered) finish(key string, done chan struct{}) {
	close(done)
	o.mu.Lock()
	if o.last[key] == done {
		delete(o.last, key)
	}
	if o.n--; o.n == 0 && o.idle != nil {
		close(o.idle)
		o.idle = nil
	}
	o.mu.Unlock()
	<-o.limit
}

// wait returns when nothing runs, or after d.
func (o *ordered) wait(d time.Duration) {
	o.mu.Lock()
	if o.n == 0 {
		o.mu.Unlock()
		return
	}
	if o.idle == nil {
		o.idle = make(chan struct{})
	}
	idle := o.idle
	o.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
}
