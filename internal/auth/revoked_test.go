package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
)

// newRevoking is a bench with a list of revoked tokens.
func newRevoking(t *testing.T, claim string) *bench {
	t.Helper()
	file := filepath.Join(t.TempDir(), "revoked.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	return newBench(t, func(o *Options) {
		o.Tokens.RevokedFile = file
		if claim != "" {
			o.Tokens.NameClaim = claim
		}
	})
}

func (b *bench) revoke(list string) {
	b.t.Helper()
	if err := os.WriteFile(b.auth.opts.Tokens.RevokedFile, []byte(list), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.looks()
}

func (b *bench) sign(name, id string, issued time.Time) string {
	b.t.Helper()
	return must(b.key.Sign(pki.Token{Name: name, Roles: identity.Agent, ID: id, Issued: issued, Until: b.now.Add(time.Hour)}))(b.t)
}

// TestRevokedTokens: one token, or all that were issued to somebody before an
// instant, and nobody else's.
func TestRevokedTokens(t *testing.T) {
	b := newRevoking(t, "")
	early, late := b.now.Add(-time.Hour), b.now.Add(-time.Minute)
	tokens := map[string]string{
		"one": b.sign("7001", "one", early), "other id": b.sign("7001", "two", late), "no id": b.sign("7001", "", late),
		"undated": b.sign("7001", "three", time.Time{}), "other name": b.sign("7002", "four", early), "at the instant": b.sign("7001", "five", b.now.Add(-30*time.Minute)),
	}
	changed := b.auth.Changed()
	for _, x := range []struct{ list, out string }{
		{`{}`, ""},
		{`{"tokens": [{"id": "one"}], "names": []}`, "one"},
		{`{"tokens": [{"id": "nine", "expires": "2026-01-02T03:04:05Z"}, {"id": "one", "expires": "2001-01-01T00:00:00Z"}]}`, "one"},
		{fmt.Sprintf(`{"names": [{"name": "7001", "issued_before": %q}]}`, b.now.Add(-30*time.Minute).Format(time.RFC3339)), "one,undated"},
		{fmt.Sprintf(`{"names": [{"name": "7001", "issued_before": %q}, {"name": "7001", "issued_before": "2001-01-01T00:00:00Z"}]}`, b.now.Format(time.RFC3339)), "one,other id,no id,undated,at the instant"},
		{`{"names": [{"name": "*", "issued_before": "2999-01-01T00:00:00Z"}]}`, ""}, // the name is *, not everybody
	} {
		b.revoke(x.list)
		for what, token := range tokens {
			want := Reason("")
			for out := range strings.SplitSeq(x.out, ",") {
				if out == what {
					want = ReasonRevoked
				}
			}
			for range 2 {
				if known, err := b.auth.Prove(Proof{Bearer: token}); reasonOf(err) != want || want == "" && known.Name == "" {
					t.Errorf("%s: %s: %v, want %q", x.list, what, err, want)
				}
			}
		}
	}
	<-changed
	b.revoke(`{"tokens": [{"id": "one"}]}`)
	b.now = b.now.Add(2 * time.Hour)
	if _, err := b.auth.Prove(Proof{Bearer: tokens["one"]}); reasonOf(err) != ReasonExpired {
		t.Errorf("revoked and expired: %v", err)
	}
}

// TestRevokedBySubject: a list may name the sub of tokens whose name stands in
// another claim.
func TestRevokedBySubject(t *testing.T) {
	b := newRevoking(t, "jti")
	token := b.sign("u-1", "7001", b.now)
	for list, want := range map[string]Reason{
		`{"names": [{"name": "u-1", "issued_before": "2999-01-01T00:00:00Z"}]}`:  ReasonRevoked,
		`{"names": [{"name": "7001", "issued_before": "2999-01-01T00:00:00Z"}]}`: ReasonRevoked,
		`{"names": [{"name": "u-2", "issued_before": "2999-01-01T00:00:00Z"}]}`:  "",
	} {
		b.revoke(list)
		if _, err := b.auth.Prove(Proof{Bearer: token}); reasonOf(err) != want {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// TestAListThatIsNoGood leaves the one from before in force, and at the start there
// is none from before.
func TestAListThatIsNoGood(t *testing.T) {
	b := newRevoking(t, "")
	token := b.sign("7001", "one", b.now)
	good := `{"tokens": [{"id": "one"}], "names": [{"name": "7009", "issued_before": "2026-01-02T03:04:05Z"}]}`
	b.revoke(good)
	file := b.auth.opts.Tokens.RevokedFile
	for _, bad := range []string{
		"", "null", "[]", "\x00\x01", good[:len(good)-2], good[:40], good + good, good + "x", `{"token": []}`, `{"tokens": {}}`,
		`{"tokens": [{"id": ""}]}`, `{"tokens": [{}]}`, `{"tokens": ["one"]}`, `{"names": [{"name": "a"}]}`, `{"names": [{"issued_before": "2026-01-02T03:04:05Z"}]}`,
		`{"names": [{"name": "a", "issued_before": "yesterday"}]}`, `{"tokens": [{"id": "one", "until": 1}]}`,
	} {
		failures := b.auth.Counts().Failures.Load()
		b.revoke(bad)
		b.looks()
		if _, err := b.auth.Prove(Proof{Bearer: token}); reasonOf(err) != ReasonRevoked {
			t.Errorf("%q: %v", bad, err)
		}
		if n := b.auth.Counts().Failures.Load() - failures; n != 1 {
			t.Errorf("%q was told %d times", bad, n)
		}
		if _, err := Open(b.auth.opts); err == nil || !strings.Contains(err.Error(), "auth.tokens.revoked_file: ") {
			t.Errorf("%q at the start: %v", bad, err)
		}
		b.revoke(good)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	b.looks()
	if _, err := b.auth.Prove(Proof{Bearer: token}); reasonOf(err) != ReasonRevoked {
		t.Errorf("without its file: %v", err)
	}
	if _, err := Open(b.auth.opts); err == nil {
		t.Error("it starts without the file")
	}
	b.revoke(`{}`)
	if _, err := b.auth.Prove(Proof{Bearer: token}); err != nil {
		t.Errorf("given back: %v", err)
	}
}
