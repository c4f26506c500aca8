package audit

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"greenlane/internal/discreet"
	"greenlane/tiering"
)

// ErrUnavailable says that the record can't be written now, a full disk for one:
// no change is made until it can. Trying again is safe and may succeed.
var ErrUnavailable = errors.New("the audit record can't be written, and nothing is changed unrecorded")

// Options say where and how a Log is kept. Dir must be given.
type Options struct {
	Dir string
	// Key signs checkpoints and keys callers; nil for neither.
	Key *Key
	// With a key, a checkpoint is written after CheckpointEvery records, and
	// CheckpointAfter the first one that is not signed yet. Defaults 100 and 1 min.
	CheckpointEvery int
	CheckpointAfter time.Duration
	// A file is followed by another once it has MaxSize bytes, or began MaxAge ago.
	// Defaults 64 MiB and 30 days.
	MaxSize int64
	MaxAge  time.Duration
	// Files whose last record is older than Keep are removed; 0 keeps them for ever.
	Keep time.Duration
	// Start is written as the first record of this run, Stop as the last but for its
	// signature; an empty Action writes none.
	Start, Stop Record

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: discard

	open opener // of files, for tests; default the file system
}

func (o Options) withDefaults() Options {
	if o.CheckpointEvery <= 0 {
		o.CheckpointEvery = 100
	}
	if o.CheckpointAfter <= 0 {
		o.CheckpointAfter = time.Minute
	}
	if o.MaxSize <= 0 {
		o.MaxSize = 64 << 20
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 30 * 24 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.open == nil {
		o.open = openFile
	}
	return o
}

// Log is the record of one daemon, open for writing. Its methods are safe for
// concurrent use: what is written at the same time shares one write and one
// fsync. A nil *Log records nothing.
type Log struct {
	opts   Options
	unlock func() error

	mu     sync.RWMutex // held shared while something is handed in
	closed bool
	in     chan *entry
	ended  chan struct{}

	w writer // the goroutine's own

	stats struct {
		records, failures, bytes atomic.Int64
		head                     atomic.Pointer[Head]
	}
}

// entry is one record on its way.
type entry struct {
	rec  Record
	done chan error // buffered; the record's Seq is set before it is told
}

// Open opens the record in a directory, which is made if need be, and goes on
// where it ends. What the end of a killed daemon left half written is taken off,
// and a record says so. Only one Log can have a directory open.
func Open(opts Options) (*Log, error) {
	opts = opts.withDefaults()
	if opts.Key != nil && !opts.Key.Private() {
		return nil, ErrPublic
	}
	l := &Log{opts: opts, in: make(chan *entry, 256), ended: make(chan struct{})}
	var err error
	if l.unlock, err = lockDir(opts.Dir); err != nil {
		return nil, err
	}
	l.w = writer{opts: &l.opts, trace: l.wrote}
	if err := l.w.open(); err != nil {
		return nil, errors.Join(err, l.unlock())
	}
	l.wrote(0, 0, l.w.head)
	go l.run()
	return l, nil
}

// wrote keeps the figures that others read.
func (l *Log) wrote(records int, bytes int64, head Head) {
	l.stats.records.Add(int64(records))
	l.stats.bytes.Add(bytes)
	l.stats.head.Store(&head)
}

// Head is the end of the record on disk.
func (l *Log) Head() Head { return *l.stats.head.Load() }

// Stats are what was written since the start, and how often that failed.
type Stats struct{ Records, Bytes, Failures int64 }

// Stats tells what was written so far.
func (l *Log) Stats() Stats {
	return Stats{Records: l.stats.records.Load(), Bytes: l.stats.bytes.Load(), Failures: l.stats.failures.Load()}
}

// Caller returns what the record may hold of a caller.
func (l *Log) Caller(site string, n tiering.Number) (masked, keyed string) {
	if l == nil {
		return "", ""
	}
	return l.opts.Key.Caller(site, n)
}

// put hands a record in; its end is told on the returned channel.
func (l *Log) put(rec Record) *entry {
	rec.mask()
	e := &entry{rec: rec, done: make(chan error, 1)}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		e.done <- ErrUnavailable
		return e
	}
	l.in <- e
	return e
}

