package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// written makes a signed record of two files, and returns its lines, file by file.
func written(t testing.TB) (dir string, key *Key, files [][][]byte) {
	t.Helper()
	dir, key = t.TempDir(), testKey(t, 0)
	l := openLog(t, Options{Dir: dir, Key: key, CheckpointEvery: 6, MaxSize: 3500, Start: Record{Action: ActionStart}, Stop: Record{Action: ActionStop}})
	for range 9 {
		change(t, l, "tier.set", "OK")
	}
	closeLog(t, l)
	for n := 1; exists(filepath.Join(dir, nameOf(n))); n++ {
		text, err := os.ReadFile(filepath.Join(dir, nameOf(n)))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.Collect(bytes.Lines(text)))
	}
	if len(files) != 2 {
		t.Fatalf("%d files, want 2", len(files))
	}
	return dir, key, files
}

func put(t testing.TB, dir string, number int, lines [][]byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, nameOf(number)), bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheFirstBrokenLineIsNamed(t *testing.T) {
	swap := func(a, b int) func([][]byte) [][]byte {
		return func(l [][]byte) [][]byte { l[a], l[b] = l[b], l[a]; return l }
	}
	replace := func(at int, old, with string) func([][]byte) [][]byte {
		return func(l [][]byte) [][]byte {
			l[at] = bytes.Replace(l[at], []byte(old), []byte(with), 1)
			return l
		}
	}
	for _, c := range []struct {
		name   string
		file   int // index
		tamper func(l [][]byte) [][]byte
		line   int
		kind   string
	}{
		{"a name changed", 0, replace(3, "alice", "alicf"), 4, FaultChanged},
		{"a seq changed", 0, replace(3, `"seq":4`, `"seq":9`), 4, FaultChanged},
		{"a seq changed to a lower one", 0, replace(3, `"seq":4`, `"seq":1`), 4, FaultChanged},
		{"a hash changed", 0, func(l [][]byte) [][]byte {
			at := len(l[3]) - 10
			l[3][at] = '0' + ('1'-l[3][at])&1
			return l
		}, 4, FaultChanged},
		{"one removed", 0, func(l [][]byte) [][]byte { return slices.Delete(l, 3, 4) }, 4, FaultRemoved},
		{"several removed", 0, func(l [][]byte) [][]byte { return slices.Delete(l, 2, 6) }, 3, FaultRemoved},
		{"the first removed", 0, func(l [][]byte) [][]byte { return l[1:] }, 1, FaultRemoved},
		{"neighbours changed places", 0, swap(3, 4), 4, FaultReordered},
		{"two changed places", 0, swap(2, 7), 3, FaultReordered},
		{"one copied", 0, func(l [][]byte) [][]byte { return slices.Insert(l, 5, bytes.Clone(l[2])) }, 6, FaultInserted},
		{"one put in with the number that comes next", 0, func(l [][]byte) [][]byte {
			more := bytes.Replace(l[3], []byte("alice"), []byte("malle"), 1)
			return slices.Insert(l, 3, more)
		}, 4, FaultInserted},
		{"the end of the first file cut off", 0, func(l [][]byte) [][]byte { return l[:len(l)-2] }, 1, FaultRemoved},
		{"a line of nothing", 0, func(l [][]byte) [][]byte { return slices.Insert(l, 2, []byte("\n")) }, 3, FaultUnreadable},
		{"cut within the last line", 1, func(l [][]byte) [][]byte {
			last := len(l) - 1
			l[last] = l[last][:20]
			return l
		}, -1, FaultCutOff},
		{"an empty file", 1, func([][]byte) [][]byte { return nil }, 0, FaultCutOff},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, key, files := written(t)
			lines := c.tamper(files[c.file])
			put(t, dir, c.file+1, lines)
			name, line := nameOf(c.file+1), c.line
			if c.name == "the end of the first file cut off" {
				name = nameOf(2)
			}
			if line < 0 {
				line = len(lines)
			}
			f := verify(t, dir, Verification{Keys: []*Key{public(key)}}).Fault
			if f == nil || f.Kind != c.kind || f.Line != line || f.File != name {
				t.Errorf("%v; want %s at %s:%d", f, c.kind, name, line)
			}
		})
	}
}

func TestAFileRemovedOrSwapped(t *testing.T) {
	dir, _, files := written(t)
	put(t, dir, 3, files[1])
	if f := verify(t, dir, Verification{}).Fault; f == nil || f.File != nameOf(3) || f.Kind != FaultReordered {
		t.Errorf("a file copied: %v", f)
	}
	os.Remove(filepath.Join(dir, nameOf(3)))
	os.Remove(filepath.Join(dir, nameOf(1)))
	if f := verify(t, dir, Verification{}).Fault; f == nil || f.Kind != FaultRemoved {
		t.Errorf("the first file removed: %v", f)
	}
}

