package rpc

import (
	"context"
	"errors"
	"sync"
)

// attachment is one poll or session that is open here.
type attachment struct {
	agent    string
	token    string
	replaced chan struct{} // closed when the agent opened another
}

// errReplaced says that the agent has another way in by now.
var errReplaced = errors.New("rpc: replaced by a newer poll or session of the agent")

// attachments are the polls and sessions of a site that are open here, one per
// agent: the latest counts. An agent who opens the latest at another daemon is
// noticed by its token in the agent's record.
type attachments struct {
	mu      sync.Mutex
	byAgent map[string]*holder
}

// holder is what one agent has open.
type holder struct {
	current *attachment
	users   int           // attachments that are open, replaced ones included
	turn    chan struct{} // held while the engine is told
}

// open makes a the agent's way in, and ends the one before.
func (as *attachments) open(a *attachment) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.byAgent == nil {
		as.byAgent = map[string]*holder{}
	}
	h := as.byAgent[a.agent]
	if h == nil {
		h = &holder{turn: make(chan struct{}, 1)}
		as.byAgent[a.agent] = h
	}
	if h.current != nil {
		close(h.current.replaced)
	}
	h.current = a
	h.users++
}

// attach tells the engine of a, unless a newer one has taken over: the engine
// must not hear of the two in the wrong order, or the newer one would wait for
// offers that go to the older one's token.
func (as *attachments) attach(ctx context.Context, a *attachment, tell func() error) error {
	as.mu.Lock()
	h := as.byAgent[a.agent]
	as.mu.Unlock()
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.turn }()
	select {
	case <-a.replaced:
		return errReplaced
	default:
		return tell()
	}
}

// close forgets a. It is to be called once for each open.
func (as *attachments) close(a *attachment) {
	as.mu.Lock()
	defer as.mu.Unlock()
	h := as.byAgent[a.agent]
	if h.current == a {
		h.current = nil
	}
	if h.users--; h.users == 0 {
		delete(as.byAgent, a.agent)
	}
}

// trunks are the switches with streams open here. Several streams of one switch
// are one connection to the engine: it ends with the last of them.
type trunks struct {
	mu       sync.Mutex
	bySwitch map[string]*trunk
}

type trunk struct {
	streams int
	turn    chan struct{} // held while the engine is told
	token   string        // of the connection; changed by whoever has the turn
	open    int           // streams for which the engine was told
}

func (ts *trunks) enter(id string) *trunk {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.bySwitch == nil {
		ts.bySwitch = map[string]*trunk{}
	}
	t := ts.bySwitch[id]
	if t == nil {
		t = &trunk{turn: make(chan struct{}, 1)}
		ts.bySwitch[id] = t
	}
	t.streams++
	return t
}

func (ts *trunks) leave(id string, t *trunk) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.streams--; t.streams == 0 {
		delete(ts.bySwitch, id)
	}
}

// take waits for the turn.
func (t *trunk) take(ctx context.Context) error {
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *trunk) done() { <-t.turn }
