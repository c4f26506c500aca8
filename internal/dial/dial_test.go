package dial

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/pki"
)

func TestWhatIsAskedForTogether(t *testing.T) {
	dir := pki.Dir{Path: t.TempDir() + "/pki", Now: time.Now}
	if err := dir.Make(time.Hour, []string{"main"}, "localhost"); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir.Path, name) }
	const here, there = "127.0.0.1:7316", "greenlane.example:7316"
	for what, x := range map[string]struct {
		c     Credentials
		addr  string
		n     int
		fault string
	}{
		"nothing":                   {Credentials{}, there, 0, ""},
		"TLS by the system's trust": {Credentials{TLS: true}, there, 1, ""},
		"a CA":                      {Credentials{CA: in("ca.crt")}, there, 1, ""},
		"mutual":                    {Credentials{CA: in("ca.crt"), Cert: in("switch.crt"), Key: in("switch.key")}, there, 1, ""},
		"a token":                   {Credentials{CA: in("ca.crt"), TokenFile: in("agent.token")}, there, 2, ""},
		"a token here":              {Credentials{TokenFile: in("agent.token")}, here, 1, ""},
		"a token in the clear":      {Credentials{TokenFile: in("agent.token")}, there, 0, "in the clear"},
		"a certificate alone":       {Credentials{Cert: in("switch.crt")}, there, 0, "both or none"},
		"another's key":             {Credentials{Cert: in("switch.crt"), Key: in("agent.key")}, there, 0, "--tls-cert and --tls-key"},
		"no CA":                     {Credentials{CA: in("jwks.json")}, there, 0, "--tls-ca: no certificate"},
		"no file":                   {Credentials{CA: in("none")}, there, 0, "--tls-ca"},
		"no token":                  {Credentials{TokenFile: in("none")}, here, 0, "--token-file"},
		"more than a token":         {Credentials{TokenFile: in("ca.crt")}, here, 0, "one token is expected"},
	} {
		opts, err := x.c.Options(x.addr)
		if len(opts) != x.n || (err == nil) != (x.fault == "") || err != nil && !strings.Contains(err.Error(), x.fault) {
			t.Errorf("%s: %d options, %v", what, len(opts), err)
		}
	}
}

func TestTheEnvironmentFillsIn(t *testing.T) {
	t.Setenv("GREENLANE_TLS_CA", "env-ca")
	t.Setenv("GREENLANE_TOKEN_FILE", "env-token")
	c := Credentials{CA: "flag-ca"}
	c.Environment()
	if c.CA != "flag-ca" || c.TokenFile != "env-token" || !c.Secure() {
		t.Errorf("%+v", c)
	}
	if opts, err := Options(context.Background(), "x:1"); opts != nil || err != nil {
		t.Errorf("a command without credentials: %v, %v", opts, err)
	}
	if _, err := Options(With(context.Background(), &c), "x:1"); err == nil {
		t.Error("a file that is not there is no fault")
	}
}

func TestATokenThatIsReplacedIsSent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	k := &token{file: file}
	sent := func() string {
		m, err := k.GetRequestMetadata(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return m["authorization"]
	}
	if got := sent(); got != "Bearer one" {
		t.Error(got)
	}
	write("two")
	if got := sent(); got != "Bearer one" {
		t.Errorf("the file is read for every request: %s", got)
	}
	k.at = k.at.Add(-fresh)
	if got := sent(); got != "Bearer two" {
		t.Error(got)
	}
	k.at = k.at.Add(-fresh)
	os.Remove(file)
	if got := sent(); got != "Bearer two" {
		t.Errorf("while the file is replaced: %s", got)
	}
}
