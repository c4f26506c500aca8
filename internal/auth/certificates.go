package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"greenlane/internal/identity"
)

// DefaultSite is the site of a certificate or a token that names none.
const DefaultSite = "main"

// Subject gives an identity to the certificates that bear a name. One of CN, DNS
// and URI is given; a * in it stands for any text.
type Subject struct {
	CN, DNS, URI string
	// Name is the identity's; empty: what the * stood for, or else the name that
	// matched. identity.AnyName lets it act under every name, and nothing else does.
	Name  string
	Roles identity.Role
	Sites []string // empty: DefaultSite
}

// pattern returns which name is matched, and the pattern.
func (s *Subject) pattern() (kind, pattern string) {
	switch {
	case s.CN != "":
		return "cn", s.CN
	case s.DNS != "":
		return "dns", s.DNS
	default:
		return "uri", s.URI
	}
}

// check returns every fault.
func (s *Subject) check() (faults []error) {
	given := 0
	for _, p := range []string{s.CN, s.DNS, s.URI} {
		if p != "" {
			given++
		}
		if strings.Count(p, "*") > 1 {
			faults = append(faults, fmt.Errorf("%q: one * is allowed", p))
		}
	}
	if given != 1 {
		faults = append(faults, errors.New("one of cn, dns and uri must be given"))
	}
	if s.Roles == 0 {
		faults = append(faults, errors.New("roles: at least one must be given"))
	}
	return faults
}

// match reports whether a certificate bears the name, and what the * stood for. A
// name with a * of its own, as that of a wildcard certificate, matches nothing: it
// must not become AnyName.
func (s *Subject) match(cert *x509.Certificate) (name string, ok bool) {
	kind, pattern := s.pattern()
	var names []string
	switch kind {
	case "cn":
		names = []string{cert.Subject.CommonName}
	case "dns":
		names = cert.DNSNames
	default:
		for _, u := range cert.URIs {
			names = append(names, u.String())
		}
	}
	before, after, wild := strings.Cut(pattern, "*")
	for _, name := range names {
		switch {
		case strings.Contains(name, identity.AnyName):
		case !wild && name == pattern:
			return name, true
		case wild && len(name) > len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after):
			return name[len(before) : len(name)-len(after)], true
		}
	}
	return "", false
}

// certificates tells whose certificate it is.
type certificates struct {
	trust    string
	subjects []Subject
	cache    *lru.Cache[*x509.Certificate, *verified]
}

// verified is what was found out about one connection's certificate.
type verified struct {
	by      *clientFiles
	known   Known
	refusal *Refusal
}

// manyConnections is how many connections' certificates are remembered; those of
// others are verified with each request.
const manyConnections = 16 << 10

func newCertificates(trust string, subjects []Subject) (*certificates, error) {
	var faults []error
	if trust == "" && len(subjects) == 0 {
		faults = append(faults, errors.New("auth.certificates: tls.client_ca needs trust_domain or subjects, or no certificate would have a role"))
	}
	for i := range subjects {
		for _, err := range subjects[i].check() {
			faults = append(faults, fmt.Errorf("auth.certificates.subjects[%d]: %w", i, err))
		}
	}
	cache, err := lru.New[*x509.Certificate, *verified](manyConnections)
	return &certificates{trust: trust, subjects: subjects, cache: cache}, errors.Join(append(faults, err)...)
}

// prove tells whose certificate it is. A connection keeps its certificate, so what
// was found out about it holds until the authorities change or it ends.
func (c *certificates) prove(chain []*x509.Certificate, by *clientFiles, now time.Time) (Known, *Refusal) {
	leaf := chain[0]
	v, ok := c.cache.Get(leaf)
	if !ok || v.by != by || v.refusal == nil && !now.Before(v.known.Until) {
		v = &verified{by: by, refusal: by.verify(chain, now)}
		if v.refusal == nil {
			v.known.Identity, v.refusal = c.name(leaf)
			v.known.Until = leaf.NotAfter
		}
		c.cache.Add(leaf, v)
	}
	return v.known, v.refusal
}

// name reads a certificate's identity off its names.
func (c *certificates) name(cert *x509.Certificate) (identity.Identity, *Refusal) {
	id, err := c.spiffe(cert)
	if err == nil && id.Roles == 0 {
		id, err = c.subject(cert)
	}
	if err == nil && !sound(id.Name) {
		err = errors.New("its name is no identity: 1 to 128 bytes without control characters are allowed")
	}
	if err != nil {
		return id, &Refusal{Reason: ReasonInvalid, Name: cert.Subject.String(), Detail: "the certificate: " + err.Error()}
	}
	id.By = identity.ByCertificate
	return id, nil
}

func (c *certificates) subject(cert *x509.Certificate) (identity.Identity, error) {
	for i := range c.subjects {
		s := &c.subjects[i]
		name, ok := s.match(cert)
		if !ok {
			continue
		}
		if s.Name != "" {
			name = s.Name
		}
		return identity.Identity{Name: name, Roles: s.Roles, Sites: sitesOr(s.Sites)}, nil
	}
	return identity.Identity{}, errors.New("no rule of auth.certificates knows any of its names")
}

// spiffe reads the SPIFFE ids of the trust domain:
//
//	spiffe://TRUST-DOMAIN/greenlane/ROLE/NAME        at site main
//	spiffe://TRUST-DOMAIN/greenlane/ROLE/NAME/SITE   at another
//
// A certificate may have several; they must agree on the name and the role. None
// is no error.
func (c *certificates) spiffe(cert *x509.Certificate) (identity.Identity, error) {
	var id identity.Identity
	for _, u := range cert.URIs {
		if c.trust == "" || u.Scheme != "spiffe" || !strings.EqualFold(u.Host, c.trust) {
			continue
		}
		role, name, site, ok := readSPIFFE(u)
		if !ok {
			continue // a SPIFFE id of the domain's that is for something else
		}
		if id.Roles != 0 && (id.Roles != role || id.Name != name) {
			return identity.Identity{}, errors.New("its SPIFFE ids name several roles or names: each needs a certificate of its own")
		}
		id.Roles, id.Name = role, name
		if !slices.Contains(id.Sites, site) {
			id.Sites = append(id.Sites, site)
		}
	}
	return id, nil
}

func readSPIFFE(u *url.URL) (role identity.Role, name, site string, ok bool) {
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Port() != "" || u.RawPath != "" {
		return 0, "", "", false
	}
	parts := strings.Split(u.Path, "/")
	if len(parts) < 4 || len(parts) > 5 || parts[0] != "" || parts[1] != "greenlane" || parts[3] == "" || parts[3] == identity.AnyName {
		return 0, "", "", false
	}
	role, ok = identity.ParseRole(parts[2])
	site = DefaultSite
	if len(parts) == 5 {
		if site = parts[4]; site == "" || site == identity.AllSites {
			return 0, "", "", false
		}
	}
	return role, parts[3], site, ok
}

func sitesOr(sites []string) []string {
	if len(sites) == 0 {
		return []string{DefaultSite}
	}
	return sites
}

// sound reports whether a text can be the id of a switch or an agent.
func sound(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}
