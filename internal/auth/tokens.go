package auth

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	lru "github.com/hashicorp/golang-lru/v2"

	"greenlane/internal/identity"
)

// TokenOptions say which bearer tokens (JWT, RFC 7519) count. One of JWKSFile and
// SharedKeyFile is given; Audience must be.
type TokenOptions struct {
	// JWKSFile has the public keys of who makes the tokens (RFC 7517).
	JWKSFile string
	// SharedKeyFile has a secret of at least 32 bytes, for HMAC.
	SharedKeyFile string
	// RevokedFile lists tokens that count no more, a revoked.List; empty: none.
	RevokedFile string
	// Issuer must be the token's iss; empty: anybody's.
	Issuer string
	// Audience must be among the token's aud.
	Audience string
	// Leeway is by how much clocks may differ.
	Leeway time.Duration
	// NameClaim, RolesClaim and SitesClaim are where the identity stands. A claim
	// within another is named with dots: realm_access.roles.
	NameClaim, RolesClaim, SitesClaim string
}

// On reports whether tokens are accepted.
func (o *TokenOptions) On() bool { return o.JWKSFile != "" || o.SharedKeyFile != "" }

// Public keys and shared ones have algorithms of their own: a token that says HS256
// must not be checked with a public key as if it were a secret, and "none" is no
// algorithm.
var (
	publicAlgorithms = []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
	sharedAlgorithms = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
)

// What a token may be at most, and how many are remembered.
const (
	maxToken   = 16 << 10
	manyTokens = 16 << 10
	leastKey   = 32   // bytes of a shared key
	leastRSA   = 2048 // bits
)

// keys are what tokens are checked with.
type keys struct {
	shared []byte                     // nil: public ones
	byID   map[string]jose.JSONWebKey // public ones by kid
}

type tokens struct {
	opts       TokenOptions
	algorithms []jose.SignatureAlgorithm
	keys       *kept[keys]
	revoked    *kept[revocations] // nil: there is no list
	cache      *lru.Cache[[sha256.Size]byte, *believed]
}

// believed is a token whose signature and claims were found good.
type believed struct {
	by    *keys
	known Known
	from  time.Time // not before; zero: whenever

	// What a list of revoked tokens knows it by; empty and zero where it does not say.
	id, subject string
	issued      time.Time
}

func newTokens(opts TokenOptions) (*tokens, error) {
	t := &tokens{opts: opts, algorithms: publicAlgorithms}
	file, read := opts.JWKSFile, readJWKS
	if opts.SharedKeyFile != "" {
		t.algorithms, file, read = sharedAlgorithms, opts.SharedKeyFile, readShared
	}
	var keysErr, listErr error
	t.keys, keysErr = open("auth.tokens", []string{file}, read)
	if opts.RevokedFile != "" {
		t.revoked, listErr = open("auth.tokens: revoked tokens", []string{opts.RevokedFile}, readRevocations)
	}
	if err := errors.Join(keysErr, listErr); err != nil {
		return nil, err
	}
	var err error
	t.cache, err = lru.New[[sha256.Size]byte, *believed](manyTokens)
	return t, err
}

func readShared(texts [][]byte) (*keys, error) {
	key := bytes.TrimRight(texts[0], "\r\n")
	if len(key) < leastKey {
		return nil, fmt.Errorf("auth.tokens.shared_key_file: a key of at least %d bytes is needed", leastKey)
	}
	return &keys{shared: bytes.Clone(key)}, nil
}

func readJWKS(texts [][]byte) (*keys, error) {
	fault := func(format string, args ...any) (*keys, error) {
		return nil, fmt.Errorf("auth.tokens.jwks_file: "+format, args...)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(texts[0], &set); err != nil {
		return fault("no JSON web key set: %w", err)
	}
	out := &keys{byID: map[string]jose.JSONWebKey{}}
	for i, raw := range set.Keys {
		var what struct{ Kty, Use string }
		if err := json.Unmarshal(raw, &what); err != nil {
			return fault("keys[%d]: %w", i, err)
		}
		if what.Use == "enc" || what.Kty != "RSA" && what.Kty != "EC" && what.Kty != "OKP" && what.Kty != "oct" {
			continue // a key for something else (RFC 7517, section 5)
		}
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			return fault("keys[%d]: it cannot be read", i) // not the reason, which may quote a secret
		}
		if err := publicKey(&key); err != nil {
			return fault("keys[%d]: %w", i, err)
		}
		if _, twice := out.byID[key.KeyID]; twice {
			return fault("keys[%d]: kid %q stands there twice", i, key.KeyID)
		}
		out.byID[key.KeyID] = key
	}
	if len(out.byID) == 0 {
		return fault("no key for signatures is in it")
	}
	return out, nil
}

