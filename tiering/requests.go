package tiering

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"greenlane/internal/instant"
)

// Request is one that may come again: the same client's, or by mistake another
// one's that has the same id.
type Request struct {
	Kind  string // what is asked for; ids of different kinds have nothing to do with each other
	ID    string // chosen by the client, not empty
	Print uint64 // a hash of its contents
}

// KeepRequests says how long answers are kept.
type KeepRequests struct {
	Age  time.Duration // at least a second
	Most int           // of a site, at least 1; a store in which each ends by itself need not count
}

// Requests keeps the first answers to requests, so that a retry changes nothing,
// whatever others have changed meanwhile. It is a port beside Directory, which the
// same adapters implement; the errors that hold for every method of a Directory
// hold here too.
//
// What is stored gives back neither the id nor the contents of a request: a store
// with keys keeps keyed hashes of them, one without hashes in which the id is the
// salt. Answers are stored as they are, and must have nothing of a person.
type Requests interface {
	// Recall returns the answer that is kept of a request, and known false when none
	// is, or its time is over by now. What can't be read is reported and counts as
	// none. An answer that is returned is kept as Remember promises.
	//
	// Errors also: ErrRequestReused, which names the id, when what is kept is the
	// answer to a request of the same kind and id with another print.
	Recall(ctx context.Context, site string, r Request, now instant.Instant) (answer []byte, known bool, err error)

	// Remember keeps the answer to a request that was made now, as durably as Set
	// keeps a change. An answer that is kept already, of whatever print, stays.
	Remember(ctx context.Context, site string, r Request, answer []byte, now instant.Instant, keep KeepRequests) error
}

// RequestHashBytes is the length of a Request's Place.
const RequestHashBytes = 16

// Place returns under which name a site's store keeps the answer to r. index is the
// store's keyed hash; nil when it has no keys.
func (r Request) Place(site string, index func(string) string) string {
	return requestHash("\x00request\x00"+site+"\x00"+r.Kind+"\x00"+r.ID, index)
}

// mark is what is kept of the contents. The id is in it as its salt.
func (r Request) mark(site string, index func(string) string) string {
	hash := binary.BigEndian.AppendUint64(nil, r.Print)
	return requestHash("\x00contents\x00"+string(hash)+site+"\x00"+r.Kind+"\x00"+r.ID, index)
}

func requestHash(text string, index func(string) string) string {
	if index != nil {
		return index(text)[:RequestHashBytes]
	}
	sum := sha256.Sum256([]byte(text))
	return string(sum[:RequestHashBytes])
}

// An answer is stored as
//
//	format (1 byte, answerFormat)
//	the request's mark (16 bytes)
//	until when it is kept (8 bytes, big endian, milliseconds; remember.lua reads it)
//	the answer
//	CRC-32C of the place and all of the above (4 bytes, big endian)
const (
	answerFormat    = 1
	answerHeadBytes = 1 + RequestHashBytes + 8
	answerSumBytes  = 4
)

func answerSum(place string, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(place), careTable), careTable, body)
}

// EncodeAnswer returns what adapters store under r.Place(site, index).
func (r Request) EncodeAnswer(site string, index func(string) string, answer []byte, until instant.Instant) []byte {
	b := make([]byte, 0, answerHeadBytes+len(answer)+answerSumBytes)
	b = append(append(b, answerFormat), r.mark(site, index)...)
	b = append(binary.BigEndian.AppendUint64(b, uint64(until)), answer...)
	return binary.BigEndian.AppendUint32(b, answerSum(r.Place(site, index), b))
}

// DecodeAnswer reads what EncodeAnswer wrote for a request of the same kind and id.
// The answer is a copy; known is false when its time is over.
//
// Errors: ErrCorrupt; ErrRequestReused as Recall has it.
func (r Request) DecodeAnswer(site string, index func(string) string, b []byte, now instant.Instant) (answer []byte, known bool, err error) {
	until, err := AnswerUntil(r.Place(site, index), b)
	switch {
	case err != nil:
		return nil, false, err
	case until <= now:
		return nil, false, nil
	case string(b[1:1+RequestHashBytes]) != r.mark(site, index):
		return nil, false, fmt.Errorf("%w: %q was used for another %s; a retry must repeat the request unchanged", ErrRequestReused, r.ID, r.Kind)
	}
	return append([]byte{}, b[answerHeadBytes:len(b)-answerSumBytes]...), true, nil
}

// AnswerUntil returns until when an answer that is stored at a place is kept. The
// error is ErrCorrupt.
func AnswerUntil(place string, b []byte) (instant.Instant, error) {
	if len(b) < answerHeadBytes+answerSumBytes || b[0] != answerFormat {
		return 0, fmt.Errorf("%w: the first answer to a request is cut off or of an unknown format", ErrCorrupt)
	}
	body := b[:len(b)-answerSumBytes]
	if answerSum(place, body) != binary.BigEndian.Uint32(b[len(body):]) {
		return 0, fmt.Errorf("%w: the checksum of the first answer to a request is wrong", ErrCorrupt)
	}
	return instant.Instant(binary.BigEndian.Uint64(b[1+RequestHashBytes:])), nil
}
