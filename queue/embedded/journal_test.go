package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"greenlane/queue/record"
)

// journalled returns the files of a site whose last n arrivals are in the journal
// only, and its state; and where each of their records begins and ends in which
// file.
func journalled(t *testing.T, n int) (all files, state dump, records [][3]int) {
	t.Helper()
	site, dir := testSite(), t.TempDir()
	e := open(t, dir, Options{NoSync: true, NoTimers: true, CheckpointAge: time.Hour})
	mustDo(t, e, arrive("first"))
	if err := e.checkpoint(); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		from := int(e.journal.size)
		mustDo(t, e, arrive(fmt.Sprint("c", i)))
		records = append(records, [3]int{e.journal.active, from, int(e.journal.size)})
	}
	state = dumpEngine(t, e, &site)
	all = readSite(t, dir)
	dumpRestored(t, all.write(t), site).equal(t, state, "undamaged")
	return all, state, records
}

func (f files) clone() files {
	out := files{}
	for name, data := range f {
		out[name] = bytes.Clone(data)
	}
	return out
}

func journalName(i int) string { return fmt.Sprint("main.db.journal-", i) }

func mustRefuse(t *testing.T, f files, want string) {
	t.Helper()
	dir := f.write(t)
	e, err := Open(dir, testSite(), Options{NoSync: true})
	if err == nil {
		shut(t, e)
	}
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, "main.db")) {
		t.Errorf("got %v, want it to name the file and say %q", err, want)
	}
	for name, data := range f {
		if left, _ := os.ReadFile(filepath.Join(dir, name)); strings.Contains(name, "journal") && !bytes.Equal(left, data) {
			t.Errorf("%s was changed although it was refused", name)
		}
	}
}

// Damage in the journal is found, unless it is in the very last record, which
// can't be told from one that nobody got OK for.
func TestDamagedJournal(t *testing.T) {
	t.Parallel()
	all, _, records := journalled(t, 20)
	r := rand.New(rand.NewPCG(1, 1))
	for i, rec := range records[:len(records)-1] {
		torn := all.clone()
		torn[journalName(rec[0])][rec[1]+r.IntN(rec[2]-rec[1]-recordAlign)] ^= byte(1 + r.IntN(255))
		t.Run(fmt.Sprint("record ", i), func(t *testing.T) { mustRefuse(t, torn, "it is damaged: record") })
	}
	last := records[len(records)-1]
	torn := all.clone()
	torn[journalName(last[0])][last[1]+recordHeader] ^= 1
	e := open(t, torn.write(t), Options{NoSync: true})
	if _, err := e.Call(context.Background(), "c18"); err != nil {
		t.Errorf("what stands before a torn record is lost: %v", err)
	}
	if _, err := e.Call(context.Background(), "c19"); err == nil {
		t.Error("a torn record was taken for real")
	}
	mustDo(t, e, arrive("c19"))
}

