package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"greenlane/internal/identity"
)

// TokenKey signs tokens (ES256).
type TokenKey struct{ key jose.JSONWebKey }

// Issuer is who the tokens of this package say made them, Audience whom they are
// for.
const (
	Issuer   = "greenlane-dev"
	Audience = "greenlane"
)

// NewTokenKey makes a key.
func NewTokenKey() (*TokenKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return &TokenKey{jose.JSONWebKey{Key: key, KeyID: "dev-" + strings.ToLower(rand.Text()[:8]), Algorithm: string(jose.ES256), Use: "sig"}}, nil
}

// ReadTokenKey reads a key that JSON wrote.
func ReadTokenKey(text []byte) (*TokenKey, error) {
	k := new(TokenKey)
	if json.Unmarshal(text, &k.key) != nil || !k.key.Valid() || k.key.IsPublic() {
		return nil, errors.New("no secret key for tokens is in the file")
	}
	return k, nil
}

// JSON returns the secret key.
func (k *TokenKey) JSON() ([]byte, error) { return json.MarshalIndent(k.key, "", "  ") }

// JWKS returns the public keys of some keys, as a key set.
func JWKS(keys ...*TokenKey) ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.key.Public())
	}
	return json.MarshalIndent(set, "", "  ")
}

// Token is what a token says.
type Token struct {
	Name      string
	Roles     identity.Role
	Sites     []string
	ID        string    // jti; empty: it has none, and cannot be revoked singly
	Issued    time.Time // zero: it does not say
	NotBefore time.Time // zero: at once
	Until     time.Time // zero: it does not say
	Issuer    string    // empty: Issuer
	Audience  string    // empty: Audience
}

// Sign makes a token.
func (k *TokenKey) Sign(t Token) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: k.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("pki: %w", err)
	}
	return t.sign(signer)
}

// SignShared makes a token with a shared key (HS256).
func SignShared(key []byte, t Token) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("pki: %w", err)
	}
	return t.sign(signer)
}

func (t Token) sign(signer jose.Signer) (string, error) {
	claims := jwt.Claims{
		Issuer: Issuer, Subject: t.Name, Audience: jwt.Audience{Audience},
		ID:       t.ID,
		IssuedAt: jwt.NewNumericDate(t.Issued), Expiry: jwt.NewNumericDate(t.Until), NotBefore: jwt.NewNumericDate(t.NotBefore),
	}
	if t.Issuer != "" {
		claims.Issuer = t.Issuer
	}
	if t.Audience != "" {
		claims.Audience = jwt.Audience{t.Audience}
	}
	more := struct {
		Roles []string `json:"roles"`
		Sites []string `json:"sites,omitempty"`
	}{strings.Split(t.Roles.String(), ","), t.Sites}
	return jwt.Signed(signer).Claims(claims).Claims(more).Serialize()
}
