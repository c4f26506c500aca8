package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
	"greenlane/queue/record"
)

// schemaVersion names the layout of the file. A file of another version is
// refused, and so is a record with a field this version does not know: reading
// it and writing it back would lose the field.
const schemaVersion = 3

// versionWithoutJournal is one that differs in nothing else. Such a file is
// brought to this version when it is opened, so that a program that knows no
// journal does not open it any more.
const versionWithoutJournal = 2

// bucketID names a bucket of the file: there is one for each kind of record.
type bucketID = record.Kind

const (
	bucketMeta      = record.Meta
	bucketCalls     = record.Calls
	bucketOffers    = record.Offers
	bucketCallbacks = record.Callbacks
	bucketCohorts   = record.Cohorts
	bucketRequests  = record.Requests
	bucketEvents    = record.Events
	bucketCount     = record.Kinds
)

var bucketNames = func() (names [bucketCount][]byte) {
	for id := range names {
		names[id] = []byte(bucketID(id).String())
	}
	return names
}()

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

// peeker reads single fields of a record and skips the rest.
var peeker = func() cbor.DecMode {
	mode, err := cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

// writes is what one commit puts and deletes, encoded as a record of the
// journal, so that the records may change as soon as it is built.
type writes struct {
	buf     bytes.Buffer
	records record.Encoder
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

// put encodes a record under the key that the caller has just written to buf, from
// offset from on.
func (w *writes) put(bucket bucketID, from int, r any) error {
	key := w.buf.Len()
	name := w.buf.Bytes()[from+writeHeader : key]
	err := w.records.Append(&w.buf, bucket, name, r)
	if err == nil && len(name) > mostKey {
		err = fmt.Errorf("the key has %d bytes, at most %d are allowed", len(name), mostKey)
	}
	if err != nil {
		return fmt.Errorf("encode %s %x: %w", bucketNames[bucket], name, err)
	}
	w.head(bucket, from, key)
	return nil
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

// key begins a write of a record. Cohorts and totals are named by start first, so
// that those that are counted now stand side by side, and so do those that are
// trimmed.
func (w *writes) key(k record.Key) (from int) {
	switch {
	case k.Kind.Numbered():
		return w.number(k.Number)
	case k.Kind.Counted():
		from = w.number(k.Number)
		w.buf.WriteByte(k.Tier)
		w.buf.WriteString(k.Name)
		return from
	default:
		return w.name(k.Name)
	}
}

// numberKey returns the key of the record with sequence number n.
func numberKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// sealerOf returns what opens records, nil when none is sealed.
func sealerOf(s *seal.Store) record.Sealer {
	if s == nil {
		return nil
	}
	return s
}

// bodyOf returns the encoded record of a value, opened when it is sealed, or
// record.ErrDamaged.
func bodyOf(s *seal.Store, bucket bucketID, key, value []byte) ([]byte, error) {
	return record.Body(sealerOf(s), bucket, key, value)
}

// decode reads a stored value into r.
func decode(s *seal.Store, bucket bucketID, key, value []byte, r any) error {
	return record.Decode(sealerOf(s), bucket, key, value, r)
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
