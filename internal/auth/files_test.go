package auth

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an authority over files of the test, with a clock of its own.
type bench struct {
	t    *testing.T
	dir  string
	now  time.Time
	ca   *pki.CA
	key  *pki.TokenKey
	auth *Authority
	log  strings.Builder
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (b *bench) file(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name string, text []byte) {
	b.t.Helper()
	if err := os.WriteFile(b.file(name), text, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) server(name string) {
	b.t.Helper()
	p := must(b.ca.Server(b.now.Add(-time.Hour), b.now.Add(time.Hour), name))(b.t)
	b.write("server.crt", p.Cert)
	b.write("server.key", p.Key)
}

func newBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), now: time.Now().Truncate(time.Second)}
	b.ca = must(pki.NewCA("ca", b.now, 24*time.Hour))(t)
	b.write("ca.crt", must(b.ca.PEM())(t).Cert)
	b.write("crl.pem", must(b.ca.CRL(nil, b.now, b.now.Add(2*time.Hour)))(t))
	b.key = must(pki.NewTokenKey())(t)
	b.write("jwks.json", must(pki.JWKS(b.key))(t))
	b.server("one")
	opts := Options{
		Cert: b.file("server.crt"), Key: b.file("server.key"), ClientCA: b.file("ca.crt"), ClientCRL: b.file("crl.pem"),
		TrustDomain: "example.org", Now: func() time.Time { return b.now },
		Tokens: TokenOptions{
			JWKSFile: b.file("jwks.json"), Audience: pki.Audience, Issuer: pki.Issuer, Leeway: 30 * time.Second,
			NameClaim: "sub", RolesClaim: "roles", SitesClaim: "sites",
		},
		Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	if change != nil {
		change(&opts)
	}
	b.auth = must(Open(opts))(t)
	return b
}

// looks gives a change the two glances that it needs to be taken.
func (b *bench) looks() { b.auth.look(); b.auth.look() }

func (b *bench) client(role identity.Role, name string, sites ...string) []*x509.Certificate {
	b.t.Helper()
	p := must(b.ca.Client(b.now.Add(-time.Minute), b.now.Add(time.Hour), "example.org", role, name, sites...))(b.t)
	return []*x509.Certificate{p.X509}
}

func reasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

func TestAChangeIsTakenWhenItStands(t *testing.T) {
	b := newBench(t, nil)
	serial := func() string { return b.auth.server.now().leaf.DNSNames[0] }
	b.server("two")
	b.auth.look()
	if serial() != "one" {
		t.Error("a change was taken at first sight: its writer may not be done")
	}
	b.auth.look()
	if serial() != "two" || b.auth.Counts().Reloads.Load() != 1 {
		t.Errorf("after two looks the certificate is %s, reloads %d", serial(), b.auth.Counts().Reloads.Load())
	}
}

// TestABrokenFileLeavesWhatWas: whatever the files become, what was good stays,
// and it is told once.
func TestABrokenFileLeavesWhatWas(t *testing.T) {
	cut := func(text []byte) []byte { return text[:len(text)-40] }
	for name, spoil := range map[string]func(b *bench){
		"half a certificate": func(b *bench) { b.write("server.crt", cut(must(os.ReadFile(b.file("server.crt")))(t))) },
		"another's key":      func(b *bench) { k := must(b.ca.Plain(b.now, b.now, "x"))(t); b.write("server.key", k.Key) },
		"no key":             func(b *bench) { os.Remove(b.file("server.key")) },
		"an empty key":       func(b *bench) { b.write("server.key", nil) },
		"a CA cut short": func(b *bench) {
			text := must(os.ReadFile(b.file("ca.crt")))(t)
			b.write("ca.crt", append(text, cut(text)...))
		},
		"no authority": func(b *bench) { b.write("ca.crt", must(b.ca.Plain(b.now, b.now, "x"))(t).Cert) },
		"a list of another's": func(b *bench) {
			other := must(pki.NewCA("ca", b.now, time.Hour))(t)
			b.write("crl.pem", must(other.CRL(nil, b.now, b.now.Add(time.Hour)))(t))
		},
		"half a list":    func(b *bench) { b.write("crl.pem", cut(must(os.ReadFile(b.file("crl.pem")))(t))) },
		"half a key set": func(b *bench) { b.write("jwks.json", cut(must(os.ReadFile(b.file("jwks.json")))(t))) },
		"a secret in the key set": func(b *bench) {
			b.write("jwks.json", append(append([]byte(`{"keys":[`), must(b.key.JSON())(t)...), "]}"...))
		},
		"no key in the set": func(b *bench) { b.write("jwks.json", []byte(`{"keys":[]}`)) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			chain := b.client(identity.Agent, "7001", "main")
			token := must(b.key.Sign(pki.Token{Name: "7001", Roles: identity.Agent, Until: b.now.Add(time.Hour)}))(t)
			changed := b.auth.Changed()
			spoil(b)
			for range 5 {
				b.auth.look()
			}
			if n := b.auth.Counts().Failures.Load(); n != 1 || strings.Count(b.log.String(), "no good") != 1 {
				t.Errorf("%d failures are counted; the log says:\n%s", n, b.log.String())
			}
			select {
			case <-changed:
				t.Error("a change was told")
			default:
			}
			for what, p := range map[string]Proof{"certificate": {Chain: chain}, "token": {Bearer: token}} {
				if _, err := b.auth.Prove(p); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if b.auth.server.now().leaf.DNSNames[0] != "one" {
				t.Error("the daemon's certificate is gone")
			}
			if secret := must(b.key.JSON())(t); strings.Contains(b.log.String(), string(secret[20:60])) {
				t.Error("the log quotes a secret")
			}
		})
	}
}

