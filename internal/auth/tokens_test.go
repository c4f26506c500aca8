package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

// forge signs claims as an attacker would who has a key.
func forge(t *testing.T, alg jose.SignatureAlgorithm, key any, head map[jose.HeaderKey]any, claims any) string {
	t.Helper()
	o := &jose.SignerOptions{ExtraHeaders: head}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, o)
	if err != nil {
		t.Fatal(err)
	}
	return must(jwt.Signed(signer).Claims(claims).Serialize())(t)
}

func encoded(v any) string {
	text, _ := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(text)
}

func TestTokensThatAreNotBelieved(t *testing.T) {
	b := newBench(t, nil)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	ecKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: rsaKey.Public(), KeyID: "rsa", Algorithm: "RS256"}, {Key: ecKey.Public(), KeyID: "ec"},
	}}
	b.write("jwks.json", must(json.Marshal(set))(t))
	b.looks()
	good := map[string]any{"iss": pki.Issuer, "aud": pki.Audience, "sub": "7001", "roles": []string{"agent"}, "exp": b.now.Add(time.Hour).Unix()}
	with := func(key string, value any) map[string]any {
		m := map[string]any{}
		for k, v := range good {
			m[k] = v
		}
		if m[key] = value; value == nil {
			delete(m, key)
		}
		return m
	}
	kid := func(id string) map[jose.HeaderKey]any { return map[jose.HeaderKey]any{"kid": id} }
	public := must(x509.MarshalPKIXPublicKey(rsaKey.Public()))(t)
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	jwk := must(json.Marshal(set.Keys[0]))(t)
	other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	valid := forge(t, jose.RS256, rsaKey, kid("rsa"), good)
	parts := strings.Split(valid, ".")
	for what, x := range map[string]struct {
		token string
		want  Reason
	}{
		"good, RSA": {valid, ""}, "good, EC": {forge(t, jose.ES256, ecKey, kid("ec"), good), ""},
		"aud in a list":           {forge(t, jose.ES256, ecKey, kid("ec"), with("aud", []string{"x", pki.Audience})), ""},
		"none":                    {encoded(map[string]string{"alg": "none", "kid": "rsa"}) + "." + parts[1] + ".", ReasonInvalid},
		"None":                    {encoded(map[string]string{"alg": "None", "kid": "rsa"}) + "." + parts[1] + "." + parts[2], ReasonInvalid},
		"no algorithm":            {encoded(map[string]string{"kid": "rsa"}) + "." + parts[1] + "." + parts[2], ReasonInvalid},
		"HS with the public PEM":  {forge(t, jose.HS256, publicPEM, kid("rsa"), good), ReasonInvalid},
		"HS with the public DER":  {forge(t, jose.HS256, public, kid("rsa"), good), ReasonInvalid},
		"HS with the public JWK":  {forge(t, jose.HS256, jwk, kid("rsa"), good), ReasonInvalid},
		"another algorithm":       {forge(t, jose.PS256, rsaKey, kid("rsa"), good), ReasonInvalid},
		"another kind of key":     {forge(t, jose.RS256, rsaKey, kid("ec"), good), ReasonInvalid},
		"unknown key":             {forge(t, jose.ES256, ecKey, kid("new"), good), ReasonInvalid},
		"no key id among several": {forge(t, jose.ES256, ecKey, nil, good), ReasonInvalid},
		"another's signature":     {forge(t, jose.ES256, other, kid("ec"), good), ReasonInvalid},
		"a key of its own": {forge(t, jose.ES256, other, map[jose.HeaderKey]any{
			"kid": "ec", "jwk": jose.JSONWebKey{Key: other.Public()}, "jku": "https://evil.example/jwks",
		}, good), ReasonInvalid},
		"critical header":     {forge(t, jose.ES256, ecKey, map[jose.HeaderKey]any{"kid": "ec", "crit": []string{"x"}, "x": 1}, good), ReasonInvalid},
		"changed claims":      {parts[0] + "." + encoded(with("roles", []string{"supervisor"})) + "." + parts[2], ReasonInvalid},
		"no signature":        {parts[0] + "." + parts[1] + ".", ReasonInvalid},
		"expired":             {forge(t, jose.ES256, ecKey, kid("ec"), with("exp", b.now.Add(-31*time.Second).Unix())), ReasonExpired},
		"within the leeway":   {forge(t, jose.ES256, ecKey, kid("ec"), with("exp", b.now.Add(-29*time.Second).Unix())), ""},
		"no expiry":           {forge(t, jose.ES256, ecKey, kid("ec"), with("exp", nil)), ReasonInvalid},
		"expiry in words":     {forge(t, jose.ES256, ecKey, kid("ec"), with("exp", "tomorrow")), ReasonInvalid},
		"endless expiry":      {forge(t, jose.ES256, ecKey, kid("ec"), with("exp", 1e300)), ReasonInvalid},
		"not yet":             {forge(t, jose.ES256, ecKey, kid("ec"), with("nbf", b.now.Add(time.Minute).Unix())), ReasonInvalid},
		"another audience":    {forge(t, jose.ES256, ecKey, kid("ec"), with("aud", "other")), ReasonInvalid},
		"no audience":         {forge(t, jose.ES256, ecKey, kid("ec"), with("aud", nil)), ReasonInvalid},
		"another issuer":      {forge(t, jose.ES256, ecKey, kid("ec"), with("iss", "evil")), ReasonInvalid},
		"no name":             {forge(t, jose.ES256, ecKey, kid("ec"), with("sub", nil)), ReasonInvalid},
		"a name with a break": {forge(t, jose.ES256, ecKey, kid("ec"), with("sub", "a\nb")), ReasonInvalid},
		"a long name":         {forge(t, jose.ES256, ecKey, kid("ec"), with("sub", strings.Repeat("a", 129))), ReasonInvalid},
		"too large":           {valid + strings.Repeat("a", maxToken), ReasonInvalid},
		"no token":            {"-", ReasonInvalid}, "three dots": {"..", ReasonInvalid},
		"JSON form": {fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), ReasonInvalid},
	} {
		for range 2 { // the second time what is remembered answers
			known, err := b.auth.Prove(Proof{Bearer: x.token})
			if reasonOf(err) != x.want {
				t.Errorf("%s: %v, want %q", what, err, x.want)
			}
			if x.want == "" && (known.Name != "7001" || known.Roles != identity.Agent || known.By != identity.ByToken || !known.At("main") || known.At("other")) {
				t.Errorf("%s: %+v", what, known)
			}
			if err != nil && (strings.Contains(err.Error(), x.token) || strings.Contains(err.Error(), parts[2])) {
				t.Errorf("%s: the refusal quotes the token", what)
			}
		}
	}
}

