package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
