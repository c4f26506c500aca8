package embedded

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/queue"
	"greenlane/queue/record"
	"greenlane/tiering"
)

const canary = tiering.Number("+8613912345678")

// pushCanary leaves a number in every kind of record that can have one.
func pushCanary(t testing.TB, e *Engine, clock *testClock) {
	t.Helper()
	number := string(canary)
	arrive := func(id string, tier tiering.Tier) *queue.Arrive {
		return &queue.Arrive{
			Request: queue.Request{ID: "r-" + id, Print: 1}, Call: id, Switch: "sw", Caller: canary, Tier: tier,
			Attributes: []queue.Attribute{{Key: "ani", Value: number}},
		}
	}
	mustDo(t, e, arrive("waits", tiering.VIP))
	mustDo(t, e, arrive("gone", tiering.Mid))
	clock.move(10 * time.Second)
	mustDo(t, e, &queue.Abandon{Request: queue.Request{ID: "r-gone"}, Call: "gone", Switch: "sw"})
	mustDo(t, e, &queue.SignIn{Agent: "anna", WrapUp: -1, Services: []queue.Service{{Queue: "default", Level: 1}}})
	mustDo(t, e, &queue.Attach{Request: queue.Request{ID: "r-attach"}, Agent: "anna", Owner: "d", Token: "t", Presence: queue.PresentStream})
	mustDo(t, e, &queue.CreateCallback{Request: queue.Request{ID: "r-back"}, Caller: canary, Queue: "billing", Note: "ring " + number})
}

// spellings are the ways in which a number may lie about.
func spellings(n tiering.Number) []string {
	national := strings.TrimPrefix(string(n), "+86")
	return []string{string(n), strings.TrimPrefix(string(n), "+"), national, national[:3] + " " + national[3:7] + " " + national[7:]}
}

// mustNotHold looks for the number in the database and its journal.
func mustNotHold(t testing.TB, path string, n tiering.Number) {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range spellings(n) {
			if bytes.Contains(data, []byte(s)) {
				t.Errorf("%s holds %q", filepath.Base(file), s)
			}
		}
	}
}

// mustKnow checks that the number is where it belongs.
func mustKnow(t testing.TB, e *Engine, n tiering.Number) {
	t.Helper()
	calls, _, err := e.Calls(t.Context(), queue.CallFilter{Caller: n})
	if err != nil || len(calls) != 2 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	backs, _, err := e.Callbacks(t.Context(), queue.CallbackFilter{Caller: n})
	if err != nil || len(backs) != 2 {
		t.Fatalf("%d callbacks, %v", len(backs), err)
	}
	if res := mustDo(t, e, &queue.Abandon{Request: queue.Request{ID: "r-gone"}, Call: "gone", Switch: "sw"}); !res.Duplicate || res.Call.Caller != n {
		t.Errorf("the first answer came back as %+v", res)
	}
}

