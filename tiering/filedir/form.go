package filedir

import (
	"bytes"
	"encoding/hex"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// form is how entries are stored: as they are, under their number, or sealed.
//
// A sealed entry is stored under a byte 1 and the index of its site and number. Its
// record, before it is sealed, is
//
//	how long the number is (1 byte), the number
//	the entry as codec.go writes it for this key
type form struct {
	seal    *seal.Store   // nil: as they are
	numbers *seal.Numbers // for the index
}

const sealedKeyBytes = 1 + seal.IndexBytes

// key returns the key of a number's entry.
func (f *form) key(site string, n tiering.Number) []byte {
	if f.seal == nil {
		return []byte(n)
	}
	return append(append(make([]byte, 0, sealedKeyBytes), 1), f.numbers.Index(site+"\x00"+string(n))...)
}

// encode returns the value of a number's entry, to be stored under its key.
func (f *form) encode(site string, key []byte, n tiering.Number, e tiering.Entry) []byte {
	return f.wrap(site, key, n, appendEntry(nil, key, e))
}

// wrap returns a value as it is stored under a key of a site's bucket.
func (f *form) wrap(bucket string, key []byte, n tiering.Number, value []byte) []byte {
	if f.seal == nil {
		return value
	}
	record := append(append(make([]byte, 0, 1+len(n)+len(value)), byte(len(n))), n...)
	record = append(record, value...)
	return f.seal.Seal(make([]byte, 0, len(record)+seal.Overhead), record, placeOf(bucket, key))
}

// placeOf names where a value is stored: sealed, it can be opened there only.
func placeOf(bucket string, key []byte) []byte {
	return append(append(make([]byte, 0, len(bucket)+1+len(key)), bucket+"\x00"...), key...)
}

// decode reads an entry and says whose it is; what can't be read is nobody's when
// it is sealed.
func (f *form) decode(site string, key, value []byte) (tiering.Number, tiering.Entry, error) {
	n, value, err := f.unwrap(site, site, key, value)
	if err != nil {
		return "", tiering.Entry{}, err
	}
	e, err := decodeEntry(key, value)
	return n, e, err
}

// unwrap is the opposite of wrap.
func (f *form) unwrap(bucket, site string, key, value []byte) (tiering.Number, []byte, error) {
	if f.seal == nil {
		return tiering.Number(key), value, nil
	}
	record, err := f.seal.Open(make([]byte, 0, len(value)), value, placeOf(bucket, key))
	if err != nil {
		return "", nil, err
	}
	if len(record) < 1 || len(record) < 1+int(record[0]) {
		return "", nil, errShort
	}
	end := 1 + int(record[0])
	n := tiering.Number(record[1:end])
	if !bytes.Equal(f.key(site, n), key) {
		return "", nil, errSense
	}
	return n, record[end:], nil
}

// cursor returns the cursor after a key.
func (f *form) cursor(key []byte) tiering.Cursor {
	if f.seal == nil {
		return tiering.Cursor(key)
	}
	return tiering.Cursor(hex.EncodeToString(key))
}

// after returns the key that a cursor stands for.
func (f *form) after(c tiering.Cursor) ([]byte, error) {
	if c == "" {
		return nil, nil
	}
	if f.seal == nil {
		if err := tiering.Number(c).Check(); err != nil {
			return nil, fmt.Errorf("%w: only what Walk returned is allowed", tiering.ErrCursor)
		}
		return []byte(c), nil
	}
	key, err := hex.DecodeString(string(c))
	if err != nil || len(key) != sealedKeyBytes || key[0] != 1 {
		return nil, fmt.Errorf("%w: only what Walk returned is allowed", tiering.ErrCursor)
	}
	return key, nil
}

// loadCounts reads a site's counts, or counts when there are none to read.
func (f *form) loadCounts(tx *bolt.Tx, site string) (c counts) {
	value := tx.Bucket(metaBucket).Get(countKey(site))
	if !c.read(value) {
		return f.recount(tx, site)
	}
	return c
}

// recount goes through the site's readable entries.
func (f *form) recount(tx *bolt.Tx, site string) (c counts) {
	b := tx.Bucket(siteBucket(site))
	if b == nil {
		return c
	}
	for cur, key, value := start(b); key != nil; key, value = cur.Next() {
		if _, e, err := f.decode(site, key, value); err == nil {
			c.add(e.Stored(), 1)
		}
	}
	return c
}
