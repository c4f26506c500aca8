package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Hash binds a record to all before it: SHA-256 over the hash before (32 bytes)
// and the record's JSON without its own hash. The first record of a chain has
// the zero Hash before it.
type Hash [sha256.Size]byte

// String is the hash in lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

func parseHash(s []byte) (h Hash, err error) {
	if len(s) != hex.EncodedLen(len(h)) || !bytes.Equal(bytes.ToLower(s), s) {
		return h, errors.New("audit: a hash is 64 lower-case hexadecimal digits")
	}
	_, err = hex.Decode(h[:], s)
	return h, err
}

func link(prev Hash, body []byte) Hash {
	d := sha256.New()
	d.Write(prev[:])
	d.Write(body)
	return Hash(d.Sum(nil))
}

// A line is the body with the hash as its last field:
//
//	{"seq":1,...,"hash":"<64 digits>"}
//
// What was hashed is thus the line itself, byte by byte, and no reader has to
// write JSON exactly as this package does.
var (
	hashField = []byte(`,"hash":"`)
	lineEnd   = []byte(`"}`)
)

const hashDigits = 2 * sha256.Size

func appendLine(to, body []byte, h Hash) []byte {
	to = append(to, body[:len(body)-1]...)
	to = append(to, hashField...)
	to = hex.AppendEncode(to, h[:])
	to = append(to, lineEnd...)
	return append(to, '\n')
}

// line is a line taken apart.
type line struct {
	body []byte
	hash Hash
	rec  Record
}

var errNoRecord = errors.New("it is no record")

// parseLine takes a line apart, given without its line feed.
func parseLine(text []byte) (l line, err error) {
	tail := len(hashField) + hashDigits + len(lineEnd)
	at := len(text) - tail
	if at < 1 || !bytes.HasPrefix(text[at:], hashField) || !bytes.HasSuffix(text, lineEnd) {
		return l, errNoRecord
	}
	if l.hash, err = parseHash(text[at+len(hashField) : len(text)-len(lineEnd)]); err != nil {
		return l, errNoRecord
	}
	l.body = append(append(make([]byte, 0, at+1), text[:at]...), '}')
	if err := json.Unmarshal(l.body, &l.rec); err != nil {
		return l, errNoRecord
	}
	if l.rec.Seq == 0 || l.rec.Action == "" {
		return l, errNoRecord
	}
	return l, nil
}

// Head is the end of a chain at some time: whoever keeps it elsewhere notices a
// record that was cut off or written anew.
type Head struct {
	Seq  uint64
	Hash Hash
}

// String writes a head as ParseHead reads it: SEQ:HASH.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// ParseHead reads SEQ:HASH.
func ParseHead(s string) (Head, error) {
	var h Head
	seq, digits, _ := strings.Cut(s, ":")
	var err error
	if h.Seq, err = strconv.ParseUint(seq, 10, 64); err != nil || h.Seq == 0 {
		return h, errors.New("audit: a head is written SEQ:HASH, and SEQ is a number from 1")
	}
	h.Hash, err = parseHash([]byte(digits))
	return h, err
}