// TestATailCutOff: a chain cut at a record's end is a chain, so only a head that
// was kept elsewhere shows that there was more.
func TestATailCutOff(t *testing.T) {
	dir, key, files := written(t)
	head, err := HeadOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, dir, Verification{Head: &head})
	put(t, dir, 2, files[1][:2])
	if r := sound(t, dir, Verification{}); r.Stopped {
		t.Error("a record that lacks its end says that its daemon stopped")
	}
	if f := verify(t, dir, Verification{Keys: []*Key{key}, Head: &head}).Fault; f == nil || f.Kind != FaultCutOff {
		t.Errorf("%v", f)
	}
	other := Head{Seq: 3, Hash: head.Hash}
	if f := verify(t, dir, Verification{Head: &other}).Fault; f == nil || f.Kind != FaultChanged {
		t.Errorf("another head: %v", f)
	}
}

// TestAChainWrittenAnewIsNotSigned: whoever can write the files can make a chain
// that holds together, but not one that is signed.
func TestAChainWrittenAnewIsNotSigned(t *testing.T) {
	for name, forger := range map[string]*Key{"without a key": nil, "with another key": testKey(t, 7)} {
		dir := t.TempDir()
		l := openLog(t, Options{Dir: dir, Key: forger})
		change(t, l, "tier.set", "OK")
		closeLog(t, l)
		sound(t, dir, Verification{})
		if f := verify(t, dir, Verification{Keys: []*Key{testKey(t, 0)}}).Fault; f == nil || f.Kind != FaultSignature {
			t.Errorf("%s: %v", name, f)
		}
	}
	// Or the forger copies a signature.
	_, key, files := written(t)
	at := slices.IndexFunc(files[0], func(l []byte) bool { return bytes.Contains(l, []byte(`"sign":`)) })
	l, err := parseLine(bytes.TrimSpace(files[0][at]))
	if err != nil {
		t.Fatal(err)
	}
	if !key.verifies(l.rec.Sign, chainOf(t, files), l.rec.Seq, hashOf(t, files[0][at-1])) {
		t.Error("the signature is not good where it stands")
	}
	if key.verifies(l.rec.Sign, chainOf(t, files), l.rec.Seq+1, hashOf(t, files[0][at-1])) || key.verifies(l.rec.Sign, "x", l.rec.Seq, hashOf(t, files[0][at-1])) {
		t.Error("the signature is good elsewhere, too")
	}
}

func chainOf(t *testing.T, files [][][]byte) string {
	t.Helper()
	l, err := parseLine(bytes.TrimSpace(files[0][0]))
	if err != nil {
		t.Fatal(err)
	}
	return l.rec.File.Chain
}

func hashOf(t *testing.T, text []byte) Hash {
	t.Helper()
	l, err := parseLine(bytes.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return l.hash
}

// TestNoByteCanBeChanged changes, removes or puts in bytes anywhere: the verifier
// always finds it, at the line where it is or the one after it.
func TestNoByteCanBeChanged(t *testing.T) {
	dir, key, files := written(t)
	var whole [2][]byte
	for i := range files {
		whole[i] = bytes.Join(files[i], nil)
	}
	rapid.Check(t, func(rt *rapid.T) {
		i := rapid.IntRange(0, 1).Draw(rt, "file")
		text := bytes.Clone(whole[i])
		at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
		switch rapid.SampledFrom([]string{"change", "remove", "insert", "cut"}).Draw(rt, "how") {
		case "change":
			old := text[at]
			text[at] = rapid.Byte().Filter(func(b byte) bool { return b != old }).Draw(rt, "byte")
		case "remove":
			text = slices.Delete(text, at, at+1)
		case "insert":
			text = slices.Insert(text, at, rapid.Byte().Draw(rt, "byte"))
		case "cut":
			if at == 0 || text[at-1] == '\n' {
				return // At a record's end it is TestATailCutOff's.
			}
			text = text[:at]
		}
		if bytes.Equal(text, whole[i]) {
			return
		}
		put(t, dir, i+1, [][]byte{text})
		r, err := Verify(dir, Verification{Keys: []*Key{key}})
		put(t, dir, i+1, [][]byte{whole[i]})
		if err != nil {
			rt.Fatal(err)
		}
		line := bytes.Count(whole[i][:at], []byte("\n")) + 1
		if r.Fault == nil {
			rt.Fatalf("byte %d of file %d was tampered with, in line %d, and nothing was found", at, i+1, line)
		}
		if r.Fault.File == nameOf(i+1) && r.Fault.Line != line && r.Fault.Line != line+1 {
			rt.Fatalf("line %d was tampered with, and the fault is %v", line, r.Fault)
		}
	})
	sound(t, dir, Verification{Keys: []*Key{key}})
}
