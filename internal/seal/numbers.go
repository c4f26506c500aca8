package seal

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// IndexBytes is the length of an index. It is half of an HMAC-SHA-256: two of a
// billion numbers share one with a probability below 10^-20.
const IndexBytes = 16

const (
	keyTagBytes = 4
	numberHead  = 1 + IndexBytes + keyTagBytes
	textHead    = 1 + keyTagBytes + nonceBytes
)

// Numbers seals single values of a shared store. It may be used by any number of
// goroutines.
//
// A sealed number is
//
//	1 (1 byte, sealedMark)
//	its index (16 bytes)
//	which key sealed it (4 bytes)
//	the number, encrypted, and 16 bytes of tag
//
// The nonce is the beginning of the index, as in SIV (RFC 5297): the same number
// gives the same sealed form, which tells no more than the index does, and two
// different numbers have two different nonces.
//
// Text is sealed with a random nonce: the same text twice does not look the same.
type Numbers struct {
	scope string
	index []byte
	keys  []numberKey // the first seals
}

type numberKey struct {
	id      string
	tag     [keyTagBytes]byte
	numbers cipher.AEAD
	text    cipher.AEAD
}

// Numbers returns what seals the values of one site of a shared store.
func (k *Keys) Numbers(scope string) *Numbers { return k.numbers(scope, k.list) }

// Stable returns what seals values where their sealed form is their place, and so
// must never change: with the index key alone, as a Permutation does.
func (k *Keys) Stable(scope string) *Numbers {
	return k.numbers("stable "+scope, []Key{{ID: "index", Secret: k.index}})
}

func (k *Keys) numbers(scope string, list []Key) *Numbers {
	n := &Numbers{scope: scope, index: derive(&k.index, nil, "index "+scope, KeyBytes)}
	for i := range list {
		secret := &list[i].Secret
		n.keys = append(n.keys, numberKey{
			id: list[i].ID, tag: [keyTagBytes]byte(derive(secret, nil, "tag "+scope, keyTagBytes)),
			numbers: newGCM(derive(secret, nil, "number "+scope, KeyBytes)),
			text:    newGCM(derive(secret, nil, "text "+scope, KeyBytes)),
		})
	}
	return n
}

// Index returns what stands for a number in an index.
func (n *Numbers) Index(number string) string {
	mac := hmac.New(sha256.New, n.index)
	mac.Write([]byte(number))
	return string(mac.Sum(nil)[:IndexBytes])
}

// Seal returns a number's sealed form; "" stays "".
func (n *Numbers) Seal(number string) string {
	if number == "" {
		return ""
	}
	key := &n.keys[0]
	out := make([]byte, 0, numberHead+len(number)+tagBytes)
	out = append(append(append(out, sealedMark), n.Index(number)...), key.tag[:]...)
	return string(key.numbers.Seal(out, out[1:1+nonceBytes], []byte(number), out[:numberHead]))
}

// Open returns the number of a sealed form. What is not sealed is returned as it
// is: it was stored before there was a key.
func (n *Numbers) Open(sealed string) (string, error) {
	if sealed == "" || sealed[0] != sealedMark {
		return sealed, nil
	}
	if len(sealed) < numberHead+tagBytes {
		return "", errSealed
	}
	raw := []byte(sealed)
	key, err := n.sealedBy(raw[1+IndexBytes:])
	if err != nil {
		return "", err
	}
	out, err := key.numbers.Open(nil, raw[1:1+nonceBytes], raw[numberHead:], raw[:numberHead])
	if err != nil {
		return "", errChanged
	}
	return string(out), nil
}

// SealText returns the sealed form of free text; "" stays "".
func (n *Numbers) SealText(text string) string {
	if text == "" {
		return ""
	}
	key := &n.keys[0]
	out := make([]byte, textHead, textHead+len(text)+tagBytes)
	out[0] = sealedMark
	copy(out[1:], key.tag[:])
	if _, err := rand.Read(out[1+keyTagBytes : textHead]); err != nil {
		panic(err) // crypto/rand: it never returns one
	}
	return string(key.text.Seal(out, out[1+keyTagBytes:textHead], []byte(text), out[:1+keyTagBytes]))
}

// OpenText is to SealText what Open is to Seal.
func (n *Numbers) OpenText(sealed string) (string, error) {
	if sealed == "" || sealed[0] != sealedMark {
		return sealed, nil
	}
	if len(sealed) < textHead+tagBytes {
		return "", errSealed
	}
	raw := []byte(sealed)
	key, err := n.sealedBy(raw[1:])
	if err != nil {
		return "", err
	}
	out, err := key.text.Open(nil, raw[1+keyTagBytes:textHead], raw[textHead:], raw[:1+keyTagBytes])
	if err != nil {
		return "", errChanged
	}
	return string(out), nil
}

var errNoKey = fmt.Errorf("%w that sealed it is missing from privacy.keys", ErrKey)

func (n *Numbers) sealedBy(tag []byte) (*numberKey, error) {
	for i := range n.keys {
		if [keyTagBytes]byte(tag[:keyTagBytes]) == n.keys[i].tag {
			return &n.keys[i], nil
		}
	}
	return nil, errNoKey
}

// Current reports whether a stored number or text needs no sealing anew: it is
// empty, or the current key sealed it.
func (n *Numbers) Current(sealed string) bool {
	if sealed == "" {
		return true
	}
	tag := string(n.keys[0].tag[:])
	number := len(sealed) >= numberHead+tagBytes && sealed[0] == sealedMark && sealed[1+IndexBytes:numberHead] == tag
	text := len(sealed) >= textHead+tagBytes && sealed[0] == sealedMark && sealed[1:1+keyTagBytes] == tag
	return number || text
}

// Mark returns what a shared store keeps to tell the daemons that its numbers are
// sealed, and by which keys: the id of the current one with a check of its value
// and the index key's, so that wrong ones are told at once.
func (n *Numbers) Mark() string {
	mac := hmac.New(sha256.New, n.index)
	mac.Write([]byte("mark"))
	return fmt.Sprintf("%s %x %x", n.keys[0].id, n.keys[0].tag, mac.Sum(nil)[:8])
}

var errMark = errors.New("it is sealed in a way that this program does not know")

// CheckMark holds the keys against a store's mark. current is false when another
// of the keys than the first made it.
//
// Errors: ErrKey that names the key that is missing, or differs; ErrIndex.
func (n *Numbers) CheckMark(mark string) (current bool, err error) {
	var id, tag, index, ours, own string
	if _, err := fmt.Sscanf(mark, "%s %s %s", &id, &tag, &index); err != nil {
		return false, errMark
	}
	for i := range n.keys {
		one := Numbers{scope: n.scope, index: n.index, keys: n.keys[i : i+1]}
		if n.keys[i].id != id {
			continue
		}
		switch _, err := fmt.Sscanf(one.Mark(), "%s %s %s", &ours, &ours, &own); {
		case err != nil:
			return false, err
		case own != index:
			return false, ErrIndex
		case ours != tag:
			return false, fmt.Errorf("%w %q is not the one that sealed this: it has the same id and another value", ErrKey, id)
		}
		return i == 0, nil
	}
	return false, fmt.Errorf("%w %q is missing: it sealed what is stored; put it back into privacy.keys", ErrKey, id)
}
