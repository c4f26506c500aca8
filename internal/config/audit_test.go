package config

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheAuditSettingsArriveWhereTheRecordIsOpened(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	write := func(name, kind string, der []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		files[name] = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(files[name], pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	write("private", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(public)
	write("public", "PUBLIC KEY", der, err)

	a := load(t, "testdata/good/full.yaml", Flags{}).Audit
	a.KeyFile = files["private"]
	o, err := a.Options("data")
	if err != nil {
		t.Fatal(err)
	}
	if o.Dir != "/var/log/greenlane" || !o.Key.Private() || o.CheckpointEvery != 10 || o.CheckpointAfter != 5*time.Second ||
		o.MaxSize != 8<<20 || o.MaxAge != 24*time.Hour || o.Keep != 730*24*time.Hour {
		t.Errorf("%+v", o)
	}
	a.KeyFile, a.Dir = "", ""
	if o, err = a.Options("data"); err != nil || o.Dir != filepath.Join("data", "audit") || o.Key != nil {
		t.Errorf("%+v, %v", o, err)
	}
	a.KeyFile = files["public"]
	if err := a.check(); err == nil || !strings.Contains(err.Error(), "private key is needed") {
		t.Errorf("a public key to sign with: %v", err)
	}
}
