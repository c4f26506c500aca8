package rpc

import (
	"context"
	"sync"
)

// group is work in the background that can be waited for. Unlike a
// sync.WaitGroup it may be given work while somebody waits: that is then not
// begun.
type group struct {
	mu     sync.Mutex
	n      int
	closed bool
	empty  chan struct{} // made by wait, closed when n is 0
}

// run starts do in a goroutine of its own, unless the group is closing.
func (g *group) run(do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	g.n++
	go func() {
		defer g.done()
		do()
	}()
}

func (g *group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.empty != nil {
		close(g.empty)
	}
}

// wait lets no more work begin and waits for what runs. It may be repeated.
func (g *group) wait(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	if g.empty == nil {
		g.empty = make(chan struct{})
		if g.n == 0 {
			close(g.empty)
		}
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
