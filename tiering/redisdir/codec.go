package redisdir

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"unicode/utf8"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// An entry's value begins with a byte that says everything about its tier:
//
//	bits 0-1  grade: 0 none, 1 vip, 2 mid, 3 ordinary
//	bit  2    on the blacklist
//	bits 3-4  form: short, full or elsewhere
//	bits 5-7  101, the mark of this layout
//
// and ends with a byte of checksum over its place and all before it, which finds
// 255 of 256 values that were damaged or belong to somebody else.
//
//	short      seconds since 1970 (4 bytes): when it was changed and, if there is
//	           a grade, graded. No flags, no note, no ends: 6 bytes
//	full       flags (1 byte), UpdatedAt and GradedAt in seconds, GradeEnds and
//	           BlacklistEnds in milliseconds (uvarints), the note
//	elsewhere  the CRC-32C (4 bytes) of the full value, which lies in the
//	           shard's extraKey, because Redis unpacks a whole bucket for one
//	           value of more than 64 bytes
const (
	gradeMask      = 0x03
	blacklistedBit = 0x04
	formMask       = 0x18
	formShort      = 0x00
	formFull       = 0x08
	formElsewhere  = 0x10
	markMask       = 0xe0
	mark           = 0xa0

	shortSize     = 6
	elsewhereSize = 6
	// maxStoredNote is how long a note may be as it is stored: sealed ones are longer.
	maxStoredNote = 2 * tiering.MaxNoteBytes
	// maxInline is how long a value may be in its bucket. Redis allows 64 bytes.
	maxInline = 60
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Why a value can't be read.
var (
	errShort = errors.New("it is cut off")
	errMark  = errors.New("its layout is unknown")
	errSum   = errors.New("its checksum is wrong")
	errSense = errors.New("it makes no sense")
)

// sum is FNV-1a, folded to a byte. It is written out because a value is made or
// read 300,000 times a second in an import, and this way needs no memory.
func (p place) sum(body string) byte {
	h := uint32(2166136261)
	for shift := 0; shift < 24; shift += 8 {
		h = (h ^ p.bucket>>shift&0xff) * 16777619
	}
	for i := range len(p.field) {
		h = (h ^ uint32(p.field[i])) * 16777619
	}
	for i := range len(body) {
		h = (h ^ uint32(body[i])) * 16777619
	}
	h ^= h >> 16
	return byte(h ^ h>>8)
}

// encode returns the value of e. What is longer than maxInline goes elsewhere;
// extra is then what lies there.
func (p place) encode(e tiering.Entry) (value, extra string) {
	head := byte(mark) | byte(e.Grade)&gradeMask
	if e.Blacklisted {
		head |= blacklistedBit
	}
	updated, graded := uint64(e.UpdatedAt)/1000, uint64(e.GradedAt)/1000
	since := updated
	if e.Grade == tiering.TierUnset {
		since = 0
	}
	if updated <= math.MaxUint32 && graded == since && e.GradeEnds == 0 && e.BlacklistEnds == 0 && e.Flags == 0 && e.Note == "" {
		var b [shortSize]byte
		b[0] = head | formShort
		binary.BigEndian.PutUint32(b[1:], uint32(updated))
		b[shortSize-1] = p.sum(string(b[:shortSize-1]))
		return string(b[:]), ""
	}
	b := make([]byte, 0, 32+len(e.Note))
	b = append(b, head|formFull, byte(e.Flags))
	for _, v := range [...]uint64{updated, graded, uint64(e.GradeEnds), uint64(e.BlacklistEnds)} {
		b = binary.AppendUvarint(b, v)
	}
	b = append(b, e.Note...)
	b = append(b, p.sum(string(b)))
	if len(b) <= maxInline {
		return string(b), ""
	}
	at := binary.BigEndian.AppendUint32([]byte{head | formElsewhere}, crc32.Checksum(b, castagnoli))
	return string(append(at, p.sum(string(at)))), string(b)
}

// tierOf returns the tier under which the value is counted: what
// tiering.Entry.Stored says of its entry.
func tierOf(value string) tiering.Tier {
	switch head := value[0]; {
	case head&blacklistedBit != 0:
		return tiering.Blacklist
	case head&gradeMask != 0:
		return tiering.Tier(head & gradeMask)
	}
	return tiering.Ordinary
}

// elsewhere reports whether a value that can be read lies in the extraKey.
func elsewhere(value string) bool {
	return len(value) == elsewhereSize && value[0]&formMask == formElsewhere && value[0]&markMask == mark
}

// matches reports whether extra is what a value that is elsewhere stands for.
func matches(value, extra string) bool {
	return binary.BigEndian.Uint32([]byte(value[1:])) == crc32.Checksum([]byte(extra), castagnoli)
}

// check says whether a value can be read as far as its frame goes.
func (p place) check(value string) error {
	switch {
	case len(value) < shortSize:
		return errShort
	case value[0]&markMask != mark:
		return errMark
	case p.sum(value[:len(value)-1]) != value[len(value)-1]:
		return errSum
	}
	return nil
}

// decode reads a short or full value.
func (p place) decode(value string) (tiering.Entry, error) {
	if err := p.check(value); err != nil {
		return tiering.Entry{}, err
	}
	e := tiering.Entry{Grade: tiering.Tier(value[0] & gradeMask), Blacklisted: value[0]&blacklistedBit != 0}
	if e.Grade == tiering.TierUnset && !e.Blacklisted {
		return tiering.Entry{}, errSense
	}
	switch value[0] & formMask {
	case formShort:
		if len(value) != shortSize {
			return tiering.Entry{}, errShort
		}
		at := instant.Instant(binary.BigEndian.Uint32([]byte(value[1:]))) * 1000
		if e.UpdatedAt = at; e.Grade != tiering.TierUnset {
			e.GradedAt = at
		}
		return e, nil
	case formFull:
		if err := decodeFull(&e, value[1:len(value)-1]); err != nil {
			return tiering.Entry{}, err
		}
		return e, nil
	}
	return tiering.Entry{}, errMark
}

func decodeFull(e *tiering.Entry, body string) error {
	e.Flags = tiering.Flags(body[0])
	rest := []byte(body[1:])
	var v [4]uint64
	for i := range v {
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return errShort
		}
		v[i], rest = value, rest[n:]
	}
	if v[0] > math.MaxInt64/1000 || v[1] > math.MaxInt64/1000 || v[2] > math.MaxInt64 || v[3] > math.MaxInt64 {
		return errSense
	}
	e.UpdatedAt, e.GradedAt = instant.Instant(v[0]*1000), instant.Instant(v[1]*1000)
	e.GradeEnds, e.BlacklistEnds = instant.Instant(v[2]), instant.Instant(v[3])
	if e.Note = string(rest); len(e.Note) > maxStoredNote || !utf8.ValidString(e.Note) {
		return errSense
	}
	return nil
}
