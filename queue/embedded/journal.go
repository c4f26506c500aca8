package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"greenlane/queue/record"
)

// A commit does not wait for the database: it appends what it writes to the
// journal, syncs that, and is done. A checkpoint brings the journal's records
// into the database a little later, many commits in one transaction.
//
// The journal is two files beside the database that take turns: commits go to
// one of them while a checkpoint empties the other. They are written over again
// and again, so that a sync has nothing to say to the file system but the data.

// A record of the journal stands at a multiple of recordAlign, and begins with
// magic, checksum of all that follows it, the database's id, the record's
// sequence (the first one ever is 1) and the length of its writes.
const (
	recordMagic  = 0x474c4a31 // "GLJ1"
	recordHeader = 28
	recordAlign  = 8
)

// A journal file grows by what it holds, within these bounds.
const (
	leastGrowth = 64 << 10
	mostGrowth  = 1 << 20
)

// journal is where commits go first.
type journal struct {
	paths [2]string
	id    uint64
	sync  bool

	mu     sync.Mutex
	files  [2]*os.File
	room   [2]int64 // the files' sizes
	active int      // the file that commits go to
	size   int64    // what it holds that is in no checkpoint yet
	last   uint64   // the sequence of the last record
}

// journalPaths are the names of a database's journal files.
func journalPaths(database string) [2]string {
	return [2]string{database + ".journal-0", database + ".journal-1"}
}

// open opens both files, which may be missing, and keeps what they hold.
func (j *journal) open() error {
	for i, path := range j.paths {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return errors.Join(err, j.close())
		}
		j.files[i] = f
	}
	return nil
}

// reset empties both files; the next record follows the given one. Nobody needs
// what they hold any more.
func (j *journal) reset(last uint64) error {
	j.last = last
	for i, f := range j.files {
		if err := f.Truncate(0); err != nil {
			return err
		}
		j.room[i] = 0
	}
	return nil
}

func (j *journal) close() error {
	var err error
	for i, f := range j.files {
		if f != nil {
			err = errors.Join(err, f.Close())
			j.files[i] = nil
		}
	}
	return err
}

// remove deletes both files after everything is in the database.
func (j *journal) remove() error {
	err := j.close()
	for _, path := range j.paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// append makes a batch's writes durable. It returns how much the journal holds.
func (j *journal) append(w *writes) (size int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	record := w.seal(j.id, j.last+1)
	f, end := j.files[j.active], j.size+int64(len(record))
	if room := j.room[j.active]; end > room {
		// Zeros go ahead of the records: a sync of what is written over them later
		// need not tell the file system of a file that has grown.
		grown := end + min(max(leastGrowth, end), mostGrowth)
		if _, err := f.WriteAt(make([]byte, grown-room), room); err != nil {
			return 0, err
		}
		j.room[j.active] = grown
	}
	if _, err := f.WriteAt(record, j.size); err != nil {
		return 0, err
	}
	if j.sync {
		if err := syncData(f); err != nil {
			return 0, fmt.Errorf("sync %s: %w", f.Name(), err)
		}
	}
	j.size = end
	j.last++
	return end, nil
}

// turn returns what the journal holds, in room when it is large enough, and has
// the commits that follow go to the other file. That one must have been emptied by
// a checkpoint.
func (j *journal) turn(room []byte) (records []byte, last uint64, err error) {
	j.mu.Lock()
	f, size, last := j.files[j.active], j.size, j.last
	if size > 0 {
		j.active, j.size = 1-j.active, 0
	}
	j.mu.Unlock()
	if records = room; int64(cap(records)) < size {
		records = make([]byte, size)
	}
	records = records[:size]
	_, err = io.ReadFull(io.NewSectionReader(f, 0, size), records)
	return records, last, err
}

// seal completes the record that a batch's writes stand in, and returns it.
func (w *writes) seal(id, seq uint64) []byte {
	length := w.buf.Len() - recordHeader
	var pad [recordAlign]byte
	w.buf.Write(pad[:(recordAlign-w.buf.Len()%recordAlign)%recordAlign])
	r := w.buf.Bytes()
	order := binary.BigEndian
	order.PutUint32(r, recordMagic)
	order.PutUint64(r[8:], id)
	order.PutUint64(r[16:], seq)
	order.PutUint32(r[24:], uint32(length))
	order.PutUint32(r[4:], record.Checksum(nil, r[8:recordHeader+length]))
	return r
}

// journalRecord is one record as it was read.
type journalRecord struct {
	id, seq uint64
	writes  []byte
	size    int // with its header, up to the next one
}

// readRecord reads the record that data begins with; ok says that there is one.
func readRecord(data []byte) (r journalRecord, ok bool) {
	order := binary.BigEndian
	if len(data) < recordHeader || order.Uint32(data) != recordMagic {
		return r, false
	}
	length := uint64(order.Uint32(data[24:]))
	if uint64(len(data)-recordHeader) < length {
		return r, false
	}
	end := recordHeader + int(length)
	if order.Uint32(data[4:]) != record.Checksum(nil, data[8:end]) {
		return r, false
	}
	size := end + (recordAlign-end%recordAlign)%recordAlign
	return journalRecord{order.Uint64(data[8:]), order.Uint64(data[16:]), data[recordHeader:end], size}, true
}

// readRun returns the records that a journal file begins with, as far as each
// follows the one before. Behind them lies what was there before the file was
// used again, and perhaps a record that was being written when the power failed:
// nobody was told OK for it. But a later record behind a damaged one means that
// something is lost that somebody relies on, and is an error.
func readRun(data []byte, id, applied uint64) (run []journalRecord, err error) {
	last := uint64(0)
	at := 0
	for at < len(data) {
		r, ok := readRecord(data[at:])
		if !ok || len(run) > 0 && r.seq != last+1 {
			break
		}
		if r.id != id {
			return nil, errors.New("it belongs to another database: one of the two was replaced")
		}
		run, last = append(run, r), r.seq
		at += r.size
	}
	for ; at < len(data); at += recordAlign {
		if r, ok := readRecord(data[at:]); ok && r.id == id && r.seq > max(last, applied) {
			return nil, fmt.Errorf("it is damaged: record %d can be read and one before it can't", r.seq)
		}
	}
	return run, nil
}

// unapplied returns the journal's records that the database lacks, in order.
func (j *journal) unapplied(applied uint64) ([]journalRecord, error) {
	var runs [2][]journalRecord
	for i, f := range j.files {
		data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<62))
		if err != nil {
			return nil, err
		}
		if runs[i], err = readRun(data, j.id, applied); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
	}
	first := func(run []journalRecord) uint64 {
		if len(run) == 0 {
			return 0
		}
		return run[0].seq
	}
	if first(runs[0]) > first(runs[1]) {
		runs[0], runs[1] = runs[1], runs[0]
	}
	var out []journalRecord
	for _, r := range append(runs[0], runs[1]...) {
		if r.seq <= applied {
			continue
		}
		if r.seq != applied+1 {
			return nil, fmt.Errorf("the journal goes on with record %d and the database ends at %d: one of the two was replaced", r.seq, applied)
		}
		out = append(out, r)
		applied = r.seq
	}
	return out, nil
}
