// Package audit checks a daemon by what it says in public: its event log, its
// calls and its counters, against the promises of the design and against the
// record that a client kept of every answer it got.
//
// A Replay follows the event log and knows at every event who waits and who
// works; it decides by itself, without any code of the daemon, whether the event
// keeps the rules. A Ledger is the client's record. Check holds the two, and
// what the daemon lists at the end, against each other. What is wrong comes out
// as Faults; an empty list is the good news.
package audit

import (
	"fmt"
	"sync"
)

// The rules that a Fault can break.
const (
	RuleLog          = "event log"      // sequence numbers grow by one; no event contradicts the one before
	RuleGreenChannel = "green channel"  // no lower tier is offered to an agent while an eligible VIP waits
	RuleOrder        = "order"          // tier, then level, then arrival
	RuleOneOffer     = "one offer"      // one live offer per call and per agent
	RuleOneAgent     = "one agent"      // accept is acknowledged to one agent
	RuleOneEnd       = "one end"        // exactly one terminal state
	RuleKept         = "kept"           // what was acknowledged is there, and as it was acknowledged
	RulePlace        = "place"          // places follow the order of acknowledgements
	RuleClock        = "clock"          // the wait is the time between arrival and answer or end
	RuleCallback     = "callback"       // earned by the right abandons, one open per caller and queue
	RuleCounters     = "counters"       // the snapshot's counts are a recount of the calls
	RuleAnswer       = "unwanted error" // the daemon refused what it should have done
)

// Fault is one broken rule.
type Fault struct {
	Rule     string
	Call     string // may be empty
	Sequence uint64 // of the event, or 0
	Text     string
}

// String returns one line.
func (f Fault) String() string {
	where := ""
	if f.Call != "" {
		where = " call " + f.Call
	}
	if f.Sequence != 0 {
		where += fmt.Sprintf(" event %d", f.Sequence)
	}
	return f.Rule + where + ": " + f.Text
}

// keptFaults is how many faults are kept; the others are only counted.
const keptFaults = 200

// Faults gathers what is wrong. It is safe for concurrent use; its zero value
// is empty.
type Faults struct {
	mu    sync.Mutex
	list  []Fault
	count int
}

// Add adds a fault.
func (f *Faults) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if len(f.list) < keptFaults {
		f.list = append(f.list, fault)
	}
}

func (f *Faults) add(rule, call string, seq uint64, format string, args ...any) {
	f.Add(Fault{Rule: rule, Call: call, Sequence: seq, Text: fmt.Sprintf(format, args...)})
}

// Count returns how many faults were found.
func (f *Faults) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// Of returns how many of the kept faults break a rule.
func (f *Faults) Of(rule string) int {
	n := 0
	for _, fault := range f.List() {
		if fault.Rule == rule {
			n++
		}
	}
	return n
}

// List returns the first faults that were found.
func (f *Faults) List() []Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Fault(nil), f.list...)
}
