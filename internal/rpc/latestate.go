package rpc

import (
	"sync"

	"greenlane/tiering"
)

// lateState brings two events together, each of which happens at most once.
type lateState struct {
	mu      sync.Mutex
	isThere bool // the call is queued
	never   bool // the call was not queued
	tier    tiering.Tier
}

// queued records the call's commit; both is true when the tier came before it.
func (l *lateState) queued(ok bool) (t tiering.Tier, both bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isThere, l.never = ok, !ok
	return l.tier, ok && l.tier != tiering.TierUnset
}

// answered records the tier and returns true when the call is there already.
func (l *lateState) answered(t tiering.Tier) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tier = t
	return l.isThere
}
