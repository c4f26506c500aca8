package auth

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// serverFiles are the daemon's own certificate and key.
type serverFiles struct {
	pair tls.Certificate
	leaf *x509.Certificate
}

func readServer(texts [][]byte) (*serverFiles, error) {
	if _, err := certificatesOf(texts[0]); err != nil {
		return nil, fmt.Errorf("tls.cert: %w", err)
	}
	pair, err := tls.X509KeyPair(texts[0], texts[1])
	if err != nil {
		return nil, fmt.Errorf("tls: certificate and key: %w", err)
	}
	return &serverFiles{pair: pair, leaf: pair.Leaf}, nil
}

// clientFiles are who vouches for clients, and for whom no more.
type clientFiles struct {
	roots    *x509.CertPool
	revoked  map[serial]struct{}
	listed   map[string]struct{} // the authorities that have a list, by issuerOf
	ends     time.Time
	listsEnd time.Time
}

// serial names a certificate by its issuer and number.
type serial struct{ issuer, number string }

// issuerOf names an authority by its subject and key.
func issuerOf(ca *x509.Certificate) string {
	return string(ca.RawSubject) + string(ca.RawSubjectPublicKeyInfo)
}

// clientReader reads the files of clients' authorities, and remembers what it read
// last.
type clientReader struct {
	log  *slog.Logger
	last *clientFiles // nil: nothing yet
}

func (r *clientReader) read(texts [][]byte) (*clientFiles, error) {
	cas, err := certificatesOf(texts[0])
	if err != nil {
		return nil, fmt.Errorf("tls.client_ca: %w", err)
	}
	c := &clientFiles{roots: x509.NewCertPool(), revoked: map[serial]struct{}{}, listed: map[string]struct{}{}}
	for _, ca := range cas {
		if !ca.IsCA {
			return nil, fmt.Errorf("tls.client_ca: %q is the certificate of no authority", ca.Subject)
		}
		c.roots.AddCert(ca)
		c.ends = earlier(c.ends, ca.NotAfter)
	}
	if len(texts) > 1 {
		if err := r.readLists(c, texts[1], cas); err != nil {
			return nil, fmt.Errorf("tls.client_crl: %w", err)
		}
	}
	r.last = c
	return c, nil
}

// readLists takes the lists of present authorities. Those of others are passed over:
// an authority must lose its trust also while its list is still there. But where one
// that had a list has none now, and a stranger's is there instead, it is the list
// that is the wrong one.
func (r *clientReader) readLists(c *clientFiles, text []byte, cas []*x509.Certificate) error {
	lists, err := listsOf(text)
	if err != nil {
		return err
	}
	var strange []string
	for _, list := range lists {
		known, err := c.take(list, cas)
		if err != nil {
			return err
		}
		if !known {
			strange = append(strange, list.Issuer.String())
		}
	}
	if len(strange) == 0 {
		return nil
	}
	for _, ca := range cas {
		name := issuerOf(ca)
		if _, now := c.listed[name]; now || r.last == nil {
			continue
		}
		if _, before := r.last.listed[name]; before {
			return fmt.Errorf("the list of %q is not signed by an authority of clients, and that of %q is gone", strange[0], ca.Subject)
		}
	}
	r.log.Warn("revocation lists are passed over: their issuers are none of tls.client_ca", "issuers", strings.Join(strange, "; "))
	return nil
}

// take adds what a list revokes, when one of the authorities signed it, and reports
// whether any did. It is an error when one should have and did not: two authorities
// may share a subject, but not the id of their key.
func (c *clientFiles) take(list *x509.RevocationList, cas []*x509.Certificate) (known bool, err error) {
	for _, ca := range cas {
		if !bytes.Equal(ca.RawSubject, list.RawIssuer) {
			continue
		}
		if wrong := list.CheckSignatureFrom(ca); wrong != nil {
			if len(ca.SubjectKeyId) == 0 || len(list.AuthorityKeyId) == 0 || bytes.Equal(ca.SubjectKeyId, list.AuthorityKeyId) {
				err = fmt.Errorf("the list of %q is not signed by that authority: %w", list.Issuer, wrong)
			}
			continue
		}
		for i := range list.RevokedCertificateEntries {
			c.revoked[serial{string(list.RawIssuer), list.RevokedCertificateEntries[i].SerialNumber.String()}] = struct{}{}
		}
		if !list.NextUpdate.IsZero() {
			c.listsEnd = earlier(c.listsEnd, list.NextUpdate)
		}
		c.listed[issuerOf(ca)] = struct{}{}
		return true, nil
	}
	return false, err
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// certificatesOf reads PEM certificates and refuses everything else between them:
// a file that was cut short would otherwise lose an authority without a word.
func certificatesOf(text []byte) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			break
		}
		rest := text
		if block, text = pem.Decode(rest); block == nil {
			return nil, errors.New("something else than PEM is in it, or the file was cut short")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("a %q is in it; only certificates are allowed", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, cert)
	}
	if out == nil {
		return nil, errNoCert
	}
	return out, nil
}

