package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// mostJournal says how many times its usual size the journal may reach before
// commits wait for a checkpoint.
const mostJournal = 8

// checkpoints says when the next one is due.
type checkpoints struct {
	opts *Options

	one     sync.Mutex    // one at a time
	records []byte        // room for the one at hand
	list    []write       // likewise
	due     chan struct{} // has a token when one is wanted now
	timer   *time.Timer   // fires when what is in the journal has been there long enough
	waiting atomic.Bool   // something waits for the next one
	done    chan struct{} // has a token when one is done that nobody has looked at
	stop    chan struct{}
	stopped chan struct{}
}

func newCheckpoints(opts *Options) *checkpoints {
	c := &checkpoints{
		opts: opts, timer: time.NewTimer(opts.CheckpointAge),
		due: make(chan struct{}, 1), done: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	c.timer.Stop()
	return c
}

// grown is told how much the journal holds after a commit.
func (c *checkpoints) grown(held int64) {
	if held >= int64(c.opts.CheckpointBytes) {
		c.now()
		return
	}
	if !c.waiting.Swap(true) {
		c.timer.Reset(c.opts.CheckpointAge)
	}
}

// now wants a checkpoint at once.
func (c *checkpoints) now() {
	c.waiting.Store(true)
	leave(c.due)
}

// leave leaves a token unless one is there.
func leave(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// runCheckpoints is the life of the goroutine that makes them, until the decider
// has ended. What it runs into fails the engine.
func (e *Engine) runCheckpoints() {
	c := e.checkpoints
	defer close(c.stopped)
	defer c.timer.Stop()
	for {
		select {
		case <-c.due:
		case <-c.timer.C:
		case <-c.stop:
			return
		}
		if e.checkpoint() != nil {
			return
		}
	}
}

// checkpoint brings what the journal holds into the database, and trims the
// event log when that is due. An error has failed the engine.
func (e *Engine) checkpoint() error {
	c := e.checkpoints
	c.one.Lock()
	defer c.one.Unlock()
	if err := e.unavailable(); err != nil {
		return err
	}
	c.waiting.Store(false)
	defer leave(c.done)
	defer c.keepRoom()
	err := guard(func() error {
		return e.opts.WrapCheckpoint(func() error {
			records, last, err := e.journal.turn(c.records)
			if err != nil {
				return fmt.Errorf("read the journal: %w", err)
			}
			c.records = records
			return e.fold(records, last)
		})
	})
	if err != nil {
		return e.fail(fmt.Errorf("checkpoint: %w", err))
	}
	return nil
}

// keepRoom keeps what the next checkpoint can use again.
func (c *checkpoints) keepRoom() {
	clear(c.list)
	c.list = c.list[:0]
	if cap(c.records) > 2*c.opts.CheckpointBytes {
		c.records, c.list = nil, nil
	}
}

// fold writes the journal's records, of which last is the last one, into the
// database, and trims its event log.
func (e *Engine) fold(records []byte, last uint64) error {
	ends, now := e.log.bounds(), e.clock.Now()
	if len(records) == 0 && !e.keep.due(ends, now) {
		return nil
	}
	c := e.checkpoints
	for len(records) > 0 {
		r, ok := readRecord(records)
		if !ok {
			return errJournal
		}
		var err error
		if c.list, err = parseWrites(c.list, r.writes); err != nil {
			return err
		}
		records = records[min(r.size, len(records)):]
	}
	var t trim
	inFile, err := e.store.apply(c.list, e.journal.id, last, func(tx *bbolt.Tx, inFile uint64, added int) (err error) {
		if e.keep.due(ends, now) {
			// Events that nobody has been shown yet stay.
			t, err = e.keep.cut(tx, ends, min(max(inFile, e.log.inFile()), ends.last), now, added)
		}
		return err
	})
	if err != nil {
		return err
	}
	e.log.folded(inFile, t)
	return nil
}

var errJournal = errors.New("the journal can't be read back")

// apply carries writes out in one transaction, of each key only the last, notes
// the journal's record they end with, and has trim do its part. It returns the
// last event among the writes, zero when there is none.
func (s *store) apply(list []write, id, last uint64, trim func(tx *bbolt.Tx, lastEvent uint64, events int) error) (lastEvent uint64, err error) {
	// In order of keys, so that a page is changed once.
	slices.SortFunc(list, func(a, b write) int {
		if a.bucket != b.bucket {
			return int(a.bucket) - int(b.bucket)
		}
		if d := bytes.Compare(a.key, b.key); d != 0 {
			return d
		}
		return a.order - b.order
	})
	tx, err := s.db.Begin(true)
	if err != nil {
		return 0, err
	}
	// After a commit this only says that there is nothing to roll back. After an
	// error or a panic it frees the lock that closing the file needs.
	defer func() { _ = tx.Rollback() }()
	events := 0
	var b *bbolt.Bucket
	for i := range list {
		op := &list[i]
		if i == 0 || list[i-1].bucket != op.bucket {
			b = op.in(tx)
		}
		if next := i + 1; next < len(list) && list[next].bucket == op.bucket && bytes.Equal(list[next].key, op.key) {
			continue
		}
		if err := op.apply(b); err != nil {
			return 0, fmt.Errorf("bucket %s, key %x: %w", bucketNames[op.bucket], op.key, err)
		}
		if op.bucket == bucketEvents {
			events++
			lastEvent = binary.BigEndian.Uint64(op.key)
		}
		if i%applyPiece == 0 {
			runtime.Gosched() // calls go first
		}
	}
	if err := putPosition(tx, position{Journal: id, Record: last, Beside: true}); err != nil {
		return 0, err
	}
	if err := trim(tx, lastEvent, events); err != nil {
		return 0, fmt.Errorf("trim the event log: %w", err)
	}
	return lastEvent, tx.Commit()
}

// applyPiece is how many writes of a checkpoint go without letting others run.
const applyPiece = 32

// in returns the bucket that op belongs to.
func (op *write) in(tx *bbolt.Tx) *bbolt.Bucket {
	b := tx.Bucket(bucketNames[op.bucket])
	if f := fillPercent[op.bucket]; f > 0 {
		b.FillPercent = f
	}
	return b
}

func (op *write) apply(b *bbolt.Bucket) error {
	if op.value == nil {
		return b.Delete(op.key)
	}
	return b.Put(op.key, op.value)
}

// position says up to which record of which journal the database holds
// everything.
type position struct {
	Journal uint64 `cbor:"1,keyasint"`
	Record  uint64 `cbor:"2,keyasint"`
	// Beside says that the journal's files are beside the database, and may hold more.
	Beside bool `cbor:"3,keyasint,omitempty"`
}

func readPosition(tx *bbolt.Tx) (at position, err error) {
	err = decode(nil, bucketMeta, keyJournal, tx.Bucket(bucketNames[bucketMeta]).Get(keyJournal), &at)
	return at, err
}

func putPosition(tx *bbolt.Tx, p position) error {
	var w writes
	if err := w.put(bucketMeta, w.name(string(keyJournal)), &p); err != nil {
		return err
	}
	list, err := parseWrites(nil, w.buf.Bytes())
	if err != nil {
		return err
	}
	return list[0].apply(list[0].in(tx))
}

func (s *store) position() (at position, err error) {
	err = guard(func() error {
		return s.db.View(func(tx *bbolt.Tx) (err error) { at, err = readPosition(tx); return err })
	})
	if err != nil {
		return at, fmt.Errorf("where the journal begins: %w", err)
	}
	return at, nil
}

// lost is an error when a file of the journal is missing that must be there: what it
// held was acknowledged.
func (s *store) lost(paths [2]string) error {
	at, err := s.position()
	if err != nil {
		return err
	}
	if !at.Beside {
		return nil
	}
	var missing []string
	for _, path := range paths {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the journal lacks %s, which may hold what was acknowledged last: put it back, or make an empty file of that name to go on without",
		strings.Join(missing, " and "))
}

// beside notes whether the journal's files are beside the database.
func (s *store) beside(are bool) error {
	return guard(func() error {
		return s.db.Update(func(tx *bbolt.Tx) error {
			at, err := readPosition(tx)
			if err != nil || at.Beside == are {
				return err
			}
			at.Beside = are
			return putPosition(tx, at)
		})
	})
}

// recover brings what the journal holds and the database lacks into it, and
// empties the journal.
func (s *store) recover(j *journal) error {
	at, err := s.position()
	if err != nil {
		return err
	}
	j.id = at.Journal
	records, err := j.unapplied(at.Record)
	if err != nil {
		return err
	}
	var list []write
	for _, r := range records {
		if list, err = parseWrites(list, r.writes); err != nil {
			return err
		}
		at.Record = r.seq
	}
	if len(records) > 0 {
		err := guard(func() error {
			_, err := s.apply(list, at.Journal, at.Record, func(*bbolt.Tx, uint64, int) error { return nil })
			return err
		})
		if err != nil {
			return fmt.Errorf("apply the journal: %w", err)
		}
	}
	return j.reset(at.Record)
}
