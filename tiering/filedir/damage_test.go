package filedir

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

const (
	now = instant.Instant(1_700_000_000_000)
	li  = tiering.Number("+8613800138000")
)

func vip(n tiering.Number) tiering.Change {
	return tiering.Change{Number: n, Op: tiering.OpSet, Tier: tiering.VIP, At: now}
}

func number(i int) tiering.Number { return tiering.Number(fmt.Sprintf("+86138%08d", i)) }

// written returns a data directory with n callers in it.
func written(t *testing.T, n int) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	d := mustOpen(t, dir)
	cs := make([]tiering.Change, n)
	for i := range cs {
		cs[i] = vip(number(i))
	}
	for _, r := range d.SetBatch(context.Background(), "main", cs) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, FileName)
}

// refused opens a file that must not be opened and returns what was said.
func refused(t *testing.T, dir string, wants ...string) {
	t.Helper()
	d, err := Open(dir, Options{lockWait: time.Millisecond})
	if err == nil {
		d.Close()
		t.Fatalf("the file was opened, but should be refused with %q", wants)
	}
	for _, want := range append(wants, filepath.Join(dir, FileName)) {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(t *testing.T, path string)
		wants  []string
	}{
		"garbage": {func(t *testing.T, path string) {
			rewrite(t, path, bytes.Repeat([]byte("garbage "), 10_000))
		}, []string{"damaged or not a tier file", "restore it from a backup"}},
		"a few bytes": {func(t *testing.T, path string) {
			rewrite(t, path, []byte("x"))
		}, []string{"damaged or not a tier file"}},
		"both meta pages overwritten": {func(t *testing.T, path string) {
			overwrite(t, path, 0, bytes.Repeat([]byte{0xaa}, 8192))
		}, []string{"damaged or not a tier file"}},
		"cut off": {func(t *testing.T, path string) {
			if err := os.Truncate(path, 40_000); err != nil {
				t.Fatal(err)
			}
		}, []string{"it is cut off: 40000 of ", "restore it from a backup"}},
		"a directory": {func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, []string{"not a regular file"}},
		"another schema": {func(t *testing.T, path string) {
			inFile(t, path, func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Put(schemaKey, []byte("7")) })
		}, []string{`its schema version is "7"`, `knows only "1"`}},
		"no schema": {func(t *testing.T, path string) {
			inFile(t, path, func(tx *bolt.Tx) error { return tx.Bucket(metaBucket).Delete(schemaKey) })
		}, []string{`its schema version is ""`}},
		"somebody else's file": {func(t *testing.T, path string) {
			inFile(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(metaBucket) })
		}, []string{"not a tier file"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := written(t, 2000)
			c.damage(t, path)
			refused(t, dir, c.wants...)
		})
	}
}

func TestFileInUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir)
	defer d.Close()
	refused(t, dir, "another process is using it")
}

