package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
)

// Permutation is a keyed bijection of the numbers below 2^bits: FF1 of NIST SP
// 800-38G with AES-256, radix 2 and no tweak. What it returns looks like chance
// to whoever lacks the key, and needs no more room than the number.
type Permutation struct {
	ff1
}

// Permutation returns the one of a scope, for values of an even number of bits
// from 20 to 62. It depends on the index key only, and never changes with the
// others.
func (k *Keys) Permutation(scope string, bits int) *Permutation {
	return &Permutation{newFF1(derive(&k.index, nil, "permutation "+scope, KeyBytes), 2, bits)}
}

// Forward returns the place of v.
func (p *Permutation) Forward(v uint64) uint64 { return p.encrypt(v) }

// Back returns what has the place x.
func (p *Permutation) Back(x uint64) uint64 { return p.decrypt(x) }

// ff1 is FF1 for strings of an even number of numerals, taken as one number,
// without a tweak, as long as each half is below 2^31.
type ff1 struct {
	block cipher.Block
	half  uint64   // radix^(n/2)
	first [16]byte // the encrypted first block of every round
	bytes int      // of a half
}

const ff1Rounds = 10

func newFF1(key []byte, radix uint32, n int) ff1 {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is as long as it must be
	}
	f := ff1{block: block, half: 1}
	for range n / 2 {
		f.half *= uint64(radix)
	}
	for v := f.half - 1; v > 0; v >>= 8 {
		f.bytes++
	}
	p := [16]byte{1, 2, 1, byte(radix >> 16), byte(radix >> 8), byte(radix), ff1Rounds, byte(n / 2)}
	binary.BigEndian.PutUint32(p[8:], uint32(n))
	block.Encrypt(f.first[:], p[:])
	return f
}

// round is NUM(S) of step 6 of the algorithm, modulo the size of a half. With
// halves below 2^31, S is the first 8 bytes of R.
func (f *ff1) round(i int, b uint64) uint64 {
	var q [16]byte
	binary.BigEndian.PutUint64(q[8:], b)
	q[15-f.bytes] = byte(i)
	for j := range q {
		q[j] ^= f.first[j]
	}
	f.block.Encrypt(q[:], q[:])
	return binary.BigEndian.Uint64(q[:]) % f.half
}

func (f *ff1) encrypt(v uint64) uint64 {
	a, b := v/f.half, v%f.half
	for i := range ff1Rounds {
		a, b = b, (a+f.round(i, b))%f.half
	}
	return a*f.half + b
}

func (f *ff1) decrypt(x uint64) uint64 {
	a, b := x/f.half, x%f.half
	for i := ff1Rounds - 1; i >= 0; i-- {
		a, b = (b+f.half-f.round(i, a))%f.half, a
	}
	return a*f.half + b
}
