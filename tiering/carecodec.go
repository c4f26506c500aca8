package tiering

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A Satisfaction is stored as
//
//	format (1 byte, careFormat)
//	Cared (uvarint)
//	how many months (1 byte), and each one's Month, Sum and Count (uvarints)
//	how many requests (1 byte), and each one's RatingID (8 bytes, big endian)
//	CRC-32C of the number and all of the above (4 bytes, big endian)
const (
	careFormat   = 1
	careSumBytes = 4
)

var careTable = crc32.MakeTable(crc32.Castagnoli)

func careSum(n Number, body []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(n), careTable), careTable, body)
}

// EncodeRatings returns what adapters store of a caller's ratings.
func EncodeRatings(n Number, s Satisfaction) []byte {
	b := binary.AppendUvarint([]byte{careFormat}, uint64(s.Cared))
	count := len(b)
	b = append(b, 0)
	for _, m := range s.Months {
		if m.Count == 0 {
			continue
		}
		b[count]++
		for _, v := range [...]uint64{uint64(m.Month), uint64(m.Sum), uint64(m.Count)} {
			b = binary.AppendUvarint(b, v)
		}
	}
	count = len(b)
	b = append(b, 0)
	for _, id := range s.Recent {
		if id != 0 {
			b[count]++
			b = binary.BigEndian.AppendUint64(b, id)
		}
	}
	return binary.BigEndian.AppendUint32(b, careSum(n, b))
}

// DecodeRatings reads what EncodeRatings wrote for the same number. The error is
// ErrCorrupt.
func DecodeRatings(n Number, b []byte) (s Satisfaction, err error) {
	corrupt := func(why string) (Satisfaction, error) {
		return Satisfaction{}, fmt.Errorf("%w: the ratings of %s: %s", ErrCorrupt, n.Masked(), why)
	}
	if len(b) < careSumBytes+3 {
		return corrupt("they are cut off")
	}
	body := b[:len(b)-careSumBytes]
	if careSum(n, body) != binary.BigEndian.Uint32(b[len(body):]) {
		return corrupt("the checksum is wrong")
	}
	if body[0] != careFormat {
		return corrupt("the format is unknown")
	}
	rest, short := body[1:], false
	next := func() uint64 {
		v, size := binary.Uvarint(rest)
		if size <= 0 || v > 1<<31-1 {
			short = true
			return 0
		}
		rest = rest[size:]
		return v
	}
	counted := func(most int) int {
		if len(rest) == 0 || int(rest[0]) > most {
			short = true
			return 0
		}
		n := int(rest[0])
		rest = rest[1:]
		return n
	}
	s.Cared = Month(next())
	for i := range counted(KeptMonths) {
		s.Months[i] = MonthRatings{Month: Month(next()), Sum: uint32(next()), Count: uint32(next())}
	}
	requests := counted(keptRatings)
	if short || len(rest) != 8*requests {
		return corrupt("they make no sense")
	}
	for i := range requests {
		s.Recent[i] = binary.BigEndian.Uint64(rest[8*i:])
	}
	return s, nil
}
