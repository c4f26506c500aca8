package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"greenlane/queue/record"
)

// someFile returns a file with something of every kind in it, and its state.
func someFile(t testing.TB) (file []byte, state dump) {
	t.Helper()
	clock, site, dir := newTestClock(), testSite(), t.TempDir()
	e := open(t, dir, Options{Now: clock.Now, NoSync: true})
	g := newRandom(5, clock)
	for range 600 {
		g.do(t, e, g.next())
	}
	shut(t, e)
	return image(t, dir), dumpRestored(t, dir, site)
}

func TestDamagedFileIsRefused(t *testing.T) {
	t.Parallel()
	file, _ := someFile(t)
	used := len(file)
	garbage := func(from, to int) []byte {
		out := bytes.Clone(file)
		r := rand.New(rand.NewPCG(1, 1))
		for i := from; i < to; i++ {
			out[i] = byte(r.Uint32())
		}
		return out
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "no Greenlane database"},
		"a few bytes":    {[]byte("hello"), "no Greenlane database"},
		"another format": {bytes.Repeat([]byte("SQLite format 3\x00"), 4096), "no Greenlane database"},
		"one page":       {file[:4096], "truncated"},
		"half":           {file[:used/2], "truncated"},
		"one byte short": {file[:used-1], "truncated"},
		"no beginning":   {garbage(0, 8192), "its beginning is damaged"},
		"garbage pages":  {garbage(8192, used), "main.db"},
	} {
		dir := t.TempDir()
		writeSite(t, dir, c.data)
		_, err := Open(dir, testSite(), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Join(dir, "main.db")) {
			t.Errorf("%s: %v, want it to name the file and say %q", name, err, c.want)
			continue
		}
		if left, _ := os.ReadFile(filepath.Join(dir, "main.db")); !bytes.Equal(left, c.data) {
			t.Errorf("%s: the refused file was changed", name)
		}
	}
}

// A flipped byte is found, or it stood where nothing is kept: in neither case
// does the engine serve another state than the one that was written.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	file, state := someFile(t)
	const begin = 2 * 4096
	r := rand.New(rand.NewPCG(2, 2))
	refused := 0
	for range 150 {
		data := bytes.Clone(file)
		at := begin + r.IntN(len(file)-begin)
		data[at] ^= byte(1 + r.IntN(255))
		got, err := restoreBytes(t, data)
		if err != nil {
			refused++
			continue
		}
		for k, v := range got {
			if want, ok := state[k]; !ok || want != v {
				t.Errorf("byte %d: %s was taken for real", at, keyText(k))
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was found")
	}
}

// restoreBytes opens a file with these contents without serving it.
func restoreBytes(t testing.TB, data []byte) (dump, error) {
	dir, site := t.TempDir(), testSite()
	writeSite(t, dir, data)
	opts, _ := Options{NoSync: true}.withDefaults()
	s, err := openStore(dir, "main", &opts)
	if err != nil {
		return nil, err
	}
	defer s.close()
	st, _, err := s.load()
	if err != nil {
		return nil, err
	}
	return dumpState(t, &site, st), nil
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	change := func(f func(tx *bbolt.Tx) error) string {
		dir := t.TempDir()
		shut(t, open(t, dir, Options{}))
		db, err := bbolt.Open(filepath.Join(dir, "main.db"), 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Update(f); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	metaBucket := func(tx *bbolt.Tx) *bbolt.Bucket { return tx.Bucket(bucketNames[bucketMeta]) }
	put := func(bucket bucketID, key, record any) func(tx *bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			var w writes
			from := w.number(key.(uint64))
			if err := w.put(bucket, from, record); err != nil {
				return err
			}
			op := parsed(t, &w)[0]
			return op.apply(op.in(tx))
		}
	}
	for want, f := range map[string]func(tx *bbolt.Tx) error{
		fmt.Sprintf("schema version %d and this program knows version %d", schemaVersion+1, schemaVersion): func(tx *bbolt.Tx) error {
			return metaBucket(tx).Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaVersion+1))
		},
		"has no schema version":            func(tx *bbolt.Tx) error { return metaBucket(tx).Delete(keySchema) },
		`belongs to site "other"`:          func(tx *bbolt.Tx) error { return metaBucket(tx).Put(keySite, []byte("other")) },
		"is no Greenlane database":         func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketNames[bucketMeta]) },
		"bucket agents is missing":         func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketNames[record.Agents]) },
		"event log: it ends at":            put(bucketEvents, uint64(9), struct{}{}),
		"unknown field":                    put(bucketCalls, uint64(1), map[int]string{999: "of a later version"}),
		"calls 0000000000000002: damaged:": func(tx *bbolt.Tx) error { return tx.Bucket(bucketNames[bucketCalls]).Put(numberKey(2), []byte("xyz")) },
	} {
		dir := change(f)
		if _, err := Open(dir, testSite(), Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("got %v, want it to name the file and say %q", err, want)
		}
	}
}

// The file appears whole or not at all.
func TestInterruptedCreation(t *testing.T) {
	t.Parallel()
	for name, draft := range map[string][]byte{"empty": {}, "torn": bytes.Repeat([]byte{7}, 5000)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.db.new"), draft, 0o600); err != nil {
			t.Fatal(err)
		}
		e := open(t, dir, Options{})
		mustDo(t, e, arrive("c1"))
		shut(t, e)
		if _, err := os.Stat(filepath.Join(dir, "main.db.new")); !os.IsNotExist(err) {
			t.Errorf("%s: the draft is still there: %v", name, err)
		}
	}
}

// A file of the journal that is gone held what was acknowledged, or may have: the
// engine does not start as if nothing had been there. An operator who knows puts an
// empty file in its place.
func TestAMissingJournalIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := open(t, dir, Options{CheckpointAge: time.Hour})
	mustDo(t, e, arrive("c1"))
	left := readSite(t, dir) // as kill -9 leaves them
	shut(t, e)
	for _, path := range journalPaths("main.db") {
		killed := maps.Clone(left)
		delete(killed, path)
		dir := killed.write(t)
		_, err := Open(dir, testSite(), Options{})
		if err == nil || !strings.Contains(err.Error(), "the journal lacks "+filepath.Join(dir, path)+",") {
			t.Errorf("without %s: %v", path, err)
		}
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil {
			t.Errorf("%s was made by the start that missed it", path)
		}
		killed[path] = nil
		shut(t, open(t, killed.write(t), Options{}))
	}
	// A clean stop leaves none, and none is missed.
	shut(t, open(t, dir, Options{}))
}