// A database and a journal that do not belong together are refused.
func TestMixedUpFiles(t *testing.T) {
	t.Parallel()
	all, _, _ := journalled(t, 5)
	other, _, _ := journalled(t, 5)
	mixed := all.clone()
	mixed["main.db"] = other["main.db"]
	mustRefuse(t, mixed, "belongs to another database")

	// The journal of a site whose database is gone is not taken up by a new one.
	delete(mixed, "main.db")
	mustRefuse(t, mixed, "belongs to another database")

	// A database from an older copy.
	site, dir := testSite(), t.TempDir()
	e := openSite(t, dir, site, Options{NoSync: true, NoTimers: true, CheckpointAge: time.Hour})
	older := readSite(t, dir)["main.db"]
	for i := range 3 {
		mustDo(t, e, arrive(fmt.Sprint("c", i)))
		if err := e.checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	mustDo(t, e, arrive("last"))
	mixed = readSite(t, dir)
	mixed["main.db"] = older
	mustRefuse(t, mixed, "one of the two was replaced")
}

// Without a journal a database is whole once it was closed.
func TestClosingLeavesOneFile(t *testing.T) {
	t.Parallel()
	dir, site := t.TempDir(), testSite()
	e := open(t, dir, Options{})
	mustDo(t, e, arrive("c1"))
	want := dumpEngine(t, e, &site)
	shut(t, e)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "main.db" {
		t.Errorf("the directory holds %v, %v", left, err)
	}
	dumpRestored(t, dir, site).equal(t, want, "after closing")
}

// A file of the version before the journal is taken up as it is.
func TestFileWithoutJournal(t *testing.T) {
	t.Parallel()
	file, state := someFile(t)
	dir, site := t.TempDir(), testSite()
	writeSite(t, dir, file)
	db, err := bbolt.Open(filepath.Join(dir, "main.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketNames[bucketMeta])
		return errors.Join(meta.Delete(keyJournal), meta.Put(keySchema, binary.BigEndian.AppendUint32(nil, versionWithoutJournal)))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	dumpRestored(t, dir, site).equal(t, state, "brought to this version")
	dumpRestored(t, dir, site).equal(t, state, "and opened again")
}

// A checkpoint that fails ends the engine; what was acknowledged is in the
// journal, whether or not the database has it too.
func TestFailingCheckpoint(t *testing.T) {
	t.Parallel()
	for name, wrap := range map[string]func(func() error) error{
		"before":       func(func() error) error { return syscall.EIO },
		"after":        func(checkpoint func() error) error { return errors.Join(checkpoint(), syscall.EIO) },
		"panic before": func(func() error) error { panic(syscall.EIO) },
		"panic after":  func(checkpoint func() error) error { _ = checkpoint(); panic(syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, site := t.TempDir(), testSite()
			failing := false
			e := open(t, dir, Options{NoTimers: true, CheckpointAge: time.Hour, WrapCheckpoint: func(checkpoint func() error) error {
				if failing {
					return wrap(checkpoint)
				}
				return checkpoint()
			}})
			mustDo(t, e, arrive("c1"))
			if err := e.checkpoint(); err != nil {
				t.Fatal(err)
			}
			mustDo(t, e, arrive("c2"))
			good := dumpEngine(t, e, &site)
			failing = true
			if err := e.checkpoint(); err == nil || !strings.Contains(err.Error(), "checkpoint") {
				t.Errorf("got %v", err)
			}
			<-e.Failed()
			if _, err := e.Do(context.Background(), arrive("c3")); err == nil {
				t.Error("it goes on")
			}
			shut(t, e)
			again := open(t, dir, Options{})
			dumpEngine(t, again, &site).equal(t, good, "after reopening")
		})
	}
}

// When checkpoints do not keep up, commits do one themselves: the journal stays
// within bounds.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	const usual = 4_000
	var e *Engine
	var most int64
	full := make(chan struct{})
	e = open(t, t.TempDir(), Options{NoSync: true, NoTimers: true, CheckpointBytes: usual, WrapCommit: func(commit func() error) error {
		err := commit()
		e.journal.mu.Lock()
		defer e.journal.mu.Unlock()
		if before := most; e.journal.size > most {
			if most = e.journal.size; before < mostJournal*usual && most >= mostJournal*usual {
				close(full)
			}
		}
		return err
	}})
	e.checkpoints.one.Lock() // the one that is under way takes its time
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 500 {
			mustDo(t, e, arrive(fmt.Sprint("c", i)))
		}
	}()
	<-full
	e.checkpoints.one.Unlock()
	<-done
	shut(t, e)
	if most > (mostJournal+1)*usual {
		t.Errorf("the journal came to %d bytes", most)
	}
}

func FuzzJournal(f *testing.F) {
	var w writes
	w.reset()
	w.delete(bucketCalls, w.number(7))
	w.delete(record.Agents, w.name("anna"))
	f.Add(bytes.Clone(w.seal(5, 1)))
	f.Add(append(bytes.Clone(w.seal(5, 1)), w.seal(5, 3)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := readRun(data, 5, 0)
		if err != nil {
			return
		}
		for _, r := range run {
			list, err := parseWrites(nil, r.writes)
			if err == nil && len(list) > len(r.writes)/writeHeader {
				t.Errorf("%d writes in %d bytes", len(list), len(r.writes))
			}
		}
	})
}
