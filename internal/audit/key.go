package audit

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"greenlane/tiering"
)

// Key signs checkpoints, and makes callers findable without their numbers being
// readable. A public key can do neither: it checks signatures.
type Key struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey // nil in a public key
	index   []byte             // of the callers' keyed hash; nil in a public key
}

// callerBytes is how much of a caller's keyed hash is kept: 128 bits.
const callerBytes = 16

// NewKey makes a Key of a private one.
func NewKey(private ed25519.PrivateKey) (*Key, error) {
	index, err := hkdf.Key(sha256.New, private.Seed(), nil, "greenlane audit: callers", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("audit: deriving the callers' key: %w", err)
	}
	return &Key{public: private.Public().(ed25519.PublicKey), private: private, index: index}, nil
}

// LoadKey reads an Ed25519 key in PEM: a private one as `openssl genpkey
// -algorithm ed25519` writes it, or a public one as `openssl pkey -pubout` does.
func LoadKey(path string) (*Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	var parsed any
	switch block.Type {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		parsed, err = x509.ParsePKIXPublicKey(block.Bytes)
	default:
		err = fmt.Errorf("a PEM block %q is neither a private nor a public key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch k := parsed.(type) {
	case ed25519.PrivateKey:
		return NewKey(k)
	case ed25519.PublicKey:
		return &Key{public: k}, nil
	}
	return nil, fmt.Errorf("%s: only an Ed25519 key is allowed (openssl genpkey -algorithm ed25519)", path)
}

// ErrPublic says that a private key is needed.
var ErrPublic = errors.New("audit: a private key is needed, and this is a public one")

// Private reports whether the key can sign.
func (k *Key) Private() bool { return k != nil && k.private != nil }

// ID names the key in the record: the first 8 bytes of its public half's
// SHA-256, in hexadecimal digits.
func (k *Key) ID() string {
	sum := sha256.Sum256(k.public)
	return hex.EncodeToString(sum[:8])
}

// signed is what a checkpoint's signature is made over: the chain, the
// checkpoint's own number and the hash before it.
func signed(chain string, seq uint64, prev Hash) []byte {
	return fmt.Appendf(nil, "greenlane audit checkpoint 1\n%s\n%d\n%s\n", chain, seq, prev)
}

func (k *Key) sign(chain string, seq uint64, prev Hash) *Signature {
	value := ed25519.Sign(k.private, signed(chain, seq, prev))
	return &Signature{Key: k.ID(), Value: base64.StdEncoding.EncodeToString(value)}
}

func (k *Key) verifies(s *Signature, chain string, seq uint64, prev Hash) bool {
	value, err := base64.StdEncoding.DecodeString(s.Value)
	return err == nil && ed25519.Verify(k.public, signed(chain, seq, prev), value)
}

// Caller returns what the record holds of a caller at a site: the number masked,
// and its keyed hash if there is a private key, else "".
func (k *Key) Caller(site string, n tiering.Number) (masked, keyed string) {
	if n == tiering.Withheld {
		return "", ""
	}
	if k.Private() {
		mac := hmac.New(sha256.New, k.index)
		fmt.Fprintf(mac, "%s\n%s", site, n)
		keyed = base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:callerBytes])
	}
	return n.Masked(), keyed
}
