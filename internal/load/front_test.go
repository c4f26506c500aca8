//go:build unix

package load

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// front stands before several daemons as a load balancer does: it gives each
// connection to the next daemon in turn, so that agents and switches whose
// connection broke come back at another daemon.
type front struct {
	listener net.Listener
	backends []string

	mu    sync.Mutex
	next  int
	out   map[int]bool // backends that get no new connections
	moved int          // connections that were given to another daemon than before
	open  map[*span]bool
	over  bool
	wait  sync.WaitGroup
}

// span is one connection through the front.
type span struct {
	backend    int
	near, away net.Conn
}

func newFront(t *testing.T, backends ...string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: l, backends: backends, out: make(map[int]bool), open: make(map[*span]bool)}
	f.wait.Go(f.accept)
	t.Cleanup(f.close)
	return f
}

func (f *front) addr() string { return f.listener.Addr().String() }

func (f *front) accept() {
	for {
		near, err := f.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				continue
			}
			return
		}
		f.wait.Go(func() { f.carry(near) })
	}
}

// carry connects to a daemon that takes the connection, and hands bytes over in
// both directions until either side ends.
func (f *front) carry(near net.Conn) {
	defer near.Close()
	for range f.backends {
		i, ok := f.choose()
		if !ok {
			return
		}
		away, err := net.Dial("tcp", f.backends[i])
		if err != nil {
			continue // It was killed; the next one in turn.
		}
		s := &span{backend: i, near: near, away: away}
		if !f.keep(s) {
			return
		}
		f.wait.Go(func() { _, _ = io.Copy(away, near); s.close() })
		_, _ = io.Copy(near, away)
		s.close()
		f.mu.Lock()
		delete(f.open, s)
		f.mu.Unlock()
		return
	}
}

func (s *span) close() {
	_ = s.near.Close()
	_ = s.away.Close()
}

// choose returns the next backend in turn that takes connections.
func (f *front) choose() (int, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range f.backends {
		i := f.next % len(f.backends)
		f.next++
		if !f.out[i] {
			return i, true
		}
	}
	return 0, false
}

func (f *front) keep(s *span) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.out[s.backend] {
		s.close()
		return false
	}
	f.open[s] = true
	return true
}

// drop takes a backend out, and ends its connections: their clients go elsewhere.
func (f *front) drop(backend int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out[backend] = true
	for s := range f.open {
		if s.backend == backend {
			f.moved++
			s.close()
		}
	}
}

// use lets a backend have connections again.
func (f *front) use(backend int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.out, backend)
}

func (f *front) close() {
	_ = f.listener.Close()
	f.mu.Lock()
	f.over = true
	for s := range f.open {
		s.close()
	}
	f.mu.Unlock()
	f.wait.Wait()
}