// mask masks what reads as a phone number: ids, names and notes are whatever their
// sender makes them.
func (r *Record) mask() {
	r.RequestID = discreet.Text(r.RequestID)
	r.Want, r.Before, r.After = masked(r.Want), masked(r.Before), masked(r.After)
	if r.Object != nil {
		o := *r.Object
		o.Call, o.Agent, o.Callback, o.Queue = discreet.Text(o.Call), discreet.Text(o.Agent), discreet.Text(o.Callback), discreet.Text(o.Queue)
		r.Object = &o
	}
}

func masked(values map[string]string) map[string]string {
	if values == nil {
		return nil
	}
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = discreet.Text(v)
	}
	return out
}

// Note writes a fact and returns when it is on disk.
func (l *Log) Note(rec Record) error {
	if l == nil {
		return nil
	}
	rec.Kind = Fact
	return <-l.put(rec).done
}

// Change is a change between its intent and its outcome.
type Change struct {
	log    *Log
	intent *entry
}

// Begin hands in the intent of a change. The change must not be made before
// Durable has returned nil.
func (l *Log) Begin(rec Record) *Change {
	if l == nil {
		return nil
	}
	rec.Kind = Intent
	return &Change{log: l, intent: l.put(rec)}
}

// Durable returns when the intent is on disk. With an error (ErrUnavailable) it
// is not, and the change must not be made. It is called once.
func (c *Change) Durable() error {
	if c == nil {
		return nil
	}
	return <-c.intent.done
}

// End writes how the change ended and returns when that is on disk. It is called
// once, after Durable has returned nil.
func (c *Change) End(code string, before, after map[string]string) error {
	if c == nil {
		return nil
	}
	in := &c.intent.rec
	return <-c.log.put(Record{
		Kind: Outcome, Action: in.Action, Site: in.Site, Of: in.Seq, Code: code, Before: before, After: after,
	}).done
}

// Close writes what was handed in, the last record and a signature, and closes
// the file. It is safe to repeat; records that come later are refused.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	first := !l.closed
	if first {
		l.closed = true
		close(l.in)
	}
	l.mu.Unlock()
	<-l.ended
	if !first {
		return nil
	}
	err := errors.Join(l.w.close(), l.unlock())
	l.opts.Logger.Info("the audit record ends here; keep its head elsewhere to notice if it is cut off", "head", l.Head().String())
	return err
}

// How much is written at once at most: what comes meanwhile waits for the next
// write.
const (
	batchRecords = 1024
	batchBytes   = 4 << 20
)

// run writes what is handed in, everything that waits in one go, and signs what
// has not been signed for a while.
func (l *Log) run() {
	defer close(l.ended)
	t := time.NewTicker(l.opts.CheckpointAfter)
	defer t.Stop()
	for {
		select {
		case e, ok := <-l.in:
			if !ok {
				return
			}
			l.commit(l.gather(e))
		case <-t.C:
			if l.w.due() {
				l.tell(l.w.sign())
			}
		}
	}
}

// gather takes what waits beside e.
func (l *Log) gather(e *entry) []*entry {
	batch := []*entry{e}
	for size := e.size(); len(batch) < batchRecords && size < batchBytes; {
		select {
		case e, ok := <-l.in:
			if !ok {
				return batch
			}
			batch, size = append(batch, e), size+e.size()
		default:
			return batch
		}
	}
	return batch
}

// size is about how many bytes a record will have.
func (e *entry) size() int { return 300 + 100*len(e.rec.Items) }

func (l *Log) commit(batch []*entry) {
	recs := make([]*Record, len(batch))
	for i, e := range batch {
		recs[i] = &e.rec
	}
	err := l.w.write(recs)
	l.tell(err)
	if err != nil {
		err = ErrUnavailable // The log has the rest, which is no client's business.
	}
	for _, e := range batch {
		e.done <- err
	}
}

// tell counts a failure to write, and logs the first of several.
func (l *Log) tell(err error) {
	switch {
	case err != nil:
		l.stats.failures.Add(1)
		if !l.w.failing {
			l.opts.Logger.Error("the audit record can't be written: no change is made until it can", "dir", l.opts.Dir, "error", err)
		}
	case l.w.failing:
		l.opts.Logger.Info("the audit record is written again", "dir", l.opts.Dir)
	}
	l.w.failing = err != nil
}
