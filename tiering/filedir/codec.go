package filedir

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"unicode/utf8"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// An entry is stored under its number's bytes as
//
//	format (1 byte, valueFormat)
//	grade in the low 3 bits, bit 3 for blacklisted (1 byte)
//	flags (1 byte)
//	UpdatedAt, GradedAt, GradeEnds, BlacklistEnds (uvarints, milliseconds)
//	the note's bytes
//	CRC-32C of the number and all of the above (4 bytes, big endian)
//
// about 21 bytes without a note. The checksum takes in the number, so that an
// entry that ended up under somebody else's number is noticed too.
const (
	valueFormat    = 1
	gradeMask      = 0x07
	blacklistedBit = 0x08
	sumBytes       = 4
	headBytes      = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(number, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(number, castagnoli), castagnoli, body)
}

func appendEntry(b []byte, number []byte, e tiering.Entry) []byte {
	start := len(b)
	standing := byte(e.Grade) & gradeMask
	if e.Blacklisted {
		standing |= blacklistedBit
	}
	b = append(b, valueFormat, standing, byte(e.Flags))
	for _, at := range [...]instant.Instant{e.UpdatedAt, e.GradedAt, e.GradeEnds, e.BlacklistEnds} {
		b = binary.AppendUvarint(b, uint64(at))
	}
	b = append(b, e.Note...)
	return binary.BigEndian.AppendUint32(b, checksum(number, b[start:]))
}

// Why a value can't be read.
var (
	errShort  = errors.New("it is cut off")
	errFormat = errors.New("its format is unknown")
	errSum    = errors.New("its checksum is wrong")
	errSense  = errors.New("it makes no sense")
)

// decodeEntry reads what appendEntry wrote for the same number. It keeps
// nothing of value, which lies in the file.
func decodeEntry(number, value []byte) (tiering.Entry, error) {
	if len(value) < headBytes+sumBytes {
		return tiering.Entry{}, errShort
	}
	body, sum := value[:len(value)-sumBytes], value[len(value)-sumBytes:]
	if checksum(number, body) != binary.BigEndian.Uint32(sum) {
		return tiering.Entry{}, errSum
	}
	if body[0] != valueFormat {
		return tiering.Entry{}, errFormat
	}
	e := tiering.Entry{
		Grade:       tiering.Tier(body[1] & gradeMask),
		Blacklisted: body[1]&blacklistedBit != 0,
		Flags:       tiering.Flags(body[2]),
	}
	rest := body[headBytes:]
	for _, at := range [...]*instant.Instant{&e.UpdatedAt, &e.GradedAt, &e.GradeEnds, &e.BlacklistEnds} {
		ms, n := binary.Uvarint(rest)
		if n <= 0 {
			return tiering.Entry{}, errShort
		}
		*at, rest = instant.Instant(ms), rest[n:]
	}
	e.Note = string(rest)
	switch {
	case body[1]&^(gradeMask|blacklistedBit) != 0, e.Grade > tiering.Ordinary, e.Grade == tiering.TierUnset && !e.Blacklisted,
		len(e.Note) > tiering.MaxNoteBytes, !utf8.ValidString(e.Note):
		return tiering.Entry{}, errSense
	}
	return e, nil
}
