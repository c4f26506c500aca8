// Package tieringtest is the conformance suite of tiering.Directory: each
// sentence of the port's comments has a case here, and every adapter runs them
// all. A change of the port comes with a case.
//
// It knows the port only. What is particular to one adapter, such as a damaged
// file or a lost connection, is for that adapter's own tests, except where
// Subject lets the suite cause it.
package tieringtest

import (
	"testing"

	"greenlane/tiering"
)

// Subject is an empty Directory to test, and what the suite may do to it. The
// functions may be nil; the cases that need them are then left out.
type Subject struct {
	Directory tiering.Directory

	// Reopen closes Directory and returns one on the same store, as another
	// process would have it.
	Reopen func() tiering.Directory
	// Corrupt makes what is stored under the number unreadable.
	Corrupt func(site string, n tiering.Number)
	// Cut returns one on the same store that can't reach it until mend is called.
	Cut func() (d tiering.Directory, mend func())
}

// Run runs the suite. open returns a new Subject whose Directory the suite
// closes; it may be called many times, also at the same time.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Subject)
	}{
		{"unknown callers", unknownCallers},
		{"what is set is found", setIsFound},
		{"times", times},
		{"operations", operations},
		{"sites are apart", sitesApart},
		{"wrong arguments", wrongArguments},
		{"context done", contextDone},
		{"lapse", lapse},
		{"lapse: beside changes", lapseBesideChanges},
		{"batch: one result per change", batchResults},
		{"batch: later sees earlier", batchOrder},
		{"batch: large", batchLarge},
		{"batch: what was before", batchBefore},
		{"lookup: many at once", lookupBatch},
		{"blacklist: every one on it, and nobody else", walkBlacklist},
		{"walk: every entry", walkAll},
		{"walk: while entries come and go", walkWhileChanging},
		{"walk: wrong cursor", walkWrongCursor},
		{"count", count},
		{"subscribe", subscribe},
		{"subscribe: order and cancel", subscribeOrder},
		{"requests: a retry finds the first answer", requestsAnswer},
		{"requests: other contents are refused", requestsReused},
		{"requests: an answer ends", requestsEnd},
		{"requests: many at once", requestsAtOnce},
		{"many goroutines", manyGoroutines},
		{"random changes against the definition", randomChanges},
		{"close", closing},
		{"reopen", reopen},
		{"unreadable: lookup", unreadableLookup},
		{"unreadable: walk", unreadableWalk},
		{"unreadable: set", unreadableSet},
		{"unreadable: erased", unreadableErased},
		{"store away", storeAway},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() {
				if err := s.Directory.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(t, s)
		})
	}
}