func TestEmptyFileIsLaidOut(t *testing.T) {
	dir := t.TempDir()
	rewrite(t, filepath.Join(dir, FileName), nil)
	if err := mustOpen(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t *testing.T, path string, at int64, content []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(content, at); err != nil {
		t.Fatal(err)
	}
}

func inFile(t *testing.T, path string, fn func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedPagesAreErrors overwrites the middle of an open file: whoever
// comes across it gets an error, not a crash, and not a wrong tier.
func TestDamagedPagesAreErrors(t *testing.T) {
	dir, path := written(t, 5000)
	d := mustOpen(t, dir)
	defer d.Close()
	var size int64
	inTx(t, d, func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	overwrite(t, path, size/2, bytes.Repeat([]byte{0x55}, 64<<10))
	faults := 0
	for i := range 5000 {
		e, known, err := d.Lookup(context.Background(), "main", number(i))
		switch {
		case errors.Is(err, tiering.ErrUnavailable) || errors.Is(err, tiering.ErrCorrupt):
			faults++
		case err != nil:
			t.Fatal(err)
		case known && e.Stored() != tiering.VIP:
			t.Fatalf("%s was VIP and is %+v", number(i), e)
		}
	}
	if faults == 0 {
		t.Fatal("the test damaged nothing")
	}
}

func inTx(t *testing.T, d *Directory, fn func(*bolt.Tx) error) {
	t.Helper()
	if err := d.db.View(fn); err != nil {
		t.Fatal(err)
	}
}

// TestQuarantine: what can't be read is kept byte for byte, and the log names
// its number masked, once.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	d, err := Open(dir, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ctx := context.Background()
	if _, err := d.Set(ctx, "main", vip(li)); err != nil {
		t.Fatal(err)
	}
	corrupt(t, d, "main", li)
	var before []byte
	inTx(t, d, func(tx *bolt.Tx) error {
		before = bytes.Clone(tx.Bucket(siteBucket("main")).Get([]byte(li)))
		return nil
	})
	for range 2 {
		_, _, _ = d.Lookup(ctx, "main", li)
	}
	if n, err := d.Quarantined(ctx); n != 1 || err != nil {
		t.Fatalf("%d values are set aside, %v", n, err)
	}
	inTx(t, d, func(tx *bolt.Tx) error {
		key, value := tx.Bucket(quarantineBucket).Cursor().First()
		if !bytes.HasPrefix(key, []byte("main\x00"+string(li)+"\x00")) || !bytes.Equal(value, before) {
			t.Errorf("%q is set aside as %q under %q", before, value, key)
		}
		return nil
	})
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, li.Masked()) || strings.Contains(text, string(li)) {
		t.Errorf("the log says %q", text)
	}
}

// TestFailedWriteEndsWriting: after a write that failed nothing is acknowledged
// any more, and what was acknowledged before is still read.
func TestFailedWriteEndsWriting(t *testing.T) {
	dir := t.TempDir()
	var file *os.File
	d, err := Open(dir, Options{openFile: func(name string, flag int, mode fs.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if _, err := d.Set(ctx, "main", vip(li)); err != nil {
		t.Fatal(err)
	}
	file.Close() // every later write fails
	for i := range 2 {
		_, err := d.Set(ctx, "main", vip(number(i)))
		if !errors.Is(err, tiering.ErrUnavailable) || !strings.Contains(err.Error(), "nothing more is written") {
			t.Fatalf("on a file that can't be written: %v", err)
		}
	}
	if e, known, err := d.Lookup(ctx, "main", li); err != nil || !known || e.Stored() != tiering.VIP {
		t.Fatalf("%+v, %v, %v", e, known, err)
	}
	if _, known, err := d.Lookup(ctx, "main", number(0)); err != nil || known {
		t.Fatalf("what was not acknowledged is found: %v, %v", known, err)
	}
	_ = d.Close() // the file is closed already
}

const childEnv = "GREENLANE_FILEDIR_CHILD"

// TestKilledWhileWriting kills a process that writes, at several moments, and
// finds everything that had been acknowledged.
func TestKilledWhileWriting(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		writeForever(t, dir)
		return
	}
	dir, acknowledged := t.TempDir(), 0
	for _, more := range []int{1, 17, 60} {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledWhileWriting$")
		child.Env = append(os.Environ(), childEnv+"="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for until := acknowledged + more; acknowledged < until && lines.Scan(); {
			if _, err := fmt.Sscanf(lines.Text(), "ok %d", &acknowledged); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it had acknowledged before it died counts too
			_, _ = fmt.Sscanf(lines.Text(), "ok %d", &acknowledged)
		}
		_ = child.Wait()
		d := mustOpen(t, dir)
		for i := 1; i <= acknowledged; i++ {
			if e, known, err := d.Lookup(context.Background(), "main", number(i)); err != nil || !known || e.Stored() != tiering.VIP {
				t.Fatalf("%d of %d acknowledged changes: %+v, %v, %v", i, acknowledged, e, known, err)
			}
		}
		counts, err := d.Count(context.Background(), "main")
		if n := counts[tiering.VIP]; err != nil || n != int64(acknowledged) && n != int64(acknowledged)+1 {
			t.Fatalf("%d changes were acknowledged, the count is %d, %v", acknowledged, n, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// writeForever goes on where the file's count ends.
func writeForever(t *testing.T, dir string) {
	d := mustOpen(t, dir)
	counts, err := d.Count(context.Background(), "main")
	if err != nil {
		t.Fatal(err)
	}
	for i := int(counts[tiering.VIP]) + 1; ; i++ {
		if _, err := d.Set(context.Background(), "main", vip(number(i))); err != nil {
			t.Fatal(err)
		}
		fmt.Println("ok", i)
	}
}
