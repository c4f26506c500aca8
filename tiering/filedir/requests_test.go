package filedir

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
)

const requestTime = instant.Instant(1_700_000_000_000)

func requestNo(i int) tiering.Request {
	return tiering.Request{Kind: "Set", ID: fmt.Sprint("request-", i), Print: uint64(i)}
}

func keepRequest(t *testing.T, d *Directory, i int, at instant.Instant, keep tiering.KeepRequests) {
	t.Helper()
	if err := d.Remember(t.Context(), "main", requestNo(i), fmt.Append(nil, "answer ", i), at, keep); err != nil {
		t.Fatal(err)
	}
}

func isKept(t *testing.T, d *Directory, i int, at instant.Instant) bool {
	t.Helper()
	answer, known, err := d.Recall(t.Context(), "main", requestNo(i), at)
	if err != nil || known != (string(answer) == fmt.Sprint("answer ", i)) {
		t.Fatalf("%q, %v, %v", answer, known, err)
	}
	return known
}

// stored counts the answers that are in the file, and those in their order.
func stored(t *testing.T, d *Directory) (answers, order int) {
	t.Helper()
	err := d.db.View(func(tx *bolt.Tx) error {
		answers, order = tx.Bucket(requestsBucket("main")).Stats().KeyN, tx.Bucket(requestOrderBucket("main")).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return answers, order
}

// TestAnswersAreBounded: the file keeps the latest, and none whose time is over.
func TestAnswersAreBounded(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	const most = 10
	keep := tiering.KeepRequests{Age: time.Hour, Most: most}
	for i := range 3 * most {
		keepRequest(t, d, i, requestTime, keep)
	}
	for i := range 3 * most {
		if got := isKept(t, d, i, requestTime); got != (i >= 2*most) {
			t.Errorf("request %d is kept: %v", i, got)
		}
	}
	if a, o := stored(t, d); a != most || o != most {
		t.Errorf("%d answers are stored, %d in their order", a, o)
	}
	later := requestTime.Add(time.Hour)
	keepRequest(t, d, 3*most-1, later, keep) // kept anew under the same place
	if a, o := stored(t, d); a != 1 || o != 1 || !isKept(t, d, 3*most-1, later) {
		t.Errorf("%d answers are stored, %d in their order", a, o)
	}
	for i := range 2 * requestTrim {
		keepRequest(t, d, 1000+i, later, tiering.KeepRequests{Age: time.Hour, Most: 1 << 20})
	}
	for i := range 4 { // a smaller limit is reached bit by bit
		keepRequest(t, d, 2000+i, later, keep)
	}
	if a, o := stored(t, d); a != most || o != most {
		t.Errorf("%d answers are stored, %d in their order", a, o)
	}
}

// TestADamagedAnswerCountsAsNone: the request is carried out again, and kept anew.
func TestADamagedAnswerCountsAsNone(t *testing.T) {
	d := mustOpen(t, t.TempDir())
	defer d.Close()
	keep := tiering.KeepRequests{Age: time.Hour, Most: 10}
	for _, damage := range []func(value []byte) []byte{
		func(value []byte) []byte { value[20] ^= 1; return value },
		func(value []byte) []byte { return value[:3] },
		func([]byte) []byte { return []byte{} },
	} {
		keepRequest(t, d, 1, requestTime, keep)
		err := d.db.Update(func(tx *bolt.Tx) error {
			b, place := tx.Bucket(requestsBucket("main")), []byte(requestNo(1).Place("main", nil))
			return b.Put(place, damage(bytes.Clone(b.Get(place))))
		})
		if err != nil {
			t.Fatal(err)
		}
		if isKept(t, d, 1, requestTime) {
			t.Error("a damaged answer is found")
		}
		keepRequest(t, d, 1, requestTime, keep)
		if !isKept(t, d, 1, requestTime) {
			t.Error("it is not kept anew")
		}
	}
}

// TestAnswersAndKeys: answers are found when another key seals, and are dropped when
// another index key hashes: nothing could be found under it. Nowhere is an id.
func TestAnswersAndKeys(t *testing.T) {
	dir, keep := t.TempDir(), tiering.KeepRequests{Age: time.Hour, Most: 10}
	index2 := sealtest.Keys(t, 2, "k2")
	replacing, err := index2.Replacing(seal.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	d := openWith(t, dir, nil)
	setCanary(t, d, tiering.OpSet)
	keepRequest(t, d, 1, requestTime, keep)
	reopen := func(what string, open func() *Directory, want bool) {
		t.Helper()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(d.path); err != nil || bytes.Contains(data, []byte("request-1")) {
			t.Errorf("%s: the file holds the id, %v", what, err)
		}
		d = open()
		if got := isKept(t, d, 1, requestTime); got != want {
			t.Errorf("%s: the answer is there: %v, want %v", what, got, want)
		}
		keepRequest(t, d, 1, requestTime, keep)
	}
	reopen("sealed", func() *Directory { return openWith(t, dir, sealtest.Keys(t, 1, "k1")) }, false)
	reopen("another key", func() *Directory { return openWith(t, dir, sealtest.Keys(t, 1, "k2", "k1")) }, true)
	setCanary(t, d, tiering.OpForget)
	setCanary(t, d, tiering.OpSet)
	reopen("after an erasure", func() *Directory { return openWith(t, dir, sealtest.Keys(t, 1, "k2")) }, true)
	reopen("another index key", func() *Directory { return openWith(t, dir, replacing) }, false)
	reopen("without the old one", func() *Directory { return openWith(t, dir, index2) }, true)
	d.Close()
}
