package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// lines reads a file line by line. A last line without an end is handed over
// with whole false. The text is good until the next line.
func lines(in io.Reader, each func(text []byte, whole bool) error) error {
	r := bufio.NewReaderSize(in, 1<<16)
	var long []byte
	for {
		text, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, text...)
			if len(long) > maxLine {
				return errLong
			}
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return err
		}
		if len(long) > 0 {
			text, long = append(long, text...), nil
		}
		whole := err == nil
		if len(text) > 0 {
			if err := each(bytes.TrimSuffix(text, []byte("\n")), whole); err != nil {
				return err
			}
		}
		if !whole {
			return nil
		}
	}
}

// maxLine bounds a line: the largest record has twenty thousand items.
const maxLine = 16 << 20

var errLong = fmt.Errorf("a line has more than %d bytes: this is no audit record", maxLine)

// readStart reads the first record of a file.
func readStart(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := bufio.NewReaderSize(f, 4096).ReadBytes('\n')
	if err != nil {
		return Record{}, err
	}
	l, err := parseLine(text[:len(text)-1])
	if err != nil || l.rec.File == nil {
		return Record{}, fmt.Errorf("%s does not begin as a file of an audit record", filepath.Base(path))
	}
	return l.rec, nil
}

// tail is how the newest file ends.
type tail struct {
	start   Record // the first record
	last    Head
	records int
	size    int64  // up to the end of the last whole line
	torn    []byte // what comes after it
	fault   string // why the file is not as it was written; empty: it is
}

// readTail reads a file from its beginning, checking the chain within it.
func readTail(path string) (t tail, err error) {
	f, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	n := 0
	damaged := func(what string) {
		if t.fault == "" {
			t.fault = fmt.Sprintf("line %d %s", n, what)
		}
	}
	err = lines(f, func(text []byte, whole bool) error {
		n++
		if !whole {
			t.torn = bytes.Clone(text)
			return nil
		}
		t.size += int64(len(text)) + 1
		l, err := parseLine(text)
		if err != nil {
			damaged("is no record")
			return nil //nolint:nilerr // the tail says what is wrong
		}
		prev := t.last.Hash
		if t.records == 0 {
			t.start = l.rec
			if l.rec.File == nil {
				damaged("does not say where the file goes on")
			} else if prev, err = parseHash([]byte(l.rec.File.Prev)); err != nil {
				damaged("names no hash before it")
			}
		} else if l.rec.Seq != t.last.Seq+1 {
			damaged("does not follow the one before it")
		}
		if link(prev, l.body) != l.hash {
			damaged("does not have its hash")
		}
		t.records++
		t.last = Head{l.rec.Seq, l.hash}
		return nil
	})
	return t, err
}

// open finds the end of the record and makes ready to append to it.
func (w *writer) open() error {
	now := w.opts.Now()
	numbers, err := Files(w.opts.Dir)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	var torn []byte
	for len(numbers) > 0 && w.file == nil {
		number := numbers[len(numbers)-1]
		t, err := readTail(filepath.Join(w.opts.Dir, nameOf(number)))
		if err != nil {
			return fmt.Errorf("audit: %s: %w", nameOf(number), err)
		}
		if torn == nil && t.fault == "" {
			torn = t.torn
		}
		if t.records == 0 && t.fault == "" {
			// The daemon was killed while it began this file: nothing is in it.
			if err := removeFile(filepath.Join(w.opts.Dir, nameOf(number))); err != nil {
				return fmt.Errorf("audit: %w", err)
			}
			numbers = numbers[:len(numbers)-1]
			continue
		}
		if err := w.resume(now, number, t); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if w.file == nil {
		if err := w.begin(now, 1); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	if err := w.opening(now, torn); err != nil {
		return errors.Join(fmt.Errorf("audit: %w", err), w.file.Close())
	}
	return nil
}

// resume goes on in a file, or after it when it is damaged: callers do not wait
// for an auditor, and what is wrong in it stays there to be seen.
func (w *writer) resume(now time.Time, number int, t tail) error {
	w.number, w.head, w.size, w.began = number, t.last, t.size, t.start.Time()
	if t.start.File != nil {
		w.chain = t.start.File.Chain
	}
	if t.fault != "" {
		w.opts.Logger.Error("the audit record was changed by somebody else; see greenlane audit verify", "file", nameOf(number), "fault", t.fault)
		if err := w.begin(now, number+1); err != nil {
			return err
		}
		return w.append(now, []*Record{{Kind: Fact, Action: ActionDamaged, Detail: map[string]string{
			"file": nameOf(number), "fault": t.fault,
		}}}, false)
	}
	f, err := w.opts.open(filepath.Join(w.opts.Dir, nameOf(number)), false)
	if err != nil {
		return err
	}
	w.file, w.torn = f, len(t.torn) > 0
	return w.mend()
}

// opening writes what a start has to say.
func (w *writer) opening(now time.Time, torn []byte) error {
	var recs []*Record
	if len(torn) > 0 {
		sum := sha256.Sum256(torn)
		recs = append(recs, &Record{Kind: Fact, Action: ActionRecovered, Detail: map[string]string{
			"bytes": strconv.Itoa(len(torn)), "sha256": hex.EncodeToString(sum[:]),
		}})
		w.opts.Logger.Warn("the audit record ended within a record that was never acknowledged: it was taken off", "bytes", len(torn))
	}
	if w.opts.Start.Action != "" {
		start := w.opts.Start
		start.Kind = Fact
		recs = append(recs, &start)
	}
	if err := w.append(now, recs, true); err != nil {
		return err
	}
	return w.trim(now)
}