func publicKey(key *jose.JSONWebKey) error {
	if !key.IsPublic() {
		return errors.New("it is secret: only public keys belong there")
	}
	if !key.Valid() {
		return errors.New("it is not valid")
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < leastRSA {
		return fmt.Errorf("an RSA key of at least %d bits is needed", leastRSA)
	}
	return nil
}

// prove tells who a token says its bearer is.
func (t *tokens) prove(token string, now time.Time) (Known, *Refusal) {
	if len(token) > maxToken {
		return Known{}, badToken("it is larger than %d bytes", maxToken)
	}
	by := t.keys.now()
	at := sha256.Sum256([]byte(token))
	b, ok := t.cache.Get(at)
	if !ok || b.by != by {
		var refusal *Refusal
		if b, refusal = t.read(token, by); refusal != nil {
			return Known{}, refusal
		}
		t.cache.Add(at, b)
	}
	switch {
	case !now.Before(b.known.Until):
		return Known{}, &Refusal{Reason: ReasonExpired, Detail: "the token has expired", Name: b.known.Name}
	case now.Before(b.from):
		return Known{}, &Refusal{Reason: ReasonInvalid, Detail: "the token is not valid yet", Name: b.known.Name}
	case t.revoked != nil && t.revoked.now().take(b):
		return Known{}, &Refusal{Reason: ReasonRevoked, Detail: "the token is revoked", Name: b.known.Name}
	}
	return b.known, nil
}

func badToken(format string, args ...any) *Refusal {
	return &Refusal{Reason: ReasonInvalid, Detail: "the token: " + fmt.Sprintf(format, args...)}
}

// read checks everything of a token that time does not change.
func (t *tokens) read(token string, by *keys) (*believed, *Refusal) {
	parsed, err := jwt.ParseSigned(token, t.algorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return nil, badToken("it cannot be read, or its algorithm is not allowed")
	}
	key, refusal := by.find(&parsed.Headers[0])
	if refusal != nil {
		return nil, refusal
	}
	var claims jwt.Claims
	all := map[string]any{}
	if err := parsed.Claims(key, &claims, &all); err != nil {
		return nil, badToken("its signature or its claims are not good")
	}
	switch {
	case claims.Expiry == nil:
		return nil, badToken("it has no exp")
	case t.opts.Issuer != "" && claims.Issuer != t.opts.Issuer:
		return nil, badToken("its iss is another")
	case !claims.Audience.Contains(t.opts.Audience):
		return nil, badToken("its aud is another")
	}
	said, _ := claimOf(all, t.opts.NameClaim)
	name, _ := said.(string)
	if !sound(name) {
		return nil, badToken("its %s is no name: 1 to 128 bytes without control characters are allowed", t.opts.NameClaim)
	}
	if name == identity.AnyName && claims.Subject != identity.AnyName {
		// Who makes tokens sets sub; other claims are often their bearer's own choice.
		return nil, badToken("its %s is %s, and its sub is not", t.opts.NameClaim, identity.AnyName)
	}
	b := &believed{by: by, known: Known{Until: claims.Expiry.Time().Add(t.opts.Leeway)}, id: claims.ID, subject: claims.Subject}
	if claims.IssuedAt != nil {
		b.issued = claims.IssuedAt.Time()
	}
	if claims.NotBefore != nil {
		b.from = claims.NotBefore.Time().Add(-t.opts.Leeway)
	}
	b.known.Identity = identity.Identity{Name: name, Sites: []string{DefaultSite}, By: identity.ByToken}
	if said, ok := claimOf(all, t.opts.SitesClaim); ok {
		// Who takes the last site away must not give the default by it.
		if b.known.Sites = listOf(said); len(b.known.Sites) == 0 || !onlyWords(said) {
			return nil, badToken("its %s are no list of words with at least one", t.opts.SitesClaim)
		}
	}
	said, _ = claimOf(all, t.opts.RolesClaim)
	for _, word := range listOf(said) {
		role, _ := identity.ParseRole(word) // what others mean by their roles is not ours to judge
		b.known.Roles |= role
	}
	return b, nil
}

// find returns the key that a token names, as long as it may be used so.
func (k *keys) find(h *jose.Header) (any, *Refusal) {
	if k.shared != nil {
		return k.shared, nil
	}
	key, ok := k.byID[h.KeyID]
	if h.KeyID == "" && len(k.byID) == 1 {
		for _, only := range k.byID {
			key, ok = only, true
		}
	}
	switch {
	case !ok:
		return nil, badToken("its key is unknown")
	case key.Algorithm != "" && key.Algorithm != h.Algorithm:
		return nil, badToken("its key is for another algorithm")
	}
	return key.Key, nil
}

// claimOf finds a claim by its name, or by names joined with dots, and reports
// whether it is there.
func claimOf(claims map[string]any, path string) (any, bool) {
	if v, ok := claims[path]; ok {
		return v, true
	}
	head, rest, deeper := strings.Cut(path, ".")
	if within, ok := claims[head].(map[string]any); ok && deeper {
		return claimOf(within, rest)
	}
	return nil, false
}

// onlyWords reports whether a claim that is a list has nothing but words in it.
func onlyWords(claim any) bool {
	list, _ := claim.([]any)
	return len(list) == len(listOf(list))
}

// listOf reads a claim of words: a list, or a text with spaces between them as
// OAuth's scope.
func listOf(claim any) []string {
	switch v := claim.(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var out []string
		for _, one := range v {
			if word, ok := one.(string); ok && word != "" {
				out = append(out, word)
			}
		}
		return out
	}
	return nil
}
