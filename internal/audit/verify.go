package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Fault is the first place where a record is not as it was written.
type Fault struct {
	File string // its name
	Line int    // from 1; 0: the file as a whole
	Kind string // one of the Fault... constants
	What string // a sentence
}

// What can be wrong with a record.
const (
	FaultChanged    = "changed"
	FaultRemoved    = "removed"
	FaultReordered  = "reordered"
	FaultInserted   = "inserted"
	FaultCutOff     = "cut off"
	FaultUnreadable = "unreadable"
	FaultSignature  = "signature"
)

func (f *Fault) Error() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", f.File, f.Kind, f.What)
	}
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Kind, f.What)
}

// Verification says what to hold a record against beside itself.
type Verification struct {
	// Keys are those whose signatures count. With any, the record must be signed,
	// and all its signatures must be good. Without, signatures are not looked at.
	Keys []*Key
	// Head, when set, is one that was kept elsewhere: it must be in the record.
	Head *Head
}

// Report is what Verify found.
type Report struct {
	Files     int
	Records   int
	First     Head // the first record that is there
	Head      Head // the last good one
	Trimmed   bool // older files have been removed, as a record says
	Signed    int  // good signatures
	SignedTo  uint64
	Unsigned  int  // records after the last good signature, with keys
	Open      int  // intents without an outcome: how they ended is not known
	Stopped   bool // it ends as a daemon's stop leaves it
	Running   bool // a daemon writes it now
	BeforeAny bool // the head that was given lies before the first record
	Fault     *Fault
}

// Verify reads the files of a directory, or one file, and reports the first
// fault. The error is for what could not be read at all.
func Verify(path string, v Verification) (*Report, error) {
	paths, err := filesAt(path)
	if err != nil {
		return nil, err
	}
	c := &checker{v: v, paths: paths, open: map[uint64]bool{}, whole: path != paths[0]}
	c.report.Running = inUse(filepath.Dir(paths[0]))
	for i := range paths {
		c.at = i
		if err := c.file(paths[i]); err != nil {
			var fault *Fault
			if !errors.As(err, &fault) {
				return nil, err
			}
			c.report.Fault = fault
			break
		}
	}
	if c.report.Fault == nil {
		c.report.Fault = c.end()
	}
	c.report.Open = len(c.open)
	return &c.report, nil
}

// filesAt are the files of a record: those of a directory in order, or one file.
func filesAt(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	numbers, err := Files(path)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, fmt.Errorf("%s holds no audit record (files %s)", path, nameOf(1))
	}
	var out []string
	for _, n := range numbers {
		out = append(out, filepath.Join(path, nameOf(n)))
	}
	return out, nil
}

// checker is a verification under way.
type checker struct {
	v      Verification
	paths  []string
	at     int // index of the file being read
	line   int
	chain  string
	report Report
	open   map[uint64]bool // intents without an outcome so far
	whole  bool            // a directory was given, not one file
	found  bool            // the head that was given
	gone   uint64          // the last record that is missing at the beginning, 0: none
}

func (c *checker) fault(kind, format string, args ...any) *Fault {
	return &Fault{File: filepath.Base(c.paths[c.at]), Line: c.line, Kind: kind, What: fmt.Sprintf(format, args...)}
}

func (c *checker) file(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read
	c.report.Files++
	c.line = 0
	err = lines(f, func(text []byte, whole bool) error {
		c.line++
		if !whole {
			return c.torn()
		}
		l, err := parseLine(text)
		if err != nil {
			return c.fault(FaultUnreadable, "this line is no record: it was changed")
		}
		return c.record(&l)
	})
	switch {
	case errors.Is(err, errLong):
		return c.fault(FaultUnreadable, "%v", err)
	case err == nil && c.line == 0:
		return c.fault(FaultCutOff, "the file is empty")
	}
	return err
}

// torn judges a last line without an end: that of the newest file is how a
// record looks that is being written, or whose daemon was killed.
func (c *checker) torn() error {
	if c.at == len(c.paths)-1 && c.report.Running {
		return nil
	}
	return c.fault(FaultCutOff, "the line has no end: the record was cut off here, or the daemon was killed while it wrote (its next start takes such a line off)")
}

// record checks one record against the one before it.
func (c *checker) record(l *line) error {
	first, prev := c.report.Records == 0, c.report.Head
	if c.line == 1 {
		if err := c.start(l, first); err != nil {
			return err
		}
		if first {
			prev = Head{Seq: l.rec.Seq - 1}
			prev.Hash, _ = parseHash([]byte(l.rec.File.Prev)) // start has read it
			c.report.First = Head{Seq: l.rec.Seq, Hash: l.hash}
		}
	} else if l.rec.File != nil {
		return c.fault(FaultInserted, "the beginning of a file stands in the middle of one")
	}
	if l.rec.Seq != prev.Seq+1 {
		return c.gap(l, prev.Seq+1)
	}
	if link(prev.Hash, l.body) != l.hash {
		return c.mismatch(l, prev)
	}
	if err := c.signature(l, prev); err != nil {
		return err
	}
	c.report.Records++
	c.report.Head = Head{l.rec.Seq, l.hash}
	if h := c.v.Head; h != nil && h.Seq == l.rec.Seq {
		if h.Hash != l.hash {
			return c.fault(FaultChanged, "record %d is not the one whose head was kept: the record was written anew", h.Seq)
		}
		c.found = true
	}
	c.follow(&l.rec)
	return nil
}

