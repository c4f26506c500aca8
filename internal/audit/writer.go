package audit

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// writer appends to the newest file. It is one goroutine's, and knows no
// waiting.
type writer struct {
	opts  *Options
	trace func(records int, bytes int64, head Head)

	file    file
	number  int
	size    int64     // of the file, up to the last record that is on disk
	began   time.Time // the file
	chain   string
	head    Head
	torn    bool // beyond size, the file may hold what is no record's
	failing bool

	unsigned int       // records since the last checkpoint
	waiting  time.Time // when the first of them was written
	buf      []byte
}

// write appends records and returns when they are on disk. After an error none
// of them is in the record, and the next write may succeed.
func (w *writer) write(recs []*Record) error {
	now := w.opts.Now()
	if err := w.mend(); err != nil {
		return err
	}
	if w.size >= w.opts.MaxSize || now.Sub(w.began) >= w.opts.MaxAge {
		if err := w.rotate(now); err != nil {
			// The old file is as good; it is only longer than it should be.
			w.opts.Logger.Warn("no new file of the audit record could be begun: the old one grows on", "dir", w.opts.Dir, "error", err)
		}
	}
	return w.append(now, recs, false)
}

// append writes records, and a checkpoint after them when one is due or wanted.
func (w *writer) append(now time.Time, recs []*Record, sign bool) error {
	w.buf = w.buf[:0]
	head, n, unsigned := w.head, len(recs), w.unsigned+len(recs)
	for _, r := range recs {
		if err := w.encode(r, &head, now); err != nil {
			return err
		}
	}
	if w.opts.Key != nil && unsigned > 0 && (sign || unsigned >= w.opts.CheckpointEvery) {
		if err := w.encode(w.checkpoint(head), &head, now); err != nil {
			return err
		}
		n, unsigned = n+1, 0
	}
	if n == 0 {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if w.unsigned == 0 {
		w.waiting = now
	}
	w.head, w.unsigned = head, unsigned
	w.size += int64(len(w.buf))
	w.trace(n, int64(len(w.buf)), head)
	return nil
}

// encode adds one line to buf and moves head to it.
func (w *writer) encode(r *Record, head *Head, now time.Time) error {
	r.stamp(head.Seq+1, now)
	body, err := r.body()
	if err != nil {
		return err
	}
	head.Seq, head.Hash = head.Seq+1, link(head.Hash, body)
	w.buf = appendLine(w.buf, body, head.Hash)
	return nil
}

// checkpoint signs everything up to head.
func (w *writer) checkpoint(head Head) *Record {
	return &Record{Kind: Fact, Action: ActionCheckpoint, Sign: w.opts.Key.sign(w.chain, head.Seq+1, head.Hash)}
}

// flush writes buf. When that fails, the file is cut back to what it was: a
// record that was refused must not turn up later.
func (w *writer) flush() error {
	_, err := w.file.Write(w.buf)
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		w.torn = true
		return errors.Join(err, w.mend())
	}
	return nil
}

// mend cuts off what a failed write left. Pages that a failed fsync left behind go
// with it: what is written next is written, and synced, anew.
func (w *writer) mend() error {
	if !w.torn {
		return nil
	}
	if err := w.file.Truncate(w.size); err != nil {
		return err
	}
	w.torn = false
	return nil
}

// due reports whether something has not been signed for too long.
func (w *writer) due() bool {
	return w.opts.Key != nil && w.unsigned > 0 && w.opts.Now().Sub(w.waiting) >= w.opts.CheckpointAfter
}

// sign signs everything that has not been signed.
func (w *writer) sign() error {
	if err := w.mend(); err != nil {
		return err
	}
	return w.append(w.opts.Now(), nil, true)
}

// rotate signs the file, begins the next one, and removes files that are older
// than they are kept.
func (w *writer) rotate(now time.Time) error {
	if err := w.append(now, nil, true); err != nil {
		return err
	}
	if err := w.begin(now, w.number+1); err != nil {
		return err
	}
	if err := w.trim(now); err != nil {
		w.opts.Logger.Warn("old files of the audit record could not be removed", "dir", w.opts.Dir, "error", err)
	}
	return nil
}

// begin makes a new file whose first record says where it goes on. Only when that
// is on disk, the old file is let go.
func (w *writer) begin(now time.Time, number int) error {
	path := filepath.Join(w.opts.Dir, nameOf(number))
	f, err := w.opts.open(path, true)
	if err != nil {
		return err
	}
	chain := w.chain
	if chain == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // It never fails; see its documentation.
		chain = hex.EncodeToString(id[:])
	}
	head := w.head
	w.buf = w.buf[:0]
	err = w.encode(&Record{
		Kind: Fact, Action: ActionFile, File: &FileStart{Chain: chain, Number: number, Prev: w.head.Hash.String()},
	}, &head, now)
	if err == nil {
		_, err = f.Write(w.buf)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = syncDir(w.opts.Dir)
	}
	if err != nil {
		return errors.Join(err, f.Close(), removeFile(path))
	}
	if w.file != nil {
		if err := w.file.Close(); err != nil { // What was acknowledged in it was synced.
			w.opts.Logger.Warn("closing a file of the audit record", "file", nameOf(w.number), "error", err)
		}
	}
	w.file, w.number, w.began, w.chain, w.torn = f, number, now, chain, false
	w.head, w.unsigned, w.size = head, w.unsigned+1, int64(len(w.buf))
	w.trace(1, int64(len(w.buf)), head)
	return nil
}

// trim removes the files whose successor began longer ago than they are kept. A
// record says so before it happens, so that their absence is explained.
func (w *writer) trim(now time.Time) error {
	if w.opts.Keep <= 0 {
		return nil
	}
	numbers, err := Files(w.opts.Dir)
	if err != nil {
		return err
	}
	old, next := []int(nil), Record{}
	for i := 0; i+1 < len(numbers); i++ {
		start, err := readStart(filepath.Join(w.opts.Dir, nameOf(numbers[i+1])))
		if err != nil || now.Sub(start.Time()) < w.opts.Keep {
			break
		}
		old, next = append(old, numbers[i]), start
	}
	if len(old) == 0 {
		return nil
	}
	if err := w.append(now, []*Record{{Kind: Fact, Action: ActionTrimmed, Detail: map[string]string{
		"files": fmt.Sprintf("%d-%d", old[0], old[len(old)-1]), "up_to": strconv.FormatUint(next.Seq-1, 10), "head": next.File.Prev,
	}}}, false); err != nil {
		return err
	}
	for _, n := range old {
		if err := removeFile(filepath.Join(w.opts.Dir, nameOf(n))); err != nil {
			return err
		}
	}
	return syncDir(w.opts.Dir)
}

// close writes the last record and signs it.
func (w *writer) close() error {
	err := w.mend()
	if err == nil {
		var last []*Record
		if stop := w.opts.Stop; stop.Action != "" {
			stop.Kind = Fact
			last = append(last, &stop)
		}
		err = w.append(w.opts.Now(), last, true)
	}
	return errors.Join(err, w.file.Close())
}
