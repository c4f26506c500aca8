package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"slices"
	"time"

	"greenlane/internal/identity"
)

// CA is an authority.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate and its key, as PEM.
type Pair struct {
	Cert, Key []byte
	X509      *x509.Certificate
}

// skew is how long before now a certificate begins, for clocks that are behind.
const skew = 5 * time.Minute

// NewCA makes an authority that lasts from now on.
func NewCA(name string, now time.Time, lasts time.Duration) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(), Subject: pkix.Name{CommonName: name, Organization: []string{"Greenlane development"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(lasts), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &CA{Cert: cert, key: key}, err
}

// ReadCA reads an authority from its certificate and key.
func ReadCA(cert, key []byte) (*CA, error) {
	c, err := ReadCertificate(cert)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("no key is in the file of the authority's key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the authority's key cannot be read")
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(c.PublicKey) {
		return nil, errors.New("the authority's key is not that of its certificate")
	}
	return &CA{Cert: c, key: private}, nil
}

// ReadCertificate reads the first certificate of a PEM file.
func ReadCertificate(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate is in the file")
	}
	return x509.ParseCertificate(block.Bytes)
}

// newSerial returns 128 random bits.
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b[:])
}

// PEM returns the authority's certificate and key.
func (c *CA) PEM() (Pair, error) { return pair(c.Cert.Raw, c.key) }

func pair(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), X509: cert,
	}, err
}

// Server issues a daemon's certificate, for names and addresses.
func (c *CA) Server(from, until time.Time, hosts ...string) (Pair, error) {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: "greenlaned"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return c.issue(t, from, until)
}

// Client issues a client's certificate with a SPIFFE id for each site.
func (c *CA) Client(from, until time.Time, trust string, role identity.Role, name string, sites ...string) (Pair, error) {
	t := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, site := range sites {
		u := &url.URL{Scheme: "spiffe", Host: trust, Path: fmt.Sprintf("/greenlane/%s/%s/%s", role, name, site)}
		t.URIs = append(t.URIs, u)
	}
	return c.issue(t, from, until)
}

// Plain issues a client's certificate that bears a common name and nothing else.
func (c *CA) Plain(from, until time.Time, name string) (Pair, error) {
	return c.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, from, until)
}

func (c *CA) issue(t *x509.Certificate, from, until time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	t.SerialNumber, t.NotBefore, t.NotAfter = newSerial(), from, until
	t.KeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	der, err := x509.CreateCertificate(rand.Reader, t, c.Cert, &key.PublicKey, c.key)
	if err != nil {
		return Pair{}, err
	}
	return pair(der, key)
}

// CRL makes a revocation list, PEM: the entries of an earlier one (nil: none) and
// the certificates given.
func (c *CA) CRL(before *x509.RevocationList, now, next time.Time, revoked ...*x509.Certificate) ([]byte, error) {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-skew), NextUpdate: next}
	if before != nil {
		list.RevokedCertificateEntries = before.RevokedCertificateEntries
		list.Number = new(big.Int).Add(before.Number, big.NewInt(1))
	}
	for _, cert := range revoked {
		if slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(cert.SerialNumber) == 0 }) {
			continue
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, c.Cert, c.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}