// TestASharedKeyTakesNoPublicOnes is the other half of the confusion of keys.
func TestASharedKeyTakesNoPublicOnes(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	c := newBench(t, nil)
	c.write("shared", append(secret, '\n'))
	o := c.auth.opts
	o.Tokens.JWKSFile, o.Tokens.SharedKeyFile = "", c.file("shared")
	c.auth = must(Open(o))(t)
	said := pki.Token{Name: "7001", Roles: identity.Agent, Until: c.now.Add(time.Hour)}
	if known, err := c.auth.Prove(Proof{Bearer: must(pki.SignShared(secret, said))(t)}); err != nil || known.Name != "7001" {
		t.Errorf("%+v, %v", known, err)
	}
	for what, token := range map[string]string{
		"a public key's": must(c.key.Sign(said))(t), "another secret's": must(pki.SignShared(append(secret, '\n'), said))(t),
	} {
		if _, err := c.auth.Prove(Proof{Bearer: token}); reasonOf(err) != ReasonInvalid {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestClaimsMayStandWithinOthers(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Tokens.RolesClaim, o.Tokens.SitesClaim, o.Tokens.NameClaim = "realm_access.roles", "https://greenlane.example/sites", "preferred_username"
	})
	key := must(b.key.JSON())(t)
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(key, &jwk); err != nil {
		t.Fatal(err)
	}
	token := forge(t, jose.ES256, jwk, nil, map[string]any{
		"iss": pki.Issuer, "aud": pki.Audience, "exp": b.now.Add(time.Hour).Unix(), "preferred_username": "anna",
		"realm_access": map[string]any{"roles": []any{"offline_access", "supervisor", 7, "agent"}}, "https://greenlane.example/sites": "east west",
	})
	known, err := b.auth.Prove(Proof{Bearer: token})
	if err != nil || known.Name != "anna" || known.Roles != identity.Agent|identity.Supervisor || !slices.Equal(known.Sites, []string{"east", "west"}) {
		t.Errorf("%+v, %v", known, err)
	}
}

// TestSitesOfATokenAreWhatItSays: only a token without the claim is for the default.
func TestSitesOfATokenAreWhatItSays(t *testing.T) {
	for _, claim := range []string{"sites", "greenlane.sites"} {
		b := newBench(t, func(o *Options) { o.Tokens.SitesClaim = claim })
		var key jose.JSONWebKey
		if err := json.Unmarshal(must(b.key.JSON())(t), &key); err != nil {
			t.Fatal(err)
		}
		for said, want := range map[string]string{
			``: "main", `["east"]`: "east", `"east west"`: "east west", `["east","*"]`: "east *",
			`[]`: "", `""`: "", `" "`: "", `null`: "", `[null]`: "", `[1]`: "", `["east",1]`: "", `["east",""]`: "", `[["east"]]`: "",
			`{"main":1}`: "", `{}`: "", `1`: "", `true`: "",
		} {
			claims := map[string]any{"iss": pki.Issuer, "aud": pki.Audience, "exp": b.now.Add(time.Hour).Unix(), "roles": "agent", "sub": "7001"}
			if said != "" {
				claims["sites"] = json.RawMessage(said)
				claims["greenlane"] = map[string]any{"sites": json.RawMessage(said)}
			}
			known, err := b.auth.Prove(Proof{Bearer: forge(t, jose.ES256, key, nil, claims)})
			if strings.Join(known.Sites, " ") != want || (err == nil) != (want != "") || err != nil && !strings.Contains(err.Error(), claim) {
				t.Errorf("%s: %s: it is for %q, %v", claim, said, known.Sites, err)
			}
		}
	}
}

// TestEveryNameIsNobodysChoice: who makes tokens sets sub, and people often choose
// the name that they are shown by.
func TestEveryNameIsNobodysChoice(t *testing.T) {
	for _, x := range []struct {
		claim, sub, shown, name string
	}{
		{"sub", "*", "anna", "*"},
		{"preferred_username", "anna", "*", ""},
		{"preferred_username", "", "*", ""},
		{"preferred_username", "*", "*", "*"},
		{"preferred_username", "*", "anna", "anna"},
	} {
		b := newBench(t, func(o *Options) { o.Tokens.NameClaim = x.claim })
		var key jose.JSONWebKey
		if err := json.Unmarshal(must(b.key.JSON())(t), &key); err != nil {
			t.Fatal(err)
		}
		token := forge(t, jose.ES256, key, nil, map[string]any{
			"iss": pki.Issuer, "aud": pki.Audience, "exp": b.now.Add(time.Hour).Unix(), "roles": "agent", "sub": x.sub, "preferred_username": x.shown,
		})
		known, err := b.auth.Prove(Proof{Bearer: token})
		if known.Name != x.name || (err == nil) != (x.name != "") {
			t.Errorf("%+v: it is %q, %v", x, known.Name, err)
		}
	}
}

func TestAKeyThatIsGoneIsBelievedNoMore(t *testing.T) {
	b := newBench(t, nil)
	token := must(b.key.Sign(pki.Token{Name: "7001", Roles: identity.Agent, Until: b.now.Add(time.Hour)}))(t)
	if _, err := b.auth.Prove(Proof{Bearer: token}); err != nil {
		t.Fatal(err)
	}
	changed := b.auth.Changed()
	next := must(pki.NewTokenKey())(t)
	b.write("jwks.json", must(pki.JWKS(next, b.key))(t))
	b.looks()
	<-changed
	if _, err := b.auth.Prove(Proof{Bearer: token}); err != nil {
		t.Errorf("with both keys: %v", err)
	}
	b.write("jwks.json", must(pki.JWKS(next))(t))
	b.looks()
	if _, err := b.auth.Prove(Proof{Bearer: token}); reasonOf(err) != ReasonInvalid {
		t.Errorf("without its key: %v", err)
	}
}

func FuzzToken(f *testing.F) {
	key, err := pki.NewTokenKey()
	if err != nil {
		f.Fatal(err)
	}
	text, _ := pki.JWKS(key)
	k, err := readJWKS([][]byte{text})
	if err != nil {
		f.Fatal(err)
	}
	good, _ := key.Sign(pki.Token{Name: "a", Roles: identity.Agent, Until: time.Now().Add(time.Hour)})
	f.Add(good)
	f.Add("a.b.c")
	f.Add("")
	t := &tokens{opts: TokenOptions{Audience: pki.Audience, NameClaim: "sub", RolesClaim: "roles", SitesClaim: "sites"}, algorithms: publicAlgorithms}
	f.Fuzz(func(test *testing.T, token string) {
		// The same signature can be written in more than one way; it says the same.
		if b, refusal := t.read(token, k); refusal == nil && (b.known.Name != "a" || b.known.Roles != identity.Agent) {
			test.Errorf("%q is believed: %+v", token, b.known)
		}
	})
}