// start checks the first record of a file.
func (c *checker) start(l *line, first bool) error {
	s := l.rec.File
	if s == nil {
		return c.fault(FaultRemoved, "the file does not begin with its first record")
	}
	prev, err := parseHash([]byte(s.Prev))
	if err != nil {
		return c.fault(FaultChanged, "it names no hash before it")
	}
	if n, ok := numberOf(filepath.Base(c.paths[c.at])); ok && n != s.Number {
		return c.fault(FaultReordered, "the file was number %d of the record", s.Number)
	}
	if first {
		c.chain = s.Chain
		if l.rec.Seq > 1 {
			c.gone = l.rec.Seq - 1
		} else if prev != (Hash{}) {
			return c.fault(FaultChanged, "the first record of a chain has none before it")
		}
		return nil
	}
	if s.Chain != c.chain {
		return c.fault(FaultInserted, "the file belongs to another chain")
	}
	if l.rec.Seq == c.report.Head.Seq+1 && prev != c.report.Head.Hash {
		return c.fault(FaultChanged, "the file does not follow the one before it")
	}
	return nil
}

// follow keeps what later records are judged by.
func (c *checker) follow(r *Record) {
	c.report.Stopped = r.Action == ActionStop || c.report.Stopped && r.Action == ActionCheckpoint
	switch {
	case r.Kind == Intent:
		c.open[r.Seq] = true
	case r.Kind == Outcome:
		delete(c.open, r.Of)
	case r.Action == ActionTrimmed:
		if upTo, err := strconv.ParseUint(r.Detail["up_to"], 10, 64); err == nil && upTo >= c.gone {
			c.report.Trimmed = c.gone > 0
		}
	}
}

// signature checks a checkpoint.
func (c *checker) signature(l *line, prev Head) error {
	if l.rec.Sign == nil || len(c.v.Keys) == 0 {
		c.report.Unsigned++
		return nil
	}
	for _, k := range c.v.Keys {
		if k.ID() != l.rec.Sign.Key {
			continue
		}
		if !k.verifies(l.rec.Sign, c.chain, l.rec.Seq, prev.Hash) {
			return c.fault(FaultSignature, "the signature is not that of key %s over what stands before it", l.rec.Sign.Key)
		}
		c.report.Signed, c.report.SignedTo, c.report.Unsigned = c.report.Signed+1, l.rec.Seq, 0
		return nil
	}
	return c.fault(FaultSignature, "it is signed by key %s, which was not given", l.rec.Sign.Key)
}

// gap judges a record that does not have the number that comes next.
func (c *checker) gap(l *line, want uint64) error {
	got := l.rec.Seq
	if next, ok := c.next(); ok && next.rec.Seq == want+1 && link(l.hash, next.body) == next.hash {
		return c.fault(FaultChanged, "record %d was changed: it says that it is %d", want, got)
	}
	if got < want {
		return c.fault(FaultInserted, "record %d stands here where %d belongs: it was put in", got, want)
	}
	if c.later(want) {
		return c.fault(FaultReordered, "record %d stands here, and %d behind it", got, want)
	}
	if got == want+1 {
		return c.fault(FaultRemoved, "record %d is missing before it", want)
	}
	return c.fault(FaultRemoved, "records %d to %d are missing before it", want, got-1)
}

// mismatch judges a record whose hash does not follow.
func (c *checker) mismatch(l *line, prev Head) error {
	next, ok := c.next()
	switch {
	case ok && next.rec.Seq == l.rec.Seq:
		return c.fault(FaultInserted, "two records say that they are %d: one was put in", l.rec.Seq)
	case ok && link(link(prev.Hash, l.body), next.body) == next.hash:
		return c.fault(FaultChanged, "the hash of record %d was changed", l.rec.Seq)
	}
	return c.fault(FaultChanged, "record %d does not follow the one before it: one of the two was changed", l.rec.Seq)
}

// next is the record after the one being read.
func (c *checker) next() (l line, ok bool) {
	c.rest(func(next *line) bool { l, ok = *next, true; return false })
	return l, ok
}

// later reports whether a record comes after the one being read.
func (c *checker) later(seq uint64) (found bool) {
	c.rest(func(l *line) bool { found = l.rec.Seq == seq; return !found })
	return found
}

var errEnough = errors.New("enough")

// rest reads what comes after the line being read, as long as it can be read and
// each wants more.
func (c *checker) rest(each func(*line) bool) {
	skip := c.line
	for _, path := range c.paths[c.at:] {
		f, err := os.Open(path)
		if err != nil {
			return
		}
		err = lines(f, func(text []byte, _ bool) error {
			if skip--; skip >= 0 {
				return nil
			}
			if l, err := parseLine(text); err == nil && !each(&l) {
				return errEnough
			}
			return nil
		})
		f.Close() //nolint:errcheck // it was only read
		if err != nil {
			return
		}
		skip = 0
	}
}

// end checks what only the whole record can show.
func (c *checker) end() *Fault {
	r := &c.report
	c.line = 0
	if c.gone > 0 && !r.Trimmed && c.whole {
		c.at = 0
		return c.fault(FaultRemoved, "records 1 to %d are missing before it, and no record says that they were removed for their age", c.gone)
	}
	if len(c.v.Keys) > 0 && r.Signed == 0 {
		return c.fault(FaultSignature, "no record is signed by the keys given")
	}
	if h := c.v.Head; h != nil && !c.found {
		if h.Seq < r.First.Seq {
			r.BeforeAny = true
			return nil
		}
		return c.fault(FaultCutOff, "the record ends at %d, and the head that was kept is %d: what came after was cut off", r.Head.Seq, h.Seq)
	}
	return nil
}
