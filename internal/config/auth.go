package config

import (
	"errors"
	"fmt"
	"time"

	"greenlane/internal/auth"
	"greenlane/internal/identity"
)

// TLS names the daemon's certificate and key, and who vouches for its clients: PEM
// files, which are read again when they change.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA are the authorities whose certificates prove clients, ClientCRL their
	// revocation lists.
	ClientCA  string `yaml:"client_ca"`
	ClientCRL string `yaml:"client_crl"`
	// RequireClientCert refuses clients of the gRPC API that have no certificate.
	RequireClientCert bool `yaml:"require_client_cert"`
}

// On reports whether the daemon speaks TLS.
func (t TLS) On() bool { return t.Cert != "" || t.Key != "" }

// Auth says who is who.
type Auth struct {
	Certificates Certificates `yaml:"certificates"`
	Tokens       Tokens       `yaml:"tokens"`
}

// Certificates say whose certificate it is.
type Certificates struct {
	// TrustDomain is whose SPIFFE ids count.
	TrustDomain string `yaml:"trust_domain"`
	// Subjects give identities to other certificates; the first that matches counts.
	Subjects []Subject `yaml:"subjects"`
}

// Subject gives an identity to certificates by a name they bear. One of CN, DNS
// and URI is given; a * in it stands for any text.
type Subject struct {
	CN    string   `yaml:"cn,omitempty"`
	DNS   string   `yaml:"dns,omitempty"`
	URI   string   `yaml:"uri,omitempty"`
	Name  string   `yaml:"name,omitempty"`
	Roles []string `yaml:"roles"`
	Sites []string `yaml:"sites,omitempty"`
}

// Tokens say which bearer tokens count. They are accepted when a file is named.
type Tokens struct {
	JWKSFile      string      `yaml:"jwks_file"`
	SharedKeyFile string      `yaml:"shared_key_file"`
	RevokedFile   string      `yaml:"revoked_file"`
	Issuer        string      `yaml:"issuer"`
	Audience      string      `yaml:"audience"`
	Leeway        Duration    `yaml:"leeway"`
	Claims        TokenClaims `yaml:"claims"`
}

// TokenClaims are the claims in which an identity stands.
type TokenClaims struct {
	Name  string `yaml:"name"`
	Roles string `yaml:"roles"`
	Sites string `yaml:"sites"`
}

func defaultAuth() Auth {
	return Auth{
		Certificates: Certificates{Subjects: []Subject{}},
		Tokens: Tokens{
			Audience: "greenlane", Leeway: Duration(30 * time.Second), Claims: TokenClaims{Name: "sub", Roles: "roles", Sites: "sites"},
		},
	}
}

// Asked reports whether clients must prove who they are.
func (c *Config) Asked() bool {
	return c.TLS.ClientCA != "" || c.Auth.Tokens.JWKSFile != "" || c.Auth.Tokens.SharedKeyFile != ""
}

// AuthOptions returns what package auth is opened with.
func (c *Config) AuthOptions() auth.Options {
	t := c.Auth.Tokens
	o := auth.Options{
		Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, ClientCRL: c.TLS.ClientCRL,
		TrustDomain: c.Auth.Certificates.TrustDomain,
		Tokens: auth.TokenOptions{
			JWKSFile: t.JWKSFile, SharedKeyFile: t.SharedKeyFile, RevokedFile: t.RevokedFile, Issuer: t.Issuer, Audience: t.Audience, Leeway: t.Leeway.D(),
			NameClaim: t.Claims.Name, RolesClaim: t.Claims.Roles, SitesClaim: t.Claims.Sites,
		},
	}
	for _, s := range c.Auth.Certificates.Subjects {
		out := auth.Subject{CN: s.CN, DNS: s.DNS, URI: s.URI, Name: s.Name, Sites: s.Sites}
		for _, name := range s.Roles {
			role, _ := identity.ParseRole(name) // checkAuth has refused others
			out.Roles |= role
		}
		o.Subjects = append(o.Subjects, out)
	}
	return o
}

// checkAuth returns what is wrong with tls and auth, and with their files.
func (c *Config) checkAuth() error {
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	t, tokens := c.TLS, c.Auth.Tokens
	for _, f := range []struct {
		wrong bool
		what  string
	}{
		{t.Key != "" && t.Cert == "", "tls.cert: must be set when tls.key is"},
		{t.Cert != "" && t.Key == "", "tls.key: must be set when tls.cert is"},
		{t.ClientCA != "" && !t.On(), "tls.client_ca: needs tls.cert and tls.key"},
		{t.ClientCRL != "" && t.ClientCA == "", "tls.client_crl: needs tls.client_ca"},
		{t.RequireClientCert && t.ClientCA == "", "tls.require_client_cert: needs tls.client_ca"},
		{c.Auth.Certificates.On() && t.ClientCA == "", "auth.certificates: needs tls.client_ca"},
		{tokens.JWKSFile != "" && tokens.SharedKeyFile != "", "auth.tokens: one of jwks_file and shared_key_file is allowed, not both"},
		{tokens.on() && tokens.Audience == "", "auth.tokens.audience: must be given: a token that was made for something else would open this too"},
		{tokens.Issuer != "" && !tokens.on(), "auth.tokens.issuer: needs jwks_file or shared_key_file"},
		{tokens.RevokedFile != "" && !tokens.on(), "auth.tokens.revoked_file: needs jwks_file or shared_key_file"},
		{tokens.Claims.Name == "" || tokens.Claims.Roles == "" || tokens.Claims.Sites == "", "auth.tokens.claims: name, roles and sites must name a claim each"},
	} {
		if f.wrong {
			bad("%s", f.what)
		}
	}
	if d := tokens.Leeway.D(); d < 0 || d > 5*time.Minute {
		bad("auth.tokens.leeway: %v must be between 0s and 5m", tokens.Leeway)
	}
	opts := c.AuthOptions()
	for i, s := range c.Auth.Certificates.Subjects {
		for _, err := range s.check() {
			bad("auth.certificates.subjects[%d]: %w", i, err)
		}
		if len(s.Roles) > 0 && opts.Subjects[i].Roles == 0 {
			opts.Subjects[i].Roles = identity.All // unknown ones, which were told, are not none
		}
	}
	// What is named by halves, or twice, has been told, and is not read.
	if t.Cert == "" || t.Key == "" {
		opts.Cert, opts.Key = "", ""
	}
	if tokens.JWKSFile != "" && tokens.SharedKeyFile != "" {
		opts.Tokens.JWKSFile, opts.Tokens.SharedKeyFile = "", ""
	}
	_, err := auth.Open(opts)
	return errors.Join(append(faults, split(err)...)...)
}

// On reports whether any certificate gets an identity.
func (c Certificates) On() bool { return c.TrustDomain != "" || len(c.Subjects) > 0 }

func (t Tokens) on() bool { return t.JWKSFile != "" || t.SharedKeyFile != "" }

func (s Subject) check() []error {
	var faults []error
	for _, name := range s.Roles {
		if _, ok := identity.ParseRole(name); !ok {
			faults = append(faults, fmt.Errorf("roles: %q is unknown: one of %v is allowed", name, identity.Names()))
		}
	}
	for _, site := range s.Sites {
		if site != identity.AllSites && !validSiteName(site) {
			faults = append(faults, fmt.Errorf("sites: %q is no name of a site; %q stands for all", site, identity.AllSites))
		}
	}
	return faults
}
