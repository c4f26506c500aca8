package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"greenlane/internal/auth/revoked"
	"greenlane/internal/identity"
)

// TrustDomain is whose SPIFFE ids the certificates of a directory bear.
const TrustDomain = "greenlane.dev"

// The files of a directory.
const (
	caCert, caKey = "ca.crt", "ca.key"
	crlFile       = "crl.pem"
	jwksFile      = "jwks.json"
	revokedFile   = "revoked.json"
	tokenKey      = "token-key.json"
	configFile    = "greenlaned.yaml"
)

// Client is one of those that a directory begins with.
type Client struct {
	File  string // of its certificate, key and token, without the ending
	Role  identity.Role
	Name  string
	About string
	token bool // has a token and no certificate
}

// Clients returns whom a directory begins with: one per role, and one who may
// everything, for `greenlane load`.
func Clients() []Client {
	return []Client{
		{File: "switch", Role: identity.Switch, Name: "pbx-1", About: "a telephony switch"},
		{File: "agent", Role: identity.Agent, Name: "7001", About: "the softphone of agent 7001"},
		{File: "supervisor", Role: identity.Supervisor, Name: "supervisor", About: "a supervisor"},
		{File: "back-office", Role: identity.BackOffice, Name: "back-office", About: "a job that keeps tiers"},
		{File: "metrics", Role: identity.Metrics, Name: "prometheus", About: "Prometheus"},
		{
			File: "everything", Role: identity.All, Name: identity.AnyName, token: true,
			About: "every role under every name: for greenlane load",
		},
	}
}

// Dir is a directory with an authority, its clients and the key of tokens.
type Dir struct {
	Path string
	Now  func() time.Time
}

func (d Dir) file(name string) string { return filepath.Join(d.Path, name) }

func (d Dir) write(name string, text []byte, mode os.FileMode) error {
	tmp := d.file(name) + ".new"
	if err := os.WriteFile(tmp, text, mode); err != nil {
		return err
	}
	return os.Rename(tmp, d.file(name)) // a daemon that reads it sees the old one or the new one
}

func (d Dir) writePair(name string, p Pair) error {
	return errors.Join(d.write(name+".crt", p.Cert, 0o644), d.write(name+".key", p.Key, 0o600))
}

// Make makes the directory with all its files; what it makes lasts so long, at a
// daemon that is reached by hosts. A directory that has an authority is refused.
func (d Dir) Make(lasts time.Duration, sites []string, hosts ...string) error {
	if _, err := os.Stat(d.file(caKey)); err == nil {
		return fmt.Errorf("%s has an authority already: name another directory, or remove it", d.Path)
	}
	if err := os.MkdirAll(d.Path, 0o700); err != nil {
		return err
	}
	now := d.Now()
	ca, err := NewCA("Greenlane development CA", now, lasts)
	if err != nil {
		return err
	}
	own, err := ca.PEM()
	if err != nil {
		return err
	}
	server, err := ca.Server(now.Add(-skew), now.Add(lasts), hosts...)
	if err != nil {
		return err
	}
	list, err := ca.CRL(nil, now, now.Add(lasts))
	if err != nil {
		return err
	}
	key, err := NewTokenKey()
	if err != nil {
		return err
	}
	secret, err := key.JSON()
	if err != nil {
		return err
	}
	public, err := JWKS(key)
	if err != nil {
		return err
	}
	err = errors.Join(
		d.writePair("ca", own), d.writePair("server", server), d.write(crlFile, list, 0o644),
		d.write(tokenKey, secret, 0o600), d.write(jwksFile, public, 0o644), d.write(configFile, []byte(d.Config()), 0o644),
		d.writeRevoked(new(revoked.List)),
	)
	for _, c := range Clients() {
		if err == nil && !c.token {
			err = d.Certificate(c.File, lasts, c.Role, c.Name, sites)
		}
		if err == nil {
			err = d.tokenOf(c, lasts, sites)
		}
	}
	return err
}