// listsOf reads revocation lists: PEM, or one in DER.
func listsOf(text []byte) ([]*x509.RevocationList, error) {
	if block, _ := pem.Decode(text); block == nil {
		list, err := x509.ParseRevocationList(text)
		if err != nil {
			return nil, fmt.Errorf("no revocation list is in it: %w", err)
		}
		return []*x509.RevocationList{list}, nil
	}
	var out []*x509.RevocationList
	for text = bytes.TrimSpace(text); len(text) > 0; text = bytes.TrimSpace(text) {
		var block *pem.Block
		rest := text
		if block, text = pem.Decode(rest); block == nil {
			return nil, errors.New("something else than PEM is in it, or the file was cut short")
		}
		if block.Type != "X509 CRL" {
			return nil, fmt.Errorf("a %q is in it; only revocation lists are allowed", block.Type)
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, list)
	}
	return out, nil
}

// verify checks that an authority of clients vouches for a certificate now. Only the
// refusal of one that an authority has vouched for bears its name: anybody can make a
// certificate with any text in it.
func (c *clientFiles) verify(chain []*x509.Certificate, now time.Time) *Refusal {
	leaf := chain[0]
	opts := x509.VerifyOptions{
		Roots: c.roots, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, cert := range chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	found, err := leaf.Verify(opts)
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(leaf.NotAfter):
		refusal := &Refusal{Reason: ReasonExpired, Detail: "the certificate has expired"}
		opts.CurrentTime = leaf.NotAfter
		if _, err := leaf.Verify(opts); err == nil {
			refusal.Name = leaf.Subject.String()
		}
		return refusal
	case errors.As(err, &unknown): // not its text, which may quote a stranger's certificate
		return &Refusal{Reason: ReasonInvalid, Detail: "the certificate is not good: no authority of clients has signed it"}
	case err != nil:
		return &Refusal{Reason: ReasonInvalid, Detail: "the certificate is not good: " + err.Error()}
	}
	for _, way := range found {
		if !c.revokes(way) {
			return nil
		}
	}
	return &Refusal{Reason: ReasonRevoked, Detail: "the certificate is revoked", Name: leaf.Subject.String()}
}

// revokes reports whether any certificate of a chain, but for its root, is revoked.
func (c *clientFiles) revokes(chain []*x509.Certificate) bool {
	for _, cert := range chain[:len(chain)-1] {
		if _, ok := c.revoked[serial{string(cert.RawIssuer), cert.SerialNumber.String()}]; ok {
			return true
		}
	}
	return false
}

// TLS returns the settings of a listener that speaks the given protocols: TLS 1.3
// with the certificate and the authorities of the moment. With needed, a client
// without a certificate is refused; without, it may prove itself by a token. nil
// when the daemon has no certificate.
func (a *Authority) TLS(needed bool, protocols ...string) *tls.Config {
	if a.server == nil {
		return nil
	}
	base := tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols,
		// A resumed session would bring the client's certificate of back then.
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &a.server.now().pair, nil
		},
	}
	if a.clients == nil {
		return &base
	}
	out := base.Clone()
	out.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		clients := a.clients.now()
		cfg := base.Clone()
		// The certificate is verified below, where the reason of a refusal is known.
		cfg.ClientAuth, cfg.ClientCAs = tls.RequestClientCert, clients.roots
		if needed {
			cfg.ClientAuth = tls.RequireAnyClientCert
		}
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil // RequireAnyClientCert has refused it where it must not be
			}
			refusal := clients.verify(state.PeerCertificates, a.opts.Now())
			if refusal == nil {
				return nil
			}
			if a.opts.Refused != nil {
				a.opts.Refused(hello.Conn.RemoteAddr(), refusal)
			}
			return refusal
		}
		return cfg, nil
	}
	return out
}
