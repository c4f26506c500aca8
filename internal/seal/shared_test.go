package seal

import (
	"bytes"
	"errors"
	"testing"
)

func sharedKeys(t *testing.T, ids ...string) *Keys {
	t.Helper()
	var list []Key
	for _, id := range ids {
		k := Key{ID: id}
		copy(k.Secret[:], "the key with the id "+id)
		list = append(list, k)
	}
	keys, err := New(Secret{1}, list)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What one daemon sealed another one opens, if it has the key, at its place only.
func TestSharedRecords(t *testing.T) {
	t.Parallel()
	one, two := sharedKeys(t, "k1").Shared("queue main"), sharedKeys(t, "k2", "k1").Shared("queue main")
	record, place := []byte("the record"), []byte("calls\x007")
	seen := map[string]bool{}
	for range 3 {
		sealed := one.Seal([]byte("before"), record, place)[len("before"):]
		if bytes.Contains(sealed, record) || seen[string(sealed)] || !one.Sealed(sealed) {
			t.Fatalf("sealed %x", sealed)
		}
		seen[string(sealed)] = true
		for _, s := range []*Shared{one, two} {
			if out, err := s.Open(nil, sealed, place); err != nil || !bytes.Equal(out, record) {
				t.Errorf("%q, %v", out, err)
			}
		}
		if !one.Current(sealed) || two.Current(sealed) {
			t.Error("the second daemon's own key has not sealed it")
		}
		if _, err := one.Open(nil, sealed, []byte("calls\x008")); !errors.Is(err, errChanged) {
			t.Errorf("at another place: %v", err)
		}
		if _, err := sharedKeys(t, "k1").Shared("queue other").Open(nil, sealed, place); err == nil {
			t.Error("it opens in another site")
		}
		if _, err := sharedKeys(t, "k3").Shared("queue main").Open(nil, sealed, place); !errors.Is(err, ErrKey) {
			t.Errorf("without the key: %v", err)
		}
		sealed[len(sealed)-1]++
		if _, err := one.Open(nil, sealed, place); !errors.Is(err, errChanged) {
			t.Errorf("changed: %v", err)
		}
	}
	if _, err := one.Open(nil, []byte{sealedMark, 2, 3}, place); !errors.Is(err, errSealed) {
		t.Errorf("too short: %v", err)
	}
}

// A writer that has counted as far as it may goes on as another one.
func TestAWriterIsUsedUp(t *testing.T) {
	t.Parallel()
	s := sharedKeys(t, "k1").Shared("queue main")
	was := s.own
	last := s.Seal(nil, []byte("a"), nil)
	s.count = mostCount
	first := s.Seal(nil, []byte("b"), nil)
	if s.own == was || s.count != 1 {
		t.Errorf("writer %x after %x, count %d", s.own, was, s.count)
	}
	for _, sealed := range [][]byte{last, first} {
		if _, err := s.Open(nil, sealed, nil); err != nil {
			t.Error(err)
		}
	}
}
