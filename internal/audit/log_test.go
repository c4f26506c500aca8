package audit

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"greenlane/tiering"
)

func testKey(t testing.TB, seed byte) *Key {
	t.Helper()
	k, err := NewKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k *Key) *Key { return &Key{public: k.public} }

func openLog(t testing.TB, opts Options) *Log {
	t.Helper()
	l, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// change makes one change that ends with code.
func change(t testing.TB, l *Log, action, code string) {
	t.Helper()
	c := l.Begin(Record{Action: action, Site: "main", Who: &Who{Name: "alice"}})
	if err := c.Durable(); err != nil {
		t.Fatal(err)
	}
	if err := c.End(code, nil, map[string]string{"tier": "vip"}); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, path string, v Verification) *Report {
	t.Helper()
	r, err := Verify(path, v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sound fails the test unless the record verifies.
func sound(t testing.TB, path string, v Verification) *Report {
	t.Helper()
	r := verify(t, path, v)
	if r.Fault != nil {
		t.Fatalf("the record has a fault: %v", r.Fault)
	}
	return r
}

func entries(t testing.TB, path string, f Filter) (out []*Entry) {
	t.Helper()
	if err := Read(path, f, func(e *Entry) error { out = append(out, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAChangeIsReadBackWithItsOutcome(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, Options{Dir: dir, Start: Record{Action: ActionStart}, Stop: Record{Action: ActionStop}})
	masked, keyed := l.Caller("main", "+8613800138000")
	c := l.Begin(Record{
		Action: "tier.set", Site: "main", Who: &Who{Name: "alice", Roles: "back-office", By: "token", Peer: "192.0.2.1:7"},
		Object: &Object{Caller: masked, CallerKey: keyed}, Want: map[string]string{"tier": "vip"}, RequestID: "r1",
	})
	if err := c.Durable(); err != nil {
		t.Fatal(err)
	}
	if err := c.End("OK", map[string]string{"tier": "mid"}, map[string]string{"tier": "vip"}); err != nil {
		t.Fatal(err)
	}
	pending := l.Begin(Record{Action: "call.move"})
	if err := pending.Durable(); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	closeLog(t, l)
	if err := l.Note(Record{Action: "late"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a record after the end: %v", err)
	}
	if r := sound(t, dir, Verification{}); r.Records != 6 || r.Open != 1 || !r.Stopped || r.Running || r.Head != l.Head() {
		t.Errorf("%+v", r)
	}
	got := entries(t, dir, Filter{})
	if len(got) != 4 || got[0].Action != ActionStart || got[2].Action != ActionStop {
		t.Fatalf("%d entries", len(got))
	}
	e := got[1]
	if e.Code() != "OK" || e.Outcome.Before["tier"] != "mid" || e.Object.Caller != "+86*******8000" || e.Object.CallerKey != "" || e.Time().IsZero() {
		t.Errorf("%+v", e)
	}
	if got[3].Code() != "unknown" {
		t.Errorf("a change without an outcome reads %q", got[3].Code())
	}
	if h, err := HeadOf(dir); err != nil || h != l.Head() {
		t.Errorf("head %v, %v; want %v", h, err, l.Head())
	}
	if parsed, err := ParseHead(l.Head().String()); err != nil || parsed != l.Head() {
		t.Errorf("the head reads back as %v, %v", parsed, err)
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, nameOf(1)): 0o600, filepath.Join(dir, lockName): 0o600} {
		if info, err := os.Stat(path); err != nil || path != dir && info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}

func TestNilRecordsNothing(t *testing.T) {
	var l *Log
	c := l.Begin(Record{})
	masked, _ := l.Caller("main", "+8613800138000")
	if err := errors.Join(c.Durable(), c.End("OK", nil, nil), l.Note(Record{}), l.Close()); err != nil || masked != "" {
		t.Error(err, masked)
	}
}

func TestTheChainGoesOnOverRestartsAndFiles(t *testing.T) {
	dir, key := t.TempDir(), testKey(t, 0)
	for range 3 {
		l := openLog(t, Options{Dir: dir, Key: key, CheckpointEvery: 5, MaxSize: 2000, Start: Record{Action: ActionStart}, Stop: Record{Action: ActionStop}})
		for range 10 {
			change(t, l, "tier.set", "OK")
		}
		closeLog(t, l)
	}
	r := sound(t, dir, Verification{Keys: []*Key{public(key)}})
	if r.Files < 4 || r.Records < 60 || r.Open != 0 || r.Signed < 12 || r.Unsigned != 0 || !r.Stopped {
		t.Errorf("%+v", r)
	}
	numbers, _ := Files(dir)
	for _, n := range numbers { // Each file can be checked alone, with what it says is before it.
		sound(t, filepath.Join(dir, nameOf(n)), Verification{})
	}
}

func TestOnlyOneWriterToADirectory(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second writer: %v", err)
	}
	if !verify(t, dir, Verification{}).Running {
		t.Error("the verifier does not see the daemon that writes")
	}
	closeLog(t, l)
	closeLog(t, openLog(t, Options{Dir: dir}))
}

func TestAHalfWrittenEndIsTakenOffAndTold(t *testing.T) {
	for name, end := range map[string]string{"half a record": `{"seq":99,"at":"20`, "zeros": strings.Repeat("\x00", 5000), "one byte": "{"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l := openLog(t, Options{Dir: dir})
			change(t, l, "tier.set", "OK")
			closeLog(t, l)
			appendTo(t, filepath.Join(dir, nameOf(1)), end)
			if f := verify(t, dir, Verification{}).Fault; f == nil || f.Kind != FaultCutOff || f.Line != 4 {
				t.Errorf("before the start: %v", f)
			}
			l = openLog(t, Options{Dir: dir})
			change(t, l, "tier.set", "OK")
			closeLog(t, l)
			sound(t, dir, Verification{})
			got := entries(t, dir, Filter{Action: ActionRecovered})
			if len(got) != 1 || got[0].Detail["bytes"] != fmt.Sprint(len(end)) {
				t.Errorf("%d records tell of it", len(got))
			}
		})
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func TestAFileWhoseBeginningWasNotWrittenIsMadeAnew(t *testing.T) {
	for _, text := range []string{"", `{"seq":4,"at"`} {
		dir := t.TempDir()
		l := openLog(t, Options{Dir: dir})
		change(t, l, "tier.set", "OK")
		closeLog(t, l)
		if err := os.WriteFile(filepath.Join(dir, nameOf(2)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l = openLog(t, Options{Dir: dir})
		change(t, l, "tier.set", "OK")
		closeLog(t, l)
		if r := sound(t, dir, Verification{}); r.Files != 1 {
			t.Errorf("%d files", r.Files)
		}
	}
}

func TestADaemonStartsAfterItsRecordWasChanged(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, Options{Dir: dir})
	change(t, l, "tier.set", "OK")
	closeLog(t, l)
	path := filepath.Join(dir, nameOf(1))
	text, _ := os.ReadFile(path)
	os.WriteFile(path, []byte(strings.Replace(string(text), "alice", "malle", 1)), 0o600)
	var log strings.Builder
	l = openLog(t, Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	change(t, l, "tier.set", "OK")
	closeLog(t, l)
	if got := entries(t, dir, Filter{Action: ActionDamaged}); len(got) != 1 || !strings.Contains(log.String(), "changed by somebody else") {
		t.Errorf("%d records tell of it, and the log says %q", len(got), log.String())
	}
	if f := verify(t, dir, Verification{}).Fault; f == nil || f.File != nameOf(1) || f.Line != 2 {
		t.Errorf("the fault is %v", f)
	}
	sound(t, filepath.Join(dir, nameOf(2)), Verification{})
}

func TestOldFilesAreRemovedAndTheirAbsenceIsExplained(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	l := openLog(t, Options{Dir: dir, MaxAge: day, Keep: 3 * day, Now: func() time.Time { return now }})
	for range 10 {
		change(t, l, "tier.set", "OK")
		now = now.Add(day)
	}
	closeLog(t, l)
	numbers, _ := Files(dir)
	if len(numbers) < 3 || len(numbers) > 5 || numbers[0] == 1 {
		t.Fatalf("files %v are left", numbers)
	}
	if r := sound(t, dir, Verification{}); !r.Trimmed {
		t.Errorf("%+v", r)
	}
	if err := os.Remove(filepath.Join(dir, nameOf(numbers[0]))); err != nil {
		t.Fatal(err)
	}
	if f := verify(t, dir, Verification{}).Fault; f == nil || f.Kind != FaultRemoved {
		t.Errorf("a file that somebody else removed: %v", f)
	}
}

// disk is a file on a disk that can be full or failing.
type disk struct {
	file
	mu    sync.Mutex
	room  int // bytes until it is full; -1: no limit
	sync  error
	trunc error
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.room < 0 || len(p) <= d.room {
		return d.file.Write(p)
	}
	n, _ := d.file.Write(p[:d.room])
	d.room = 0
	return n, syscall.ENOSPC
}

func (d *disk) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sync != nil {
		return d.sync
	}
	return d.file.Sync()
}

func (d *disk) Truncate(n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trunc != nil {
		return d.trunc
	}
	return d.file.Truncate(n)
}

func (d *disk) set(room int, sync, trunc error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room, d.sync, d.trunc = room, sync, trunc
}

func onDisk(t *testing.T, dir string) (*Log, *disk) {
	d := &disk{room: -1}
	return openLog(t, Options{Dir: dir, open: func(path string, fresh bool) (file, error) {
		f, err := openFile(path, fresh)
		d.file = f
		return d, err
	}}), d
}

func TestNoChangeWhileTheDiskFails(t *testing.T) {
	eio := errors.New("input/output error")
	for name, fail := range map[string]func(*disk){
		"full":                   func(d *disk) { d.set(100, nil, nil) },
		"fsync fails":            func(d *disk) { d.set(-1, eio, nil) },
		"full, and can't be cut": func(d *disk) { d.set(100, nil, eio) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, d := onDisk(t, dir)
			change(t, l, "tier.set", "OK")
			fail(d)
			for range 3 {
				if err := l.Begin(Record{Action: "refused"}).Durable(); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("an intent that is not on disk: %v", err)
				}
			}
			d.set(-1, nil, nil) // There is room again.
			change(t, l, "tier.set", "OK")
			if s := l.Stats(); s.Failures != 3 || s.Records != 5 {
				t.Errorf("%+v", s)
			}
			closeLog(t, l)
			sound(t, dir, Verification{})
			if got := entries(t, dir, Filter{Action: "refused"}); len(got) != 0 {
				t.Errorf("%d refused intents are in the record", len(got))
			}
		})
	}
}

func TestAnOutcomeThatCannotBeWrittenIsUnknown(t *testing.T) {
	dir := t.TempDir()
	l, d := onDisk(t, dir)
	c := l.Begin(Record{Action: "tier.set"})
	if err := c.Durable(); err != nil {
		t.Fatal(err)
	}
	d.set(0, nil, nil)
	if err := c.End("OK", nil, nil); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("an outcome that is not on disk: %v", err)
	}
	d.set(-1, nil, nil)
	closeLog(t, l)
	if got := entries(t, dir, Filter{}); len(got) != 1 || got[0].Code() != "unknown" {
		t.Errorf("%+v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	dir, key := t.TempDir(), testKey(t, 0)
	l := openLog(t, Options{Dir: dir, Key: key, MaxSize: 20_000})
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			for j := range 20 {
				change(t, l, fmt.Sprintf("a%d.b%d", i, j), "OK")
			}
		})
	}
	work.Wait()
	closeLog(t, l)
	if r := sound(t, dir, Verification{Keys: []*Key{key}}); r.Open != 0 || r.Files < 2 {
		t.Errorf("%+v", r)
	}
	seen := map[string]bool{}
	for _, e := range entries(t, dir, Filter{}) {
		if e.Code() != "OK" || seen[e.Action] {
			t.Errorf("%s: %s", e.Action, e.Code())
		}
		seen[e.Action] = true
	}
	if len(seen) != 400 {
		t.Errorf("%d changes are in the record", len(seen))
	}
}

func TestWhatNobodyFollowsIsSignedAfterAWhile(t *testing.T) {
	dir, key := t.TempDir(), testKey(t, 0)
	synctest.Test(t, func(t *testing.T) {
		l, err := Open(Options{Dir: dir, Key: key, CheckpointAfter: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		change(t, l, "tier.set", "OK")
		before := l.Head()
		time.Sleep(3 * time.Minute) // the bubble's clock
		synctest.Wait()
		if after := l.Head(); after.Seq != before.Seq+1 {
			t.Errorf("the head went from %v to %v", before, after)
		}
		closeLog(t, l)
	})
	if r := sound(t, dir, Verification{Keys: []*Key{key}}); r.Unsigned != 0 {
		t.Errorf("%+v", r)
	}
}

func TestCallersAreKeyed(t *testing.T) {
	a, b := testKey(t, 0), testKey(t, 1)
	const n = tiering.Number("+8613800138000")
	masked, keyed := a.Caller("main", n)
	_, again := a.Caller("main", n)
	_, elsewhere := a.Caller("other", n)
	_, other := b.Caller("main", n)
	_, none := public(a).Caller("main", n)
	if masked != "+86*******8000" || keyed != again || len(keyed) != 22 || keyed == elsewhere || keyed == other || none != "" {
		t.Error(masked, keyed, again, elsewhere, other, none)
	}
	if m, k := a.Caller("main", tiering.Withheld); m != "" || k != "" {
		t.Error(m, k)
	}
	if _, err := Open(Options{Dir: t.TempDir(), Key: public(a)}); !errors.Is(err, ErrPublic) {
		t.Errorf("a public key to sign with: %v", err)
	}
}
