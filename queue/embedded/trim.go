package embedded

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
)

// keepEvents says how much of the event log is kept: what is older or more than
// that goes, whichever comes first.
type keepEvents struct {
	age    time.Duration
	number uint64
	seal   *seal.Store
}

// Trimming waits until it is worth a piece of work, and does a bounded piece in
// one checkpoint. Since a piece is at least twice what the same checkpoint adds,
// the log can't outgrow its bounds for ever.
const (
	trimPiece     = 1000
	trimAgeSlack  = time.Minute
	trimSlackPart = 16 // of what is kept, where that is less than the above
)

// trim says what a transaction deleted from the start of the log.
type trim struct {
	n      uint64
	nextAt instant.Instant // of the oldest event left, zero when there is none
}

// dueAt returns the instant from which trimming is worth it; zero means not
// before there are more events.
func (k keepEvents) dueAt(ends logEnds) instant.Instant {
	held := ends.last + 1 - ends.first
	switch {
	case held == 0:
		return 0
	case held >= k.number+min(trimPiece, k.number/trimSlackPart):
		return ends.firstAt
	}
	return ends.firstAt.Add(k.age + min(trimAgeSlack, k.age/trimSlackPart))
}

func (k keepEvents) due(ends logEnds, now instant.Instant) bool {
	at := k.dueAt(ends)
	return at != 0 && at <= now
}

// cut deletes a piece of what is no longer kept of a log that has the given
// ends, and whose events up to inFile are in the database, some of them added by
// this transaction.
func (k keepEvents) cut(tx *bbolt.Tx, ends logEnds, inFile uint64, now instant.Instant, added int) (trim, error) {
	events := tx.Bucket(bucketNames[bucketEvents])
	most := uint64(max(trimPiece, 2*added))
	var t trim
	for seq := ends.first; seq <= inFile; seq++ {
		key := numberKey(seq)
		// The last event in the database says when the next piece is due, as long as
		// those behind it are still in the journal.
		over := t.n == most || seq == inFile && seq < ends.last
		if ends.last+1-seq <= k.number || over {
			at, err := eventAt(k.seal, key, events.Get(key))
			if err != nil {
				return trim{}, fmt.Errorf("event %x: %w", key, err)
			}
			if over || at.Add(k.age) > now {
				t.nextAt = at
				return t, nil
			}
		}
		if err := events.Delete(key); err != nil {
			return trim{}, err
		}
		t.n++
	}
	return t, nil
}
