// Package sealtest makes keys for tests.
package sealtest

import (
	"testing"

	"greenlane/internal/seal"
)

// Keys returns keys with these ids, the first one sealing, whose index key is told from
// others by index. Equal arguments give equal keys.
func Keys(t testing.TB, index byte, ids ...string) *seal.Keys {
	t.Helper()
	var list []seal.Key
	for _, id := range ids {
		k := seal.Key{ID: id}
		copy(k.Secret[:], "the key with the id "+id)
		list = append(list, k)
	}
	k, err := seal.New(seal.Secret{index}, list)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
