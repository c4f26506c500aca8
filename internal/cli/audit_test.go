package cli

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/audit"
	"greenlane/internal/logtest"
	"greenlane/tiering"
)

// offline runs a command that asks no daemon.
func offline(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	var o logtest.Buffer
	cmd := root()
	cmd.SetOut(&o)
	cmd.SetErr(&o)
	cmd.SetArgs(args)
	line, code := Explain(cmd.ExecuteContext(t.Context()))
	return o.String(), line, code
}

// auditKeys writes a key pair and returns it with its files.
func auditKeys(t *testing.T) (key *audit.Key, private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	private = write("key.pem", "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(pub)
	public = write("pub.pem", "PUBLIC KEY", der, err)
	if key, err = audit.LoadKey(private); err != nil {
		t.Fatal(err)
	}
	return key, private, public
}

// auditRecord writes a record of three changes and an unknown one.
func auditRecord(t *testing.T, key *audit.Key) (dir string, head audit.Head) {
	t.Helper()
	dir = t.TempDir()
	log, err := audit.Open(audit.Options{
		Dir: dir, Key: key, Start: audit.Record{Action: audit.ActionStart, Detail: map[string]string{"version": "v1"}}, Stop: audit.Record{Action: audit.ActionStop},
		Now: func() time.Time { return time.Date(2027, 1, 31, 9, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	masked, keyed := log.Caller("main", "+8613800138000")
	twin, twinKeyed := log.Caller("main", "+8613900138000")
	for _, c := range []struct {
		rec           audit.Record
		before, after map[string]string
		code          string
	}{
		{audit.Record{Action: "tier.set", Site: "main", Who: &audit.Who{Name: "anna"}, Object: &audit.Object{Caller: masked, CallerKey: keyed}},
			map[string]string{"tier": "mid"}, map[string]string{"tier": "vip"}, "OK"},
		{audit.Record{Action: "blacklist.add", Site: "main", Who: &audit.Who{Name: "ben"}, Object: &audit.Object{Caller: twin, CallerKey: twinKeyed},
			Want: map[string]string{"reason": "threats"}}, map[string]string{"tier": "mid"}, map[string]string{"tier": "blacklist"}, "OK"},
		{audit.Record{Action: "call.move", Site: "other", Who: &audit.Who{Peer: "192.0.2.1:5"}, Object: &audit.Object{Call: "c1"}, Want: map[string]string{"queue": "billing"}},
			nil, nil, "NotFound"},
		{audit.Record{Action: "call.set_tier", Site: "main", Who: &audit.Who{Name: "anna"}, Object: &audit.Object{Call: "c2"}}, nil, nil, ""},
	} {
		under := log.Begin(c.rec)
		if err := under.Durable(); err != nil {
			t.Fatal(err)
		}
		if c.code != "" {
			if err := under.End(c.code, c.before, c.after); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, log.Head()
}

func TestAuditVerifyNamesTheFirstBrokenLine(t *testing.T) {
	key, _, public := auditKeys(t)
	dir, head := auditRecord(t, key)
	out, errs, code := offline(t, "audit", "verify", dir, "--key", public, "--head", head.String())
	if code != 0 || !strings.Contains(out, "ok: as it was written, up to the daemon's stop") || !strings.Contains(out, "1 changes have no outcome") ||
		!strings.Contains(out, "0 records after it are not signed") || !strings.Contains(out, head.String()) {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	if out, _, code := offline(t, "audit", "head", dir); code != 0 || out != head.String()+"\n" {
		t.Errorf("head: %d %q", code, out)
	}
	path := filepath.Join(dir, "audit-000001.jsonl")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), `"name":"ben"`, `"name":"bob"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := offline(t, "audit", "verify", dir); code != ExitFailed || !strings.HasPrefix(errs, "audit-000001.jsonl:6: changed:") || strings.Contains(out, "ok:") {
		t.Errorf("%d %q\n%s", code, errs, out)
	}
	out, _, code = offline(t, "audit", "verify", dir, "--output", "json")
	var report struct {
		OK    bool
		Fault struct {
			Line int
			Kind string
		}
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != ExitFailed || report.OK || report.Fault.Line != 6 || report.Fault.Kind != "changed" {
		t.Errorf("%d %v\n%s", code, err, out)
	}
	if _, errs, code := offline(t, "audit", "head", dir); code != ExitFailed || !strings.Contains(errs, "greenlane audit verify") {
		t.Errorf("the head of a changed record: %d %q", code, errs)
	}
}

func TestAuditShowFilters(t *testing.T) {
	key, private, _ := auditKeys(t)
	dir, _ := auditRecord(t, key)
	for _, c := range []struct {
		args string
		want []string // actions
	}{
		{"", []string{"daemon.start", "tier.set", "blacklist.add", "call.move", "daemon.stop", "call.set_tier"}},
		{"--who anna", []string{"tier.set", "call.set_tier"}},
		{"--action call", []string{"call.move", "call.set_tier"}},
		{"--action call.move", []string{"call.move"}},
		{"--site other", []string{"call.move"}},
		{"--since 2027-02-01", nil},
		{"--until 2027-01-31T09:00:00Z", nil},
		{"--since 2027-01-31T09:00:00Z --action blacklist", []string{"blacklist.add"}},
		{"--caller +8613800138000", []string{"tier.set", "blacklist.add"}},
		{"--caller +8613800138000 --key " + private, []string{"tier.set"}},
		{"--chain --action audit", []string{"audit.file", "audit.checkpoint", "audit.checkpoint"}},
	} {
		out, errs, code := offline(t, append([]string{"audit", "show", dir, "--output", "json"}, strings.Fields(c.args)...)...)
		var got []string
		for line := range strings.Lines(out) {
			var e struct{ Action string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err, line)
			}
			got = append(got, e.Action)
		}
		if code != 0 || strings.Join(got, " ") != strings.Join(c.want, " ") {
			t.Errorf("%s: %d %s: %q, want %q", c.args, code, errs, got, c.want)
		}
	}
	out, _, _ := offline(t, "audit", "show", dir)
	for _, want := range []string{"tier mid to vip", "reason threats", "192.0.2.1:5", "NotFound", "unknown", "version v1", "+86*******8000"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in:\n%s", want, out)
		}
	}
	for _, args := range []string{"--since yesterday", "--caller 8000", "--key x", "--caller +8613800138000 --key " + dir, "one two", "--output xml"} {
		if _, errs, code := offline(t, append([]string{"audit", "show"}, strings.Fields(args)...)...); code != ExitUsage || errs == "" {
			t.Errorf("%s: %d %q", args, code, errs)
		}
	}
	if _, errs, code := offline(t, "audit", "show", t.TempDir()); code != ExitFailed || !strings.Contains(errs, "holds no audit record") {
		t.Errorf("%d %q", code, errs)
	}
	if m := tiering.Number("+8613800138000").Masked(); !strings.Contains(out, m) {
		t.Errorf("the caller is not shown as %s", m)
	}
}
