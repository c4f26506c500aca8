package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
)

// A sealed record is
//
//	1 (1 byte, sealedMark)
//	the epoch under which it was sealed (4 bytes, big endian)
//	its number in the epoch (8 bytes): with the epoch the nonce
//	the record, encrypted, and 16 bytes of tag
//
// Overhead is how much longer it is than the record.
const (
	sealedMark = 1
	nonceBytes = 12
	tagBytes   = 16
	Overhead   = 1 + nonceBytes + tagBytes

	saltBytes  = 32
	checkBytes = 16
	// mostEpochs is how many openings may have left records behind before the file
	// should be written anew.
	mostEpochs = 1000
)

// Sealed reports whether a record is sealed: none of the stores' own records
// begins with this byte.
func Sealed(record []byte) bool { return len(record) > 0 && record[0] == sealedMark }

var (
	errSealed  = errors.New("it is no sealed record")
	errChanged = errors.New("it was changed, moved, or sealed with another key")
)

// Store seals and opens the records of one file. It may be used by any number of
// goroutines.
type Store struct {
	current  uint32
	seal     cipher.AEAD
	next     atomic.Uint64
	open     map[uint32]cipher.AEAD
	stale    bool
	last     epoch
	previous []epoch
}

// epoch is one opening of a file, as the file keeps it.
type epoch struct {
	No    uint32 `json:"no"`
	Key   string `json:"key"`
	Salt  []byte `json:"salt"`
	Check []byte `json:"check"` // tells a wrong key
}

// Store returns what seals a file, and the header that the file must have kept,
// durably, before anything is sealed. kept is the header it has; nil for a file
// without one. scope names the file, so that its records can't stand in another.
//
// Errors: ErrKey when the keys do not open the file, by the id of the key.
func (k *Keys) Store(scope string, kept []byte) (s *Store, header []byte, err error) {
	s = &Store{open: map[uint32]cipher.AEAD{}}
	if kept != nil {
		if err := json.Unmarshal(kept, &s.previous); err != nil {
			return nil, nil, fmt.Errorf("the header of what is sealed can't be read: %w", err)
		}
	}
	for _, e := range s.previous {
		key, err := k.named(e.Key)
		if err != nil {
			return nil, nil, err
		}
		if !hmac.Equal(e.Check, e.check(key, scope)) {
			return nil, nil, fmt.Errorf("%w %q is not the one that sealed this: it has the same id and another value", ErrKey, e.Key)
		}
		s.open[e.No] = e.cipher(key, scope)
		s.stale = s.stale || e.Key != k.Current()
		s.current = max(s.current, e.No)
	}
	s.stale = s.stale || len(s.previous) > mostEpochs
	s.current++
	s.last = epoch{No: s.current, Key: k.Current(), Salt: make([]byte, saltBytes)}
	if _, err := rand.Read(s.last.Salt); err != nil {
		return nil, nil, err
	}
	s.last.Check = s.last.check(&k.list[0], scope)
	s.seal = s.last.cipher(&k.list[0], scope)
	s.open[s.current] = s.seal
	return s, encodeEpochs(append(s.previous[:len(s.previous):len(s.previous)], s.last)), nil
}

// KeyIDs lists the keys that a header names, for whoever has none of them.
func KeyIDs(header []byte) []string {
	var list []epoch
	_ = json.Unmarshal(header, &list) // a broken one names nobody
	var ids []string
	for _, e := range list {
		if !slices.Contains(ids, e.Key) {
			ids = append(ids, e.Key)
		}
	}
	return ids
}

func (e *epoch) cipher(key *Key, scope string) cipher.AEAD {
	return newGCM(derive(&key.Secret, e.Salt, "record "+scope, KeyBytes))
}

func (e *epoch) check(key *Key, scope string) []byte {
	return derive(&key.Secret, e.Salt, "check "+scope, checkBytes)
}

func encodeEpochs(list []epoch) []byte {
	header, err := json.Marshal(list)
	if err != nil {
		panic(err) // nothing in it can't be written
	}
	return header
}

// Stale reports whether records may be there that another key than the current
// one sealed, or that too many openings did: write all of them anew.
func (s *Store) Stale() bool { return s.stale }

// Fresh returns the header of a file all of whose records this Store has sealed.
func (s *Store) Fresh() []byte { return encodeEpochs([]epoch{s.last}) }

// Own reports whether this Store has sealed a record: under Fresh it opens still.
func (s *Store) Own(record []byte) bool {
	return len(record) >= Overhead && Sealed(record) && binary.BigEndian.Uint32(record[1:]) == s.current
}

// Sealed reports whether a record is sealed, as the function of that name does.
func (s *Store) Sealed(record []byte) bool { return Sealed(record) }

// Seal appends the record, sealed, to dst. place says where it is kept: it can be
// opened there only. dst and record must not overlap.
func (s *Store) Seal(dst, record, place []byte) []byte {
	n := len(dst)
	dst = append(dst, sealedMark)
	dst = binary.BigEndian.AppendUint32(dst, s.current)
	dst = binary.BigEndian.AppendUint64(dst, s.next.Add(1))
	return s.seal.Seal(dst, dst[n+1:n+1+nonceBytes], record, place)
}

// Open appends to dst what Seal was given.
func (s *Store) Open(dst, sealed, place []byte) ([]byte, error) {
	if len(sealed) < Overhead || !Sealed(sealed) {
		return nil, errSealed
	}
	gcm := s.open[binary.BigEndian.Uint32(sealed[1:])]
	if gcm == nil {
		return nil, errChanged
	}
	out, err := gcm.Open(dst, sealed[1:1+nonceBytes], sealed[1+nonceBytes:], place)
	if err != nil {
		return nil, errChanged
	}
	return out, nil
}
