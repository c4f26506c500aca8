package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

// TestWhoMayBeReachedByOthers: TLS alone does not say who a client is.
func TestWhoMayBeReachedByOthers(t *testing.T) {
	dir := pki.Dir{Path: t.TempDir() + "/pki", Now: time.Now}
	if err := dir.Make(time.Hour, []string{"main"}, "localhost"); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir.Path, name) }
	tls := "tls: {cert: " + in("server.crt") + ", key: " + in("server.key")
	for what, x := range map[string]struct{ text, fault string }{
		"nothing":               {"", "set tls.cert and tls.key"},
		"tokens in the clear":   {"auth: {tokens: {jwks_file: " + in("jwks.json") + "}}", "set tls.cert and tls.key"},
		"TLS alone":             {tls + "}", "nobody is asked who they are"},
		"TLS alone, insecure":   {tls + "}\ninsecure: true", ""},
		"nobody has a role":     {tls + ", client_ca: " + in("ca.crt") + "}", "needs trust_domain or subjects"},
		"a key that is no key":  {tls + "}\nauth: {tokens: {shared_key_file: " + in("crl.pem.none") + "}}", "crl.pem.none"},
		"certificates":          {tls + ", client_ca: " + in("ca.crt") + "}\nauth: {certificates: {trust_domain: x.org}}", ""},
		"tokens":                {tls + "}\nauth: {tokens: {jwks_file: " + in("jwks.json") + "}}", ""},
		"the made one, whole":   {dir.Config(), ""},
		"a list by another":     {tls + ", client_ca: " + in("ca.crt") + ", client_crl: " + in("ca.crt") + "}\nauth: {certificates: {trust_domain: x.org}}", "only revocation lists"},
		"the key of another":    {"tls: {cert: " + in("server.crt") + ", key: " + in("switch.key") + "}", "certificate and key"},
		"an authority of a key": {tls + ", client_ca: " + in("server.crt") + "}\nauth: {certificates: {trust_domain: x.org}}", "no authority"},
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte("listen: 0.0.0.0:7316\n"+x.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file, Flags{})
		if x.fault == "" && err != nil || x.fault != "" && (err == nil || !strings.Contains(err.Error(), x.fault)) {
			t.Errorf("%s: %v, want %q", what, err, x.fault)
		}
	}
}

func TestSubjectsArrive(t *testing.T) {
	c := Default()
	c.TLS.ClientCA, c.Auth.Certificates.Subjects = "ca", []Subject{{CN: "pbx-*", Name: "*", Roles: []string{"switch", "metrics"}, Sites: []string{"*"}}}
	o := c.AuthOptions()
	if s := o.Subjects[0]; s.CN != "pbx-*" || s.Name != identity.AnyName || s.Roles != identity.Switch|identity.Metrics || s.Sites[0] != identity.AllSites {
		t.Errorf("%+v", s)
	}
	if o.Tokens.Audience != "greenlane" || o.Tokens.NameClaim != "sub" || o.Tokens.Leeway != 30*time.Second || !c.Asked() || Default().Asked() {
		t.Errorf("%+v", o.Tokens)
	}
}