func TestASealedFileHoldsNoNumber(t *testing.T) {
	t.Parallel()
	clock, dir := newTestClock(), t.TempDir()
	path := filepath.Join(dir, "main.db")
	opts := Options{Now: clock.Now, NoSync: true, Keys: sealtest.Keys(t, 1, "k1")}
	e := open(t, dir, opts)
	pushCanary(t, e, clock)
	mustNotHold(t, path, canary)
	shut(t, e)
	e = open(t, dir, opts)
	mustKnow(t, e, canary)
	events, err := e.Events(t.Context(), 0, 0)
	if err != nil || len(events) == 0 {
		t.Fatal(events, err)
	}
	shut(t, e)
	mustNotHold(t, path, canary)

	// Without the key, with another one, and with another one of that name.
	for _, c := range []struct {
		keys *seal.Keys
		want string
	}{{nil, "privacy.keys must name the keys k1"}, {sealtest.Keys(t, 1, "k2"), `"k1" is missing`}} {
		_, err := Open(dir, testSite(), Options{Now: clock.Now, NoSync: true, Keys: c.keys})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	e = open(t, dir, opts)
	mustKnow(t, e, canary)
}

func TestAPlainFileIsSealedWhenItIsOpenedWithAKey(t *testing.T) {
	t.Parallel()
	clock, dir := newTestClock(), t.TempDir()
	path := filepath.Join(dir, "main.db")
	e := open(t, dir, Options{Now: clock.Now, NoSync: true})
	pushCanary(t, e, clock)
	shut(t, e)
	if data := image(t, dir); !bytes.Contains(data, []byte(canary)) {
		t.Fatal("the plain file does not hold the number: this test proves nothing")
	}
	if err := os.WriteFile(path+".rewrite", []byte("left by a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	e = open(t, dir, Options{Now: clock.Now, NoSync: true, Keys: sealtest.Keys(t, 1, "k1")})
	mustKnow(t, e, canary)
	shut(t, e)
	mustNotHold(t, path, canary)
	if _, err := os.Stat(path + ".rewrite"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the draft is left: %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	clock, dir := newTestClock(), t.TempDir()
	keys := func(ids ...string) Options {
		return Options{Now: clock.Now, NoSync: true, Keys: sealtest.Keys(t, 1, ids...)}
	}
	e := open(t, dir, keys("k1"))
	pushCanary(t, e, clock)
	shut(t, e)
	e = open(t, dir, keys("k2", "k1"))
	mustKnow(t, e, canary)
	shut(t, e)
	e = open(t, dir, keys("k2")) // the first key is not needed any more
	mustKnow(t, e, canary)
	shut(t, e)
	mustNotHold(t, filepath.Join(dir, "main.db"), canary)
}

// Random commands on a sealed file: what is restored is what was.
func TestRestoredFromASealedFile(t *testing.T) {
	t.Parallel()
	clock, site, dir := newTestClock(), testSite(), t.TempDir()
	opts := Options{Now: clock.Now, NoSync: true, Keys: sealtest.Keys(t, 1, "k1")}
	g := newRandom(7, clock)
	for range 5 {
		e := open(t, dir, opts)
		for range 200 {
			g.do(t, e, g.next())
		}
		want := dumpEngine(t, e, &site)
		shut(t, e)
		dumpFileOf(t, dir, &site, opts).equal(t, want, "the sealed file")
	}
}

func dumpFileOf(t testing.TB, dir string, site *queue.Site, opts Options) dump {
	t.Helper()
	opts, err := opts.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStore(dir, site.Name, &opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	st, _, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	return dumpState(t, site, st)
}

func TestARecordThatWasMovedIsRefused(t *testing.T) {
	t.Parallel()
	s, _, err := sealtest.Keys(t, 1, "k1").Store("queue main", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := writes{records: record.Encoder{Sealer: s}}
	if err := w.put(bucketCalls, w.number(7), &queue.Call{ID: "c", Caller: canary}); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(w.buf.Bytes(), []byte(canary)) {
		t.Error("the record is not sealed")
	}
	var c queue.Call
	op := parsed(t, &w)[0]
	if err := decode(s, bucketCalls, op.key, op.value, &c); err != nil || c.Caller != canary {
		t.Fatal(c, err)
	}
	if err := decode(s, bucketCallbacks, op.key, op.value, &c); err == nil {
		t.Error("it opens in another bucket")
	}
}

// TestAnErasedCallerIsGoneFromThePlainFile: bbolt leaves what it deletes in free
// pages, so the file is written anew at the next start.
func TestAnErasedCallerIsGoneFromThePlainFile(t *testing.T) {
	t.Parallel()
	clock, dir := newTestClock(), t.TempDir()
	opts := Options{Now: clock.Now, NoSync: true}
	e := open(t, dir, opts)
	pushCanary(t, e, clock)
	mustDo(t, e, &queue.End{Call: "waits", Switch: "sw"})
	res := mustDo(t, e, &queue.EraseCaller{Caller: canary})
	if res.ErasedCalls != 2 || res.ErasedCallbacks != 2 || res.Live != 0 {
		t.Fatalf("%+v", res)
	}
	want := dumpEngine(t, e, &queue.Site{})
	shut(t, e)
	e = open(t, dir, opts)
	dumpEngine(t, e, &queue.Site{}).equal(t, want, "after the file was written anew")
	events, err := e.Events(t.Context(), 0, 0)
	if err != nil || events[0].Seq != 1 {
		t.Fatal(events, err)
	}
	shut(t, e)
	mustNotHold(t, filepath.Join(dir, "main.db"), canary)
}
