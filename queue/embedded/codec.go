package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
)

// schemaVersion names the layout of the file. A file of another version is
// refused, and so is a record with a field this version does not know: reading
// it and writing it back would lose the field.
const schemaVersion = 3

// versionWithoutJournal is one that differs in nothing else. Such a file is
// brought to this version when it is opened, so that a program that knows no
// journal does not open it any more.
const versionWithoutJournal = 2

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
	keyJournal  = []byte("journal")
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

// writes is what one commit puts and deletes, encoded as a record of the
// journal, so that the records may change as soon as it is built.
type writes struct {
	buf bytes.Buffer

	sealer *seal.Store // nil: records are stored as they are
	plain  bytes.Buffer
	place  []byte
}

// Each put or delete begins with its bucket and the lengths of its key and
// value; no value is a delete.
const writeHeader = 1 + 2 + 4

// mostKey is how long a key may be: bbolt takes no longer one.
const mostKey = bbolt.MaxKeySize

// keepBytes is how large a buffer may be to be used again.
const keepBytes = 4 << 20

// reset empties w, but for the room of the journal's header.
func (w *writes) reset() {
	if w.buf.Cap() > keepBytes {
		w.buf = bytes.Buffer{}
	}
	w.buf.Reset()
	var header [recordHeader]byte
	w.buf.Write(header[:])
}

// put encodes record under the key that the caller has just written to buf, from
// offset from on.
func (w *writes) put(bucket bucketID, from int, record any) error {
	key := w.buf.Len()
	var room [sumBytes]byte
	w.buf.Write(room[:])
	err := w.encode(bucket, w.buf.Bytes()[from+writeHeader:key], record)
	all := w.buf.Bytes()
	if size := key - from - writeHeader; err == nil && size > mostKey {
		err = fmt.Errorf("the key has %d bytes, at most %d are allowed", size, mostKey)
	}
	if err != nil {
		return fmt.Errorf("encode %s %x: %w", bucketNames[bucket], all[from+writeHeader:key], err)
	}
	binary.BigEndian.PutUint32(all[key:], checksum(all[from+writeHeader:key], all[key+sumBytes:]))
	w.head(bucket, from, key)
	return nil
}

// encode appends a record, sealed when there is a key for it.
func (w *writes) encode(bucket bucketID, key []byte, record any) error {
	if w.sealer == nil || bucket == bucketMeta {
		return encoder.MarshalToBuffer(record, &w.buf)
	}
	w.plain.Reset()
	if err := encoder.MarshalToBuffer(record, &w.plain); err != nil {
		return err
	}
	w.place = appendPlace(w.place[:0], bucket, key)
	w.buf.Grow(w.plain.Len() + seal.Overhead)
	w.buf.Write(w.sealer.Seal(w.buf.AvailableBuffer(), w.plain.Bytes(), w.place))
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
	w.head(bucketMeta, from, end)
}

func (w *writes) delete(bucket bucketID, from int) { w.head(bucket, from, w.buf.Len()) }

// head fills the header of a write whose key ends at key, and its value here.
func (w *writes) head(bucket bucketID, from, key int) {
	all := w.buf.Bytes()
	all[from] = byte(bucket)
	binary.BigEndian.PutUint16(all[from+1:], uint16(key-from-writeHeader))
	binary.BigEndian.PutUint32(all[from+3:], uint32(len(all)-key))
}

// number begins a write whose key is a sequence number.
func (w *writes) number(n uint64) (from int) {
	from = w.name("")
	w.buf.Write(binary.BigEndian.AppendUint64(w.buf.AvailableBuffer(), n))
	return from
}

// name begins a write whose key is a name.
func (w *writes) name(s string) (from int) {
	from = w.buf.Len()
	var header [writeHeader]byte
	w.buf.Write(header[:])
	w.buf.WriteString(s)
	return from
}

// write is one put or delete as the journal holds it.
type write struct {
	bucket     bucketID
	key, value []byte // a nil value deletes
	order      int    // among all that are applied together
}

// parseWrites appends what a record of the journal writes to list.
func parseWrites(list []write, data []byte) ([]write, error) {
	for len(data) > 0 {
		if len(data) < writeHeader {
			return nil, errWrites
		}
		w := write{bucket: bucketID(data[0]), order: len(list)}
		key, value := int(binary.BigEndian.Uint16(data[1:])), int64(binary.BigEndian.Uint32(data[3:]))
		data = data[writeHeader:]
		if w.bucket >= bucketCount || int64(len(data)) < int64(key)+value {
			return nil, errWrites
		}
		w.key = data[:key:key]
		if value > 0 {
			w.value = data[key : key+int(value)]
		}
		list, data = append(list, w), data[key+int(value):]
	}
	return list, nil
}

var errWrites = errors.New("a record of the journal is none this program wrote")

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
