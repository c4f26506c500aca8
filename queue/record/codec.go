package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
)

var (
	encoder = must(cbor.EncOptions{
		Sort: cbor.SortNone, // a struct's fields go out in their order: deterministic, and no map is stored
	}.UserBufferEncMode())

	decoder = must(cbor.DecOptions{
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 24, // a value's own bytes bound it long before
		MaxMapPairs:       1 << 10,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		// Text that came in from outside may be no UTF-8. It was stored, so it must
		// be readable: a restart is the wrong moment to find fault with it.
		UTF8: cbor.UTF8DecodeInvalid,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// SumBytes is how long the sum before a record is.
const SumBytes = 4

// Checksum is the sum over a key and what follows the sum in its value.
func Checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// Sealer seals records and opens them where they belong.
type Sealer interface {
	// Seal appends the record, sealed for a place, to dst.
	Seal(dst, record, place []byte) []byte
	// Open appends to dst what Seal was given.
	Open(dst, sealed, place []byte) ([]byte, error)
	// Sealed reports whether a record is sealed.
	Sealed(record []byte) bool
}

// Place names where a record is kept: sealed, it can be opened there only.
func Place(b []byte, kind Kind, key []byte) []byte {
	return append(append(append(b, names[kind]...), 0), key...)
}

// Encoder encodes records. It is not safe for concurrent use.
type Encoder struct {
	Sealer Sealer // nil: records are kept as they are
	plain  bytes.Buffer
	place  []byte
}

// Append appends a record to buf as it is kept under a key: its sum, then itself.
// Meta and events tell of no person, and meta is never sealed.
func (e *Encoder) Append(buf *bytes.Buffer, kind Kind, key []byte, record any) error {
	if e.Sealer != nil && kind != Meta {
		e.plain.Reset()
		if err := encoder.MarshalToBuffer(record, &e.plain); err != nil {
			return err
		}
		e.Again(buf, kind, key, e.plain.Bytes())
		return nil
	}
	at := begin(buf)
	if err := encoder.MarshalToBuffer(record, buf); err != nil {
		return err
	}
	end(buf, at, key)
	return nil
}

// Again appends a record that is encoded already, as Body returned it.
func (e *Encoder) Again(buf *bytes.Buffer, kind Kind, key, body []byte) {
	at := begin(buf)
	if e.Sealer == nil {
		buf.Write(body)
	} else {
		e.place = Place(e.place[:0], kind, key)
		buf.Grow(len(body) + mostOverhead)
		buf.Write(e.Sealer.Seal(buf.AvailableBuffer(), body, e.place))
	}
	end(buf, at, key)
}

// begin leaves room for the sum, which end puts there.
func begin(buf *bytes.Buffer) (at int) {
	at = buf.Len()
	var room [SumBytes]byte
	buf.Write(room[:])
	return at
}

func end(buf *bytes.Buffer, at int, key []byte) {
	all := buf.Bytes()
	binary.BigEndian.PutUint32(all[at:], Checksum(key, all[at+SumBytes:]))
}

// mostOverhead is more than any Sealer adds.
const mostOverhead = 64

// ErrDamaged says that a value is not what was written under its key.
var ErrDamaged = errors.New("damaged: its checksum is wrong")

// Body returns the encoded record of a value, opened when it is sealed.
// Errors: ErrDamaged, and those of the Sealer.
func Body(s Sealer, kind Kind, key, value []byte) ([]byte, error) {
	if len(value) < SumBytes || binary.BigEndian.Uint32(value) != Checksum(key, value[SumBytes:]) {
		return nil, ErrDamaged
	}
	body := value[SumBytes:]
	if s == nil || !s.Sealed(body) {
		return body, nil
	}
	var room [64]byte
	return s.Open(make([]byte, 0, len(body)), body, Place(room[:0], kind, key))
}

// Decode reads a kept value into record.
func Decode(s Sealer, kind Kind, key, value []byte, record any) error {
	body, err := Body(s, kind, key, value)
	if err != nil {
		return err
	}
	return decoder.Unmarshal(body, record)
}

// Unmarshal reads a record that has neither sum nor seal, and returns what follows
// it.
func Unmarshal(data []byte, record any) (rest []byte, err error) {
	return decoder.UnmarshalFirst(data, record)
}

// Marshal appends a record without sum and seal to buf.
func Marshal(buf *bytes.Buffer, record any) error { return encoder.MarshalToBuffer(record, buf) }
