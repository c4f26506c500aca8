package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/auth/revoked"
	"greenlane/internal/pki"
)

func runPKI(args ...string) (string, error) {
	cmd := command()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"pki"}, args...))
	err := cmd.Execute()
	return out.String(), err
}

// TestPKI makes a directory, more in it, and takes something back.
func TestPKI(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	said, err := runPKI("dev", "--dir", dir)
	if err != nil || !strings.Contains(said, "greenlaned --config "+filepath.Join(dir, "greenlaned.yaml")) {
		t.Fatalf("%s %v", said, err)
	}
	if _, err := runPKI("dev", "--dir", dir); err == nil {
		t.Error("an authority was overwritten")
	}
	for _, key := range []string{"ca.key", "server.key", "token-key.json", "agent.token"} {
		if info, err := os.Stat(filepath.Join(dir, key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, info.Mode(), err)
		}
	}
	if _, err := runPKI("cert", "pbx-2", "--dir", dir, "--role", "switch", "--name", "pbx-2", "--site", "east"); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pbx-2.crt")
	text, _ := os.ReadFile(file)
	cert, err := pki.ReadCertificate(text)
	if err != nil || len(cert.URIs) != 1 || cert.URIs[0].String() != "spiffe://greenlane.dev/greenlane/switch/pbx-2/east" {
		t.Errorf("%v, %v", cert.URIs, err)
	}
	for range 2 {
		if _, err := runPKI("revoke", file, "--dir", dir); err != nil {
			t.Fatal(err)
		}
	}
	text, _ = os.ReadFile(filepath.Join(dir, "crl.pem"))
	block, _ := pem.Decode(text)
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil || len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(cert.SerialNumber) != 0 {
		t.Errorf("the list: %v, %v", list, err)
	}
	if said, err = runPKI("token", "--dir", dir, "--role", "agent", "--role", "supervisor", "--name", "7002"); err != nil || strings.Count(said, ".") != 2 {
		t.Errorf("%q, %v", said, err)
	}
	for _, wrong := range [][]string{
		{"token", "--dir", dir, "--role", "root", "--name", "a"}, {"token", "--dir", dir, "--role", "agent"}, {"token", "--dir", dir, "--name", "a"},
		{"cert", "x", "--dir", dir, "--role", "agent", "--name", "*"}, {"cert", "../x", "--dir", dir, "--role", "agent", "--name", "a"},
		{"cert", "x", "--dir", dir, "--role", "agent", "--role", "switch", "--name", "a"}, {"dev", "--dir", dir + "2", "--for", "1s"}, {"cert"},
	} {
		if _, err := runPKI(wrong...); !isUsage(err) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if _, err := runPKI("server", "--dir", dir+"3"); err == nil || !strings.Contains(err.Error(), "pki dev") {
		t.Errorf("without a directory: %v", err)
	}
}

// TestRevokeTokens: one token by its file, or all of a name.
func TestRevokeTokens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	file := func(name string) string { return filepath.Join(dir, name) }
	if _, err := runPKI("dev", "--dir", dir); err != nil {
		t.Fatal(err)
	}
	read := func() *revoked.List {
		t.Helper()
		text, err := os.ReadFile(file("revoked.json"))
		if err != nil {
			t.Fatal(err)
		}
		list, err := revoked.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if list := read(); len(list.Tokens)+len(list.Names) != 0 {
		t.Errorf("a new list has %+v", list)
	}
	for _, args := range [][]string{
		{file("switch.token")}, {file("agent.token")}, {file("switch.token")}, {"--name", "7001"}, {"--name", "7001"}, {"--name", "a b"},
	} {
		if said, err := runPKI(append([]string{"revoke", "--dir", dir}, args...)...); err != nil {
			t.Fatalf("%q: %s %v", args, said, err)
		}
	}
	list := read()
	if len(list.Tokens) != 2 || list.Tokens[0].ID == "" || list.Tokens[0].ID == list.Tokens[1].ID || !list.Tokens[0].Expires.After(time.Now()) {
		t.Errorf("the tokens are %+v", list.Tokens)
	}
	if len(list.Names) != 2 || list.Names[0].Name != "7001" || time.Since(list.Names[0].IssuedBefore) > time.Minute || list.Names[1].Name != "a b" {
		t.Errorf("the names are %+v", list.Names)
	}

	// What has expired is of no use on the list.
	late := pki.Dir{Path: dir, Now: func() time.Time { return time.Now().Add(pkiLasts + 2*time.Hour) }}
	if err := late.RevokeName("7001"); err != nil {
		t.Fatal(err)
	}
	if list := read(); len(list.Tokens) != 0 || len(list.Names) != 2 {
		t.Errorf("later it has %+v", list)
	}

	other := filepath.Join(t.TempDir(), "pki")
	if _, err := runPKI("dev", "--dir", other); err != nil {
		t.Fatal(err)
	}
	for what, args := range map[string][]string{
		"another directory's token": {filepath.Join(other, "agent.token")}, "neither": {file("jwks.json")}, "a key": {file("token-key.json")},
	} {
		said, err := runPKI(append([]string{"revoke", "--dir", dir}, args...)...)
		if err == nil || isUsage(err) || strings.Contains(said+err.Error(), "eyJ") {
			t.Errorf("%s: %s %v", what, said, err)
		}
	}
	for what, args := range map[string][]string{
		"nothing": {}, "both": {file("agent.token"), "--name", "a"}, "no such file": {file("nothing")},
	} {
		if _, err := runPKI(append([]string{"revoke", "--dir", dir}, args...)...); !isUsage(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(file("revoked.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := runPKI("revoke", "--dir", dir, "--name", "a"); err == nil || !strings.Contains(err.Error(), "revoked.json") {
		t.Errorf("a list that is broken: %v", err)
	}
}