func TestRevocationAndItsEnd(t *testing.T) {
	b := newBench(t, nil)
	chain := b.client(identity.Switch, "pbx", "main")
	if _, err := b.auth.Prove(Proof{Chain: chain}); err != nil {
		t.Fatal(err)
	}
	changed := b.auth.Changed()
	b.write("crl.pem", must(b.ca.CRL(nil, b.now, b.now.Add(time.Hour), chain[0]))(t))
	b.looks()
	<-changed
	if _, err := b.auth.Prove(Proof{Chain: chain}); reasonOf(err) != ReasonRevoked {
		t.Errorf("a revoked certificate: %v", err)
	}
	if e := b.auth.Expiries(); !e.CRL.Equal(b.now.Add(time.Hour)) || !e.CA.Equal(b.ca.Cert.NotAfter) || e.Certificate.IsZero() {
		t.Errorf("expiries %+v", e)
	}
	b.write("crl.pem", must(b.ca.CRL(nil, b.now, b.now.Add(time.Hour)))(t))
	b.looks()
	if _, err := b.auth.Prove(Proof{Chain: chain}); err != nil {
		t.Errorf("a certificate that is revoked no more: %v", err)
	}
	// A list that is due for a successor still counts, and so do the others.
	b.write("crl.pem", must(b.ca.CRL(nil, b.now, b.now.Add(time.Second), b.client(identity.Switch, "x", "main")...))(t))
	b.looks()
	b.now = b.now.Add(time.Minute)
	if _, err := b.auth.Prove(Proof{Chain: chain}); err != nil {
		t.Errorf("with an old list: %v", err)
	}
}

// TestAnAuthorityIsTakenBack: one that is left out of client_ca is trusted no more,
// though its list is still there, with the same subject as another's. Those that
// stay keep their lists.
func TestAnAuthorityIsTakenBack(t *testing.T) {
	b := newBench(t, nil)
	gone := must(pki.NewCA("ca", b.now, 24*time.Hour))(t)
	issue := func(ca *pki.CA, name string) []*x509.Certificate {
		p := must(ca.Client(b.now.Add(-time.Minute), b.now.Add(time.Hour), "example.org", identity.Agent, name, "main"))(t)
		return []*x509.Certificate{p.X509}
	}
	join := func(texts ...[]byte) []byte { return bytes.Join(texts, nil) }
	crl := func(ca *pki.CA, out ...*x509.Certificate) []byte {
		return must(ca.CRL(nil, b.now, b.now.Add(time.Hour), out...))(t)
	}
	stays, revoked, of := issue(b.ca, "7001"), issue(b.ca, "7002"), issue(gone, "7003")
	prove := func(when string, chain []*x509.Certificate, want Reason) {
		t.Helper()
		if _, err := b.auth.Prove(Proof{Chain: chain}); reasonOf(err) != want {
			t.Errorf("%s: %v, want %q", when, err, want)
		}
	}
	b.write("ca.crt", join(must(b.ca.PEM())(t).Cert, must(gone.PEM())(t).Cert))
	b.write("crl.pem", join(crl(gone), crl(b.ca, revoked...)))
	b.looks()
	prove("with both", of, "")
	prove("with both", revoked, ReasonRevoked)
	changed := b.auth.Changed()
	b.write("ca.crt", must(b.ca.PEM())(t).Cert)
	b.looks()
	select {
	case <-changed:
	default:
		t.Error("no change was told")
	}
	prove("with one", of, ReasonInvalid)
	prove("with one", stays, "")
	prove("with one", revoked, ReasonRevoked)
	if n := strings.Count(b.log.String(), "passed over"); n != 1 || b.auth.Counts().Failures.Load() != 0 {
		t.Errorf("%d warnings, %d failures:\n%s", n, b.auth.Counts().Failures.Load(), b.log.String())
	}
	b.auth = must(Open(b.auth.opts))(t) // and so after a restart
	prove("after a restart", of, ReasonInvalid)
	prove("after a restart", revoked, ReasonRevoked)
}

// TestAListThatWasChangedIsNoStrangers: whose issuer is there must be signed by it.
func TestAListThatWasChangedIsNoStrangers(t *testing.T) {
	b := newBench(t, nil)
	block, _ := pem.Decode(must(b.ca.CRL(nil, b.now, b.now.Add(time.Hour)))(t))
	block.Bytes[len(block.Bytes)-1] ^= 1
	b.write("crl.pem", pem.EncodeToMemory(block))
	if _, err := Open(b.auth.opts); err == nil || !strings.Contains(err.Error(), "not signed by that authority") {
		t.Errorf("opened with it: %v", err)
	}
	b.looks()
	if b.auth.Counts().Failures.Load() != 1 {
		t.Errorf("it was taken:\n%s", b.log.String())
	}
}

func TestFaultsAtTheStartAreJoined(t *testing.T) {
	dir := t.TempDir()
	none := func(name string) string { return filepath.Join(dir, name) }
	_, err := Open(Options{
		Cert: none("c"), Key: none("k"), ClientCA: none("a"), Tokens: TokenOptions{JWKSFile: none("j")},
		Subjects: []Subject{{CN: "a", DNS: "b", Roles: identity.Agent}, {URI: "x*y*", Roles: identity.Agent}, {CN: "a"}},
	})
	for _, want := range []string{"tls: certificate and key", "authorities of clients", "auth.tokens", "subjects[0]: one of", "subjects[1]", "subjects[2]: roles"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}
