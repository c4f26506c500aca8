package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
)

// schemaVersion names the layout of the file. A file of another version is
// refused, and so is a record with a field this version does not know: reading
// it and writing it back would lose the field.
const schemaVersion = 2

// bucketID names a bucket of the file.
type bucketID uint8

const (
	bucketMeta bucketID = iota
	bucketCalls
	bucketAgents
	bucketOffers
	bucketCallbacks
	bucketQueues
	bucketCohorts
	bucketTotals
	bucketRequests
	bucketOwners
	bucketSwitches
	bucketEvents
	bucketCount
)

var bucketNames = [bucketCount][]byte{
	[]byte("meta"), []byte("calls"), []byte("agents"), []byte("offers"), []byte("callbacks"), []byte("queues"),
	[]byte("cohorts"), []byte("totals"), []byte("requests"), []byte("owners"), []byte("switches"), []byte("events"),
}

// fillPercent says how full bbolt leaves a page it splits. Records that are only
// ever appended fill their pages; those that grow after they were appended keep
// some room for it; names come in any order and keep bbolt's half.
var fillPercent = [bucketCount]float64{
	bucketEvents: 1, bucketRequests: 1,
	bucketCalls: 0.8, bucketOffers: 0.8, bucketCallbacks: 0.8, bucketCohorts: 0.8,
}

// Keys of the bucket meta.
var (
	keySchema   = []byte("schema")
	keySite     = []byte("site")
	keyCounters = []byte("counters")
	keySeals    = []byte("seals")  // under which keys records are sealed; absent: none is
	keyErased   = []byte("erased") // there: somebody was erased since the file was written anew
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

	// peeker reads single fields of a record and skips the rest.
	peeker = must(cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const sumBytes = 4

func checksum(key, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
}

// writes is what one transaction puts and deletes, encoded into one piece of
// memory, so that the records may change as soon as it is built.
type writes struct {
	buf  bytes.Buffer
	list []write

	seal  *seal.Store // nil: records are stored as they are
	plain bytes.Buffer
	place []byte
}

// write is one put or delete: where key and value stand in the buffer.
type write struct {
	bucket   bucketID
	from     int // of the key
	key, val int // ends; val == key deletes
}

// keepBytes is how large a buffer may be to be used again.
const keepBytes = 4 << 20

func (w *writes) reset() {
	w.list = w.list[:0]
	if w.buf.Cap() > keepBytes {
		w.buf, w.list = bytes.Buffer{}, nil
	}
	w.buf.Reset()
}

// put encodes record under the key that the caller has just written to buf from
// offset from on.
func (w *writes) put(bucket bucketID, from int, record any) error {
	key := w.buf.Len()
	var room [sumBytes]byte
	w.buf.Write(room[:])
	if err := w.encode(bucket, w.buf.Bytes()[from:key], record); err != nil {
		return fmt.Errorf("encode %s %x: %w", bucketNames[bucket], w.buf.Bytes()[from:key], err)
	}
	all := w.buf.Bytes()
	binary.BigEndian.PutUint32(all[key:], checksum(all[from:key], all[key+sumBytes:]))
	w.list = append(w.list, write{bucket, from, key, w.buf.Len()})
	return nil
}

// encode appends a record, sealed when there is a key for it.
func (w *writes) encode(bucket bucketID, key []byte, record any) error {
	if w.seal == nil || bucket == bucketMeta {
		return encoder.MarshalToBuffer(record, &w.buf)
	}
	w.plain.Reset()
	if err := encoder.MarshalToBuffer(record, &w.plain); err != nil {
		return err
	}
	w.place = appendPlace(w.place[:0], bucket, key)
	w.buf.Grow(w.plain.Len() + seal.Overhead)
	w.buf.Write(w.seal.Seal(w.buf.AvailableBuffer(), w.plain.Bytes(), w.place))
	return nil
}

// appendPlace names where a record is kept: sealed, it can be opened there only.
func appendPlace(b []byte, bucket bucketID, key []byte) []byte {
	return append(append(append(b, bucketNames[bucket]...), 0), key...)
}

// mark puts a word into the bucket meta.
func (w *writes) mark(key []byte) {
	from := w.name(string(key))
	end := w.buf.Len()
	w.buf.WriteByte(1)
	w.list = append(w.list, write{bucketMeta, from, end, w.buf.Len()})
}

func (w *writes) delete(bucket bucketID, from int) {
	w.list = append(w.list, write{bucket, from, w.buf.Len(), w.buf.Len()})
}

func (w *writes) number(n uint64) (from int) {
	from = w.buf.Len()
	w.buf.Write(binary.BigEndian.AppendUint64(w.buf.AvailableBuffer(), n))
	return from
}

func (w *writes) name(s string) (from int) {
	from = w.buf.Len()
	w.buf.WriteString(s)
	return from
}

// cohort writes a cohort's key: by start first, so that the ones that are
// counted now stand side by side, and so do those that are trimmed.
func (w *writes) cohort(start instant.Instant, tier uint8, queue string) (from int) {
	from = w.number(uint64(start))
	w.buf.WriteByte(tier)
	w.buf.WriteString(queue)
	return from
}

// numberKey returns the key of the record with sequence number n.
func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// errDamaged says that a value is not what was written under its key.
var errDamaged = errors.New("damaged: its checksum is wrong")

// bodyOf returns the encoded record of a value, opened when it is sealed, or
// errDamaged.
func bodyOf(s *seal.Store, bucket bucketID, key, value []byte) ([]byte, error) {
	if len(value) < sumBytes || binary.BigEndian.Uint32(value) != checksum(key, value[sumBytes:]) {
		return nil, errDamaged
	}
	body := value[sumBytes:]
	if s == nil || !seal.Sealed(body) {
		return body, nil
	}
	var room [64]byte
	return s.Open(make([]byte, 0, len(body)), body, appendPlace(room[:0], bucket, key))
}

// decode reads a stored value into record.
func decode(s *seal.Store, bucket bucketID, key, value []byte, record any) error {
	body, err := bodyOf(s, bucket, key, value)
	if err != nil {
		return err
	}
	return decoder.Unmarshal(body, record)
}

// eventAt reads only the instant of a stored event.
func eventAt(s *seal.Store, key, value []byte) (instant.Instant, error) {
	body, err := bodyOf(s, bucketEvents, key, value)
	if err != nil {
		return 0, err
	}
	var e struct {
		At instant.Instant `cbor:"2,keyasint"`
	}
	err = peeker.Unmarshal(body, &e)
	return e.At, err
}
