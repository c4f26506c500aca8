package auth

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

func uris(t *testing.T, texts ...string) (out []*url.URL) {
	t.Helper()
	for _, s := range texts {
		out = append(out, must(url.Parse(s))(t))
	}
	return out
}

func TestNamesOfCertificates(t *testing.T) {
	c := must(newCertificates("example.org", []Subject{
		{CN: "pbx-*", Roles: identity.Switch, Sites: []string{"east", "west"}},
		{DNS: "*.phones.example.org", Roles: identity.Agent},
		{URI: "https://example.org/jobs/*", Name: "job", Roles: identity.BackOffice, Sites: []string{"*"}},
		{CN: "boss", Roles: identity.Supervisor | identity.Metrics},
		{CN: "gateway", Name: identity.AnyName, Roles: identity.Agent},
		{CN: "anybody-*", Name: identity.AnyName, Roles: identity.Agent},
	}))(t)
	cn := func(name string) x509.Certificate { return x509.Certificate{Subject: pkix.Name{CommonName: name}} }
	spiffe := func(texts ...string) x509.Certificate { return x509.Certificate{URIs: uris(t, texts...)} }
	for _, x := range []struct {
		what  string
		cert  x509.Certificate
		name  string
		roles identity.Role
		sites []string
	}{
		{"spiffe", spiffe("spiffe://example.org/greenlane/agent/7001"), "7001", identity.Agent, []string{"main"}},
		{"spiffe with a site", spiffe("spiffe://example.org/greenlane/back-office/crm/east"), "crm", identity.BackOffice, []string{"east"}},
		{"spiffe with two sites", spiffe("spiffe://example.org/greenlane/switch/a/east", "spiffe://EXAMPLE.org/greenlane/switch/a/west"), "a", identity.Switch, []string{"east", "west"}},
		{"another domain", spiffe("spiffe://evil.org/greenlane/agent/7001"), "", 0, nil},
		{"another program", spiffe("spiffe://example.org/billing/agent/7001"), "", 0, nil},
		{"an unknown role", spiffe("spiffe://example.org/greenlane/root/7001"), "", 0, nil},
		{"no name", spiffe("spiffe://example.org/greenlane/agent/"), "", 0, nil},
		{"every name", spiffe("spiffe://example.org/greenlane/agent/*"), "", 0, nil},
		{"every site", spiffe("spiffe://example.org/greenlane/agent/a/*"), "", 0, nil},
		{"too deep", spiffe("spiffe://example.org/greenlane/agent/a/b/c"), "", 0, nil},
		{"a query", spiffe("spiffe://example.org/greenlane/agent/a?x=1"), "", 0, nil},
		{"a hidden slash", spiffe("spiffe://example.org/greenlane/agent/a%2Fb"), "", 0, nil},
		{"two names", spiffe("spiffe://example.org/greenlane/agent/a", "spiffe://example.org/greenlane/agent/b"), "", 0, nil},
		{"two roles", spiffe("spiffe://example.org/greenlane/agent/a", "spiffe://example.org/greenlane/supervisor/a"), "", 0, nil},
		{"cn with a star", cn("pbx-7"), "7", identity.Switch, []string{"east", "west"}},
		{"a star for nothing", cn("pbx-"), "", 0, nil},
		{"cn", cn("boss"), "boss", identity.Supervisor | identity.Metrics, []string{"main"}},
		{"cn of a gateway", cn("gateway"), "*", identity.Agent, []string{"main"}},
		{"cn of some gateway", cn("anybody-1"), "*", identity.Agent, []string{"main"}},
		{"a wildcard's cn", cn("pbx-*"), "", 0, nil},
		{"a star within a cn", cn("pbx-7*"), "", 0, nil},
		{"a wildcard's cn of a rule with a name", cn("anybody-*"), "", 0, nil},
		{"a wildcard's dns", x509.Certificate{DNSNames: []string{"*.phones.example.org"}}, "", 0, nil},
		{"a wildcard's dns beside another", x509.Certificate{DNSNames: []string{"*.phones.example.org", "7002.phones.example.org"}}, "7002", identity.Agent, []string{"main"}},
		{"a star within a uri", spiffe("https://example.org/jobs/*"), "", 0, nil},
		{"dns", x509.Certificate{DNSNames: []string{"x", "7002.phones.example.org"}}, "7002", identity.Agent, []string{"main"}},
		{"uri", spiffe("https://example.org/jobs/night"), "job", identity.BackOffice, []string{"*"}},
		{"nobody", cn("stranger"), "", 0, nil},
		{"no name at all", x509.Certificate{}, "", 0, nil},
		{"a control character", cn("pbx-\x01"), "", 0, nil},
	} {
		id, refusal := c.name(&x.cert)
		if x.roles == 0 {
			if refusal == nil {
				t.Errorf("%s: it is %+v", x.what, id)
			}
			continue
		}
		if refusal != nil || id.Name != x.name || id.Roles != x.roles || !slices.Equal(id.Sites, x.sites) || id.By != identity.ByCertificate {
			t.Errorf("%s: %+v, %v", x.what, id, refusal)
		}
	}
}

