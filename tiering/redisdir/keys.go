package redisdir

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"greenlane/tiering"
)

// All keys and channels begin with prefix; deploy/redis/users.acl grants them.
const (
	prefix    = "tiers:"
	schemaKey = prefix + "schema"
	channel   = prefix + "changes"
)

// The layout is part of the schema: other numbers would find nothing again.
const (
	shardBits  = 8
	bucketBits = 10
	fieldBits  = 32
	placeBits  = shardBits + bucketBits + fieldBits

	shards    = 1 << shardBits
	perShard  = 1 << bucketBits
	buckets   = shards * perShard
	fieldSize = fieldBits / 8
)

// maxE164 is above every number of E.164's at most 15 digits. It is less than
// 2^placeBits.
const maxE164 = 1_000_000_000_000_000

// A place is where an entry is: bucket of all buckets, and field in it.
type place struct {
	bucket uint32
	field  string
}

func (p place) shard() int { return int(p.bucket >> bucketBits) }

// placeOf returns where n is. E.164 numbers have a field of fieldSize bytes; for
// others, such as an extension, the field is "=" and the text, made longer when
// it would have that size.
func placeOf(n tiering.Number) place {
	if v, ok := plain(n); ok {
		return placeAt(mix(v))
	}
	field := "=" + string(n)
	if len(field) == fieldSize {
		field += "="
	}
	h := fnv.New64a()
	h.Write([]byte(n))
	return place{bucket: uint32(h.Sum64() >> (64 - shardBits - bucketBits)), field: field}
}

// placeAt returns the place that mix, or a keyed bijection, gives as a number.
func placeAt(x uint64) place {
	var field [fieldSize]byte
	binary.BigEndian.PutUint32(field[:], uint32(x))
	return place{bucket: uint32(x >> fieldBits), field: string(field[:])}
}

// value is the opposite of placeAt.
func (p place) value() uint64 {
	return uint64(p.bucket)<<fieldBits | uint64(binary.BigEndian.Uint32([]byte(p.field)))
}

// plain returns the value of a number that is a plus and up to 15 digits of
// which the first is not 0, so that the value gives the number back.
func plain(n tiering.Number) (v uint64, ok bool) {
	if len(n) < 2 || len(n) > 16 || n[0] != '+' || n[1] == '0' {
		return 0, false
	}
	for i := 1; i < len(n); i++ {
		d := n[i] - '0'
		if d > 9 {
			return 0, false
		}
		v = v*10 + uint64(d)
	}
	return v, true
}

var errField = errors.New("its field stands for no number")

// number returns whose entry is at p. The error says that nobody's can be there.
func (p place) number() (tiering.Number, error) {
	var n tiering.Number
	switch {
	case len(p.field) == fieldSize:
		return numberWith(unmix(p.value()))
	case strings.HasPrefix(p.field, "="):
		n = tiering.Number(strings.TrimSuffix(p.field[1:], "="))
	}
	if n.Check() != nil || placeOf(n) != p {
		return "", errField
	}
	return n, nil
}

// numberWith returns the E.164 number with this value.
func numberWith(v uint64) (tiering.Number, error) {
	if v == 0 || v >= maxE164 {
		return "", errField
	}
	b := append(make([]byte, 0, 16), '+')
	return tiering.Number(strconv.AppendUint(b, v, 10)), nil
}

// The bijection: xor-shifts and multiplications by odd numbers within placeBits
// bits, each of which can be undone. Neighbouring numbers end up far apart, so
// that the buckets fill evenly whatever the numbers are.
const (
	placeMask = 1<<placeBits - 1
	half      = placeBits / 2
	mulA      = 0x2d51_2d2b_a3c59 & placeMask
	mulB      = 0x1b87_3593_cc9e3 & placeMask
)

var invA, invB = inverse(mulA), inverse(mulB)

func mix(x uint64) uint64 {
	x ^= x >> half
	x = x * mulA & placeMask
	x ^= x >> half
	x = x * mulB & placeMask
	return x ^ x>>half
}

// unmix undoes mix. Shifting by half the width, an xor-shift undoes itself.
func unmix(x uint64) uint64 {
	x ^= x >> half
	x = x * invB & placeMask
	x ^= x >> half
	x = x * invA & placeMask
	return x ^ x>>half
}

// inverse returns the inverse of the odd number a modulo 2^64, and so modulo
// 2^placeBits, by Newton's iteration: each step doubles the bits that are right.
func inverse(a uint64) uint64 {
	x := a
	for range 6 {
		x *= 2 - a*x
	}
	return x
}

// The keys of a site. "%02x" keeps a shard's keys in one slot of a Cluster.

func bucketKey(site string, bucket uint32) string {
	b := make([]byte, 0, len(prefix)+len(site)+9)
	b = append(append(append(b, prefix...), '{'), site...)
	shard := bucket >> bucketBits
	b = append(b, ':', hexDigits[shard>>4], hexDigits[shard&15], '}', ':')
	in := bucket & (perShard - 1)
	return string(append(b, hexDigits[in>>8], hexDigits[in>>4&15], hexDigits[in&15]))
}

const hexDigits = "0123456789abcdef"

// countsKey is a hash: the tiers' numbers ("1" to "4") with their counts, "v"
// with the count of writes, and "dirty" when the counts have to be made anew.
func countsKey(site string, shard int) string { return shardKey(site, shard, "count") }

// extraKey is a hash of the entries that are too long for their bucket.
func extraKey(site string, shard int) string { return shardKey(site, shard, "long") }

// asideKey is a hash of what could not be read, by where it was.
func asideKey(site string, shard int) string { return shardKey(site, shard, "aside") }

// blackKey is a sorted set, all of score 0, of the extraFields of who is on the
// blacklist: an index, by which the few are found among the many.
func blackKey(site string, shard int) string { return shardKey(site, shard, "black") }

func shardKey(site string, shard int, what string) string {
	return fmt.Sprintf("%s{%s:%02x}:%s", prefix, site, shard, what)
}

// extraField is the field of a place in its shard's extraKey.
func (p place) extraField() string {
	in := p.bucket & (perShard - 1)
	return string([]byte{byte(in >> 8), byte(in)}) + p.field
}