func (d Dir) tokenOf(c Client, lasts time.Duration, sites []string) error {
	token, err := d.Token(Token{Name: c.Name, Roles: c.Role, Sites: sites, Until: d.Now().Add(lasts)})
	if err != nil {
		return err
	}
	return d.write(c.File+".token", []byte(token+"\n"), 0o600)
}

// Config is a configuration that uses the directory, YAML.
func (d Dir) Config() string {
	at := d.Path
	if abs, err := filepath.Abs(at); err == nil {
		at = abs
	}
	return fmt.Sprintf(`# Made by greenlane pki dev: mutual TLS and tokens, for trying them.
tls:
  cert: %[1]q
  key: %[2]q
  client_ca: %[3]q
  client_crl: %[4]q
auth:
  certificates:
    trust_domain: %[5]s
  tokens:
    jwks_file: %[6]q
    revoked_file: %[9]q
    issuer: %[7]s
    audience: %[8]s
`, filepath.Join(at, "server.crt"), filepath.Join(at, "server.key"), filepath.Join(at, caCert), filepath.Join(at, crlFile),
		TrustDomain, filepath.Join(at, jwksFile), Issuer, Audience, filepath.Join(at, revokedFile))
}

func (d Dir) ca() (*CA, error) {
	cert, err := os.ReadFile(d.file(caCert))
	if err != nil {
		return nil, fmt.Errorf("%w (greenlane pki dev makes the directory)", err)
	}
	key, err := os.ReadFile(d.file(caKey))
	if err != nil {
		return nil, err
	}
	return ReadCA(cert, key)
}

// Certificate issues a client's certificate and key, and writes both.
func (d Dir) Certificate(file string, lasts time.Duration, role identity.Role, name string, sites []string) error {
	ca, err := d.ca()
	if err != nil {
		return err
	}
	now := d.Now()
	p, err := ca.Client(now.Add(-skew), now.Add(lasts), TrustDomain, role, name, sites...)
	if err != nil {
		return err
	}
	return d.writePair(file, p)
}

// Server issues the daemon a new certificate and key, in the place of the old ones.
func (d Dir) Server(lasts time.Duration, hosts ...string) error {
	ca, err := d.ca()
	if err != nil {
		return err
	}
	now := d.Now()
	p, err := ca.Server(now.Add(-skew), now.Add(lasts), hosts...)
	if err != nil {
		return err
	}
	return d.writePair("server", p)
}

// Token signs a token with the directory's key. It gets an id of its own and says
// when it was issued, unless t does.
func (d Dir) Token(t Token) (string, error) {
	if t.ID == "" {
		t.ID = rand.Text()
	}
	if t.Issued.IsZero() {
		t.Issued = d.Now()
	}
	text, err := os.ReadFile(d.file(tokenKey))
	if err != nil {
		return "", fmt.Errorf("%w (greenlane pki dev makes the directory)", err)
	}
	key, err := ReadTokenKey(text)
	if err != nil {
		return "", err
	}
	return key.Sign(t)
}

// Revoke puts a certificate on the directory's revocation list.
func (d Dir) Revoke(certFile string) error {
	ca, err := d.ca()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(certFile)
	if err != nil {
		return err
	}
	cert, err := ReadCertificate(text)
	if err != nil {
		return fmt.Errorf("%s: %w", certFile, err)
	}
	if err := cert.CheckSignatureFrom(ca.Cert); err != nil {
		return fmt.Errorf("%s: not a certificate of this authority: %w", certFile, err)
	}
	text, err = os.ReadFile(d.file(crlFile))
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s: no revocation list", d.file(crlFile))
	}
	before, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return err
	}
	list, err := ca.CRL(before, d.Now(), before.NextUpdate, cert)
	if err != nil {
		return err
	}
	return d.write(crlFile, list, 0o644)
}
