package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrKey says that a key is missing or is not the one that sealed something. The
// error names the key's id, never the key.
var ErrKey = errors.New("key")

// ErrIndex is the ErrKey of an index key that is not the one that indexed something.
var ErrIndex = fmt.Errorf("%w of the index is not the one that indexed what is stored", ErrKey)

// KeyBytes is the length of a secret.
const KeyBytes = 32

// Secret is a key's value. It never shows itself.
type Secret [KeyBytes]byte

// String implements fmt.Stringer.
func (Secret) String() string { return "(secret)" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "(secret)" }

// ParseSecret reads a secret as key files hold it: 32 bytes in base64 or
// hexadecimal, with white space around it. The error never quotes the text.
func ParseSecret(text []byte) (s Secret, err error) {
	word := strings.TrimSpace(string(text))
	raw, err := hex.DecodeString(word)
	if err != nil || len(raw) != KeyBytes {
		if raw, err = base64.StdEncoding.DecodeString(word); err != nil || len(raw) != KeyBytes {
			return s, fmt.Errorf("%d bytes in base64 or hexadecimal are needed, as `openssl rand -base64 %d` writes them", KeyBytes, KeyBytes)
		}
	}
	if [KeyBytes]byte(raw) == ([KeyBytes]byte{}) {
		return s, errors.New("a key of nothing but zeros is none")
	}
	return Secret(raw), nil
}

// Key is one secret and what it is called.
type Key struct {
	ID     string
	Secret Secret
}

// Keys are what a daemon seals and opens with.
type Keys struct {
	list  []Key // the first seals
	index Secret
	old   *Secret // the index key before this one; nil: there is none to be replaced
}

// New returns the keys of a configuration: index makes the indexes, and of list the
// first seals.
func New(index Secret, list []Key) (*Keys, error) {
	if len(list) == 0 {
		return nil, errors.New("at least one key is needed")
	}
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	seen := map[string]bool{}
	secrets := map[Secret]string{}
	for _, k := range list {
		if !validID(k.ID) {
			bad("%q is no id of a key: 1 to 32 letters, digits, '.', '_' or '-' are allowed", k.ID)
		}
		same, twice := secrets[k.Secret]
		switch {
		case seen[k.ID]:
			bad("key %q stands there twice", k.ID)
		case twice:
			bad("keys %q and %q are the same", same, k.ID)
		case k.Secret == index:
			bad("key %q is the index key: they must differ", k.ID)
		}
		seen[k.ID], secrets[k.Secret] = true, k.ID
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return &Keys{list: list, index: index}, nil
}

// Replacing returns the same keys for whoever is to index anew what was indexed with
// an old index key.
func (k *Keys) Replacing(old Secret) (*Keys, error) {
	if old == k.index {
		return nil, errors.New("the old index key is the index key: they must differ")
	}
	for i := range k.list {
		if k.list[i].Secret == old {
			return nil, fmt.Errorf("key %q is the old index key: they must differ", k.list[i].ID)
		}
	}
	return &Keys{list: k.list, index: k.index, old: &old}, nil
}

// Old returns the keys with the old index key in the new one's place; nil when none
// is being replaced.
func (k *Keys) Old() *Keys {
	if k.old == nil {
		return nil
	}
	return &Keys{list: k.list, index: *k.old}
}

func validID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return id != "" && len(id) <= 32
}

// String implements fmt.Stringer: the ids.
func (k *Keys) String() string {
	var ids []string
	for i := range k.list {
		ids = append(ids, k.list[i].ID)
	}
	return "keys " + strings.Join(ids, ", ")
}

// GoString implements fmt.GoStringer.
func (k *Keys) GoString() string { return k.String() }

// Current returns the id of the key that seals.
func (k *Keys) Current() string { return k.list[0].ID }

// named returns the key with an id, or ErrKey that names it.
func (k *Keys) named(id string) (*Key, error) {
	for i := range k.list {
		if k.list[i].ID == id {
			return &k.list[i], nil
		}
	}
	return nil, fmt.Errorf("%w %q is missing: it sealed what is stored; put it back into privacy.keys", ErrKey, id)
}

// derive returns n bytes for one use of a secret.
func derive(s *Secret, salt []byte, use string, n int) []byte {
	out, err := hkdf.Key(sha256.New, s[:], salt, "greenlane "+use, n)
	if err != nil {
		panic(err) // only for lengths that nobody asks for
	}
	return out
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is as long as it must be
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}
