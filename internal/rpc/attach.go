package rpc

import "sync"

// attachment is one poll or session that is open here.
type attachment struct {
	agent    string
	token    string
	replaced chan struct{} // closed when the agent opened another
}

// attachments are the polls and sessions of a site that are open here, at most
// one per agent: the latest counts. An agent who opens the newer one at
// another daemon is noticed by its token in the agent's record.
type attachments struct {
	mu      sync.Mutex
	byAgent map[string]*attachment
}

// open makes a the agent's way in, and ends the one before.
func (as *attachments) open(a *attachment) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if old := as.byAgent[a.agent]; old != nil {
		close(old.replaced)
	}
	as.byAgent[a.agent] = a
}

// close forgets a, unless it was replaced already.
func (as *attachments) close(a *attachment) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.byAgent[a.agent] == a {
		delete(as.byAgent, a.agent)
	}
}
