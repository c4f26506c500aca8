package resolve

import (
	"sync"
	"time"

	"greenlane/tiering"
)

// pursuit is the seeking of one call's answer.
type pursuit struct {
	site   string
	number tiering.Number
	until  time.Time     // when to give up
	tried  chan struct{} // closed when the first lookup has ended

	mu       sync.Mutex
	state    state
	standing tiering.Standing       // when settled
	fn       func(tiering.Standing) // who wants to know
}

type state uint8

const (
	resting state = iota // nothing is under way, and nobody has asked for the answer yet
	trying               // a lookup is under way
	waiting              // to be tried again
	settled              // the answer is there
)

// answer returns the answer when it is there.
func (p *pursuit) answer() (tiering.Standing, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.standing, p.state == settled
}

// want notes that fn wants the answer. It returns settled when the answer is
// there, resting when nothing is under way to get it, so that the caller has to
// have it tried, and trying when something is.
func (p *pursuit) want(fn func(tiering.Standing)) (tiering.Standing, state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case settled:
		return p.standing, settled
	case resting:
		p.fn, p.state = fn, waiting
		return tiering.Standing{}, resting
	}
	p.fn = fn
	return tiering.Standing{}, trying
}

// settle notes the answer and returns who wants it, if anybody.
func (p *pursuit) settle(standing tiering.Standing) (fn func(tiering.Standing)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.standing = settled, standing
	fn, p.fn = p.fn, nil
	return fn
}

// fail notes that a lookup failed, and reports whether to try again.
func (p *pursuit) fail() (again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fn == nil {
		p.state = resting
		return false
	}
	p.state = waiting
	return true
}

// try notes that a lookup begins.
func (p *pursuit) try() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = trying
}