func TestWhichCertificatesAreGood(t *testing.T) {
	b := newBench(t, nil)
	issue := func(ca *pki.CA, from, until time.Duration) []*x509.Certificate {
		p := must(ca.Client(b.now.Add(from), b.now.Add(until), "example.org", identity.Agent, "7001", "main"))(t)
		return []*x509.Certificate{p.X509}
	}
	server := must(b.ca.Server(b.now.Add(-time.Hour), b.now.Add(time.Hour), "x"))(t)
	stranger := must(pki.NewCA("ca", b.now, time.Hour))(t)
	for what, x := range map[string]struct {
		chain []*x509.Certificate
		want  Reason
	}{
		"good":                      {issue(b.ca, -time.Minute, time.Hour), ""},
		"expired":                   {issue(b.ca, -2*time.Minute, -time.Minute), ReasonExpired},
		"not yet valid":             {issue(b.ca, time.Minute, time.Hour), ReasonInvalid},
		"of another CA of its name": {issue(stranger, -time.Minute, time.Hour), ReasonInvalid},
		"a server's":                {[]*x509.Certificate{server.X509}, ReasonInvalid},
		"the CA's own":              {[]*x509.Certificate{b.ca.Cert}, ReasonInvalid},
	} {
		_, err := b.auth.Prove(Proof{Chain: x.chain})
		if reasonOf(err) != x.want {
			t.Errorf("%s: %v, want %q", what, err, x.want)
		}
	}
	// A connection outlives its certificate; its requests do not.
	chain := issue(b.ca, -time.Minute, time.Minute)
	if known, err := b.auth.Prove(Proof{Chain: chain}); err != nil || !known.Until.Equal(b.now.Add(time.Minute)) {
		t.Errorf("%+v, %v", known, err)
	}
	b.now = b.now.Add(time.Minute + time.Second)
	if _, err := b.auth.Prove(Proof{Chain: chain}); reasonOf(err) != ReasonExpired {
		t.Errorf("after its end: %v", err)
	}
	if _, err := b.auth.Prove(Proof{}); reasonOf(err) != ReasonNone {
		t.Errorf("nothing: %v", err)
	}
}

// TestOnlyAProvedNameIsTold: anybody can write any name into a certificate of their
// own, and what is told of a refusal is kept for ever.
func TestOnlyAProvedNameIsTold(t *testing.T) {
	b := newBench(t, nil)
	stranger := must(pki.NewCA("8613800138111", b.now.Add(-2*time.Hour), 24*time.Hour))(t)
	issue := func(ca *pki.CA, until time.Duration) *x509.Certificate {
		return must(ca.Client(b.now.Add(-time.Hour), b.now.Add(until), "example.org", identity.Agent, "call-13800138222", "main"))(t).X509
	}
	revoked := issue(b.ca, time.Hour)
	b.write("crl.pem", must(b.ca.CRL(nil, b.now, b.now.Add(time.Hour), revoked))(t))
	b.looks()
	for what, x := range map[string]struct {
		chain  []*x509.Certificate
		reason Reason
		named  bool
	}{
		"a stranger's":         {[]*x509.Certificate{issue(stranger, time.Hour), stranger.Cert}, ReasonInvalid, false},
		"signed by itself":     {[]*x509.Certificate{stranger.Cert}, ReasonInvalid, false},
		"a stranger's expired": {[]*x509.Certificate{issue(stranger, -time.Minute), stranger.Cert}, ReasonExpired, false},
		"expired":              {[]*x509.Certificate{issue(b.ca, -time.Minute)}, ReasonExpired, true},
		"revoked":              {[]*x509.Certificate{revoked}, ReasonRevoked, true},
	} {
		_, err := b.auth.Prove(Proof{Chain: x.chain})
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Reason != x.reason {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if named := refusal.Name == "CN=call-13800138222"; named != x.named || !named && refusal.Name != "" || strings.Contains(refusal.Detail, "138001") {
			t.Errorf("%s: %+v", what, refusal)
		}
	}
}
