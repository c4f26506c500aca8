package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// A record in a store that several processes write is sealed as
//
//	1 (1 byte, sealedMark)
//	which key sealed it (4 bytes)
//	the writer, a number by chance (8 bytes): both give the record's own key
//	its number of this writer (5 bytes): with seven zeros before it the nonce
//	the record, encrypted, and 16 bytes of tag
//
// Nothing has to be agreed upon: two writers that draw one number, of 2^64, and
// reach the same number of records, are not to be expected.
const (
	writerBytes = 8
	countBytes  = 5
	sharedHead  = 1 + keyTagBytes + writerBytes + countBytes
	mostCount   = 1<<(8*countBytes) - 1
)

// writer is who sealed a record: key and writer's number.
type writer [keyTagBytes + writerBytes]byte

// Shared seals and opens the records of one site of a store that several daemons
// share. It may be used by any number of goroutines.
type Shared struct {
	scope string
	keys  map[[keyTagBytes]byte]*Key
	first [keyTagBytes]byte // the key that seals

	mu    sync.RWMutex
	own   writer
	seal  cipher.AEAD
	count uint64
	open  map[writer]cipher.AEAD
}

// Shared returns what seals the records of one site of a shared store.
func (k *Keys) Shared(scope string) *Shared {
	s := &Shared{scope: scope, keys: map[[keyTagBytes]byte]*Key{}, open: map[writer]cipher.AEAD{}}
	for i := range k.list {
		tag := [keyTagBytes]byte(derive(&k.list[i].Secret, nil, "tag "+scope, keyTagBytes))
		if i == 0 {
			s.first = tag
		}
		s.keys[tag] = &k.list[i]
	}
	s.begin()
	return s
}

// begin makes this a writer nobody else is. It is called with mu held, or before
// anybody knows s.
func (s *Shared) begin() {
	copy(s.own[:], s.first[:])
	if _, err := rand.Read(s.own[keyTagBytes:]); err != nil {
		panic(err) // crypto/rand: it never returns one
	}
	s.seal, s.count = s.cipher(s.own), 0
	s.open[s.own] = s.seal
}

func (s *Shared) cipher(w writer) cipher.AEAD {
	key := s.keys[[keyTagBytes]byte(w[:keyTagBytes])]
	if key == nil {
		return nil
	}
	return newGCM(derive(&key.Secret, w[keyTagBytes:], "shared record "+s.scope, KeyBytes))
}

// Sealed reports whether a record is sealed.
func (s *Shared) Sealed(record []byte) bool { return Sealed(record) }

// Current reports whether the key that seals now sealed a record.
func (s *Shared) Current(record []byte) bool {
	return len(record) >= sharedHead+tagBytes && Sealed(record) && [keyTagBytes]byte(record[1:1+keyTagBytes]) == s.first
}

// Seal appends the record, sealed, to dst. place says where it is kept: it can be
// opened there only. dst and record must not overlap.
func (s *Shared) Seal(dst, record, place []byte) []byte {
	s.mu.Lock()
	if s.count == mostCount {
		s.begin()
	}
	s.count++
	own, gcm, count := s.own, s.seal, s.count
	s.mu.Unlock()
	var nonce [nonceBytes]byte
	binary.BigEndian.PutUint64(nonce[nonceBytes-8:], count)
	dst = append(append(dst, sealedMark), own[:]...)
	dst = append(dst, nonce[nonceBytes-countBytes:]...)
	return gcm.Seal(dst, nonce[:], record, place)
}

// Open appends to dst what Seal was given.
//
// Errors: ErrKey when the key that sealed it is missing.
func (s *Shared) Open(dst, sealed, place []byte) ([]byte, error) {
	if len(sealed) < sharedHead+tagBytes || !Sealed(sealed) {
		return nil, errSealed
	}
	w := writer(sealed[1 : 1+keyTagBytes+writerBytes])
	s.mu.RLock()
	gcm, known := s.open[w]
	s.mu.RUnlock()
	if !known {
		if gcm = s.cipher(w); gcm == nil {
			return nil, errNoKey
		}
	}
	var nonce [nonceBytes]byte
	copy(nonce[nonceBytes-countBytes:], sealed[sharedHead-countBytes:])
	out, err := gcm.Open(dst, nonce[:], sealed[sharedHead:], place)
	if err != nil {
		return nil, errChanged
	}
	if !known {
		s.mu.Lock()
		s.open[w] = gcm
		s.mu.Unlock()
	}
	return out, nil
}
