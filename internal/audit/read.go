package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Entry is a change with its outcome, or a fact.
type Entry struct {
	Record
	// Outcome is how the change ended; nil when no record says, since the daemon was
	// killed or the disk failed in between: it may have happened or not.
	Outcome *Record
}

// Code is the outcome's code, "unknown" for a change that has none, "" for a fact.
func (e *Entry) Code() string {
	switch {
	case e.Outcome != nil:
		return e.Outcome.Code
	case e.Kind == Intent:
		return "unknown"
	}
	return ""
}

// Filter selects entries. Zero fields select everything.
type Filter struct {
	Since, Until time.Time // of the intent or fact; Until is not included
	Who          string    // the name of whoever asked for it
	Action       string    // whole, or up to a dot: "tier" selects tier.set
	Site         string
	// Caller selects by the masked number, and CallerKey by its keyed hash, which
	// tells numbers apart that look the same when masked.
	Caller, CallerKey string
	// Chain shows the record's own records, too: files, signatures.
	Chain bool
}

func (f *Filter) matches(r *Record) bool {
	at := r.Time()
	switch {
	case !f.Since.IsZero() && at.Before(f.Since), !f.Until.IsZero() && !at.Before(f.Until):
		return false
	case f.Who != "" && (r.Who == nil || r.Who.Name != f.Who):
		return false
	case f.Action != "" && !within(r.Action, f.Action):
		return false
	case f.Site != "" && r.Site != f.Site:
		return false
	case f.Caller != "" && !f.ofCaller(r):
		return false
	case !f.Chain && (r.Action == ActionFile || r.Action == ActionCheckpoint):
		return f.Action == r.Action
	}
	return true
}

func within(action, wanted string) bool {
	return action == wanted || len(action) > len(wanted) && action[:len(wanted)] == wanted && action[len(wanted)] == '.'
}

// ofCaller reports whether a record is about a caller, as its object or among its
// items.
func (f *Filter) ofCaller(r *Record) bool {
	is := func(caller, key string) bool {
		if f.CallerKey != "" && key != "" {
			return key == f.CallerKey
		}
		return caller == f.Caller
	}
	if r.Object != nil && is(r.Object.Caller, r.Object.CallerKey) {
		return true
	}
	for i := range r.Items {
		if is(r.Items[i].Caller, r.Items[i].CallerKey) {
			return true
		}
	}
	return false
}

// Read hands over the entries that match, each as soon as it is whole, so that
// nearly all are in order; those without an outcome come last. It checks no
// hashes: that is Verify's.
func Read(path string, f Filter, each func(*Entry) error) error {
	paths, err := filesAt(path)
	if err != nil {
		return err
	}
	r := reader{filter: f, each: each, open: map[uint64]*Entry{}}
	for _, p := range paths {
		if err := r.file(p); err != nil {
			return err
		}
	}
	for _, seq := range r.order {
		if e := r.open[seq]; e != nil {
			if err := each(e); err != nil {
				return err
			}
		}
	}
	return nil
}

type reader struct {
	filter Filter
	each   func(*Entry) error
	open   map[uint64]*Entry
	order  []uint64 // the intents that were opened, ended or not
}

func (r *reader) file(path string) error {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	n := 0
	return lines(in, func(text []byte, whole bool) error {
		n++
		if !whole {
			return nil // It is being written, or was never acknowledged.
		}
		l, err := parseLine(text)
		if err != nil {
			return fmt.Errorf("%s:%d: %w: see greenlane audit verify", filepath.Base(path), n, err)
		}
		return r.take(&l.rec)
	})
}

func (r *reader) take(rec *Record) error {
	if rec.Kind == Outcome {
		e := r.open[rec.Of]
		if e == nil {
			return nil
		}
		delete(r.open, rec.Of)
		e.Outcome = rec
		return r.each(e)
	}
	if !r.filter.matches(rec) {
		return nil
	}
	e := &Entry{Record: *rec}
	if rec.Kind != Intent {
		return r.each(e)
	}
	if len(r.open) == 0 {
		r.order = r.order[:0]
	}
	r.open[rec.Seq], r.order = e, append(r.order, rec.Seq)
	return nil
}

// HeadOf reads the last record of a directory or a file, without checking what
// comes before it.
func HeadOf(path string) (Head, error) {
	paths, err := filesAt(path)
	if err != nil {
		return Head{}, err
	}
	for i := len(paths) - 1; i >= 0; i-- {
		t, err := readTail(paths[i])
		if err != nil {
			return Head{}, err
		}
		if t.fault != "" {
			return Head{}, fmt.Errorf("%s: %s: see greenlane audit verify", filepath.Base(paths[i]), t.fault)
		}
		if t.records > 0 {
			return t.last, nil
		}
	}
	return Head{}, fmt.Errorf("%s holds no record", path)
}
