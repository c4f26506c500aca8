package app_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/identity"
	"greenlane/internal/logtest"
	"greenlane/internal/pki"
	pb "greenlane/proto/greenlane/v1"
)

// guarded is a daemon that asks who makes a request, with the files of `greenlane
// pki dev`.
type guarded struct {
	*app.App
	t   *testing.T
	pki pki.Dir
	log *logtest.Buffer
}

func newGuarded(t *testing.T, change func(*config.Config)) *guarded {
	t.Helper()
	g := &guarded{t: t, pki: pki.Dir{Path: filepath.Join(t.TempDir(), "pki"), Now: time.Now}, log: new(logtest.Buffer)}
	if err := g.pki.Make(time.Hour, []string{"main"}, "localhost", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	made, err := config.Load(g.file("greenlaned.yaml"), config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	cfg := configOf(t, func(c *config.Config) {
		c.TLS, c.Auth = made.TLS, made.Auth
		c.Auth.Tokens.Leeway = 0
		if change != nil {
			change(c)
		}
	})
	g.App = apptest.Start(t, cfg, app.Options{
		CredentialsEvery: time.Millisecond, Logger: g.log.Logger(),
	})
	return g
}

func (g *guarded) file(name string) string { return filepath.Join(g.pki.Path, name) }

func (g *guarded) read(name string) []byte {
	g.t.Helper()
	text, err := os.ReadFile(g.file(name))
	if err != nil {
		g.t.Fatal(err)
	}
	return text
}

func (g *guarded) token(role identity.Role, name string, lasts time.Duration, sites ...string) string {
	g.t.Helper()
	token, err := g.pki.Token(pki.Token{Name: name, Roles: role, Sites: sites, Until: time.Now().Add(lasts)})
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

// tls returns a client's settings; with the certificate of a role, or without.
func (g *guarded) tls(client string) *tls.Config {
	g.t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(g.read("ca.crt"))
	cfg := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13, ServerName: "localhost"}
	if client != "" {
		pair, err := tls.X509KeyPair(g.read(client+".crt"), g.read(client+".key"))
		if err != nil {
			g.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

func (g *guarded) browser(client string) *http.Client {
	t := &http.Transport{TLSClientConfig: g.tls(client), DisableKeepAlives: true}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (g *guarded) url(path string) string { return "https://" + g.HTTPAddr().String() + path }

func (g *guarded) do(c *http.Client, method, path string, head map[string]string, body string) *http.Response {
	g.t.Helper()
	req, err := http.NewRequestWithContext(ctx(g.t), method, g.url(path), strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for k, v := range head {
		req.Header.Set(k, v)
	}
	res, err := c.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { res.Body.Close() })
	return res
}

// TestEveryPathWithEveryCredential walks the table's paths of HTTP.
func TestEveryPathWithEveryCredential(t *testing.T) {
	g := newGuarded(t, nil)
	c := g.browser("")
	bearer := func(token string) map[string]string {
		if token == "" {
			return nil
		}
		return map[string]string{"Authorization": "Bearer " + token}
	}
	hour := time.Hour
	who := map[string]string{
		"nobody": "", "wrong": "x", "expired": g.token(identity.All, "x", -time.Second, "main"),
		"switch": g.token(identity.Switch, "a", hour), "agent": g.token(identity.Agent, "a", hour), "supervisor": g.token(identity.Supervisor, "a", hour),
		"back-office": g.token(identity.BackOffice, "a", hour), "metrics": g.token(identity.Metrics, "a", hour),
		"elsewhere": g.token(identity.All, "a", hour, "other"), "revoked": g.token(identity.All, "a", hour),
	}
	g.revoke(c, who["revoked"])
	const all = "switch agent supervisor back-office metrics elsewhere"
	for path, may := range map[string]string{
		"/healthz": "open", "/readyz": "open", "/login": "open", "/ui/base.css": "open",
		"/metrics": "metrics supervisor", "/": "supervisor elsewhere", "/agent": "agent elsewhere", "/whoami": all,
		"/wallboard/stream": "supervisor", "/wallboard/stream?site=main": "supervisor", "/wallboard/stream?site=other": "",
		"/debug/pprof/": "", "/no/such": "", "/metricsx": "",
	} {
		for name, token := range who {
			want := http.StatusForbidden
			switch {
			case may == "open" || strings.Contains(" "+may+" ", " "+name+" "):
				want = http.StatusOK
			case strings.HasPrefix(path, "/wallboard/stream?site=other") && name == "elsewhere":
				want = http.StatusNotFound // theirs, but not this daemon's
			case may == "" && !strings.HasPrefix(path, "/wallboard"):
				want = http.StatusForbidden // no rule
			case name == "nobody" || name == "wrong" || name == "expired" || name == "revoked":
				want = http.StatusUnauthorized
			}
			res := g.do(c, "GET", path, bearer(token), "")
			if res.StatusCode != want {
				t.Errorf("%s by %s: %s, want %d", path, name, res.Status, want)
			}
			if want == http.StatusUnauthorized && res.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s by %s: no WWW-Authenticate", path, name)
			}
		}
	}
	for client, want := range map[string]int{"supervisor": http.StatusOK, "switch": http.StatusForbidden} {
		res := g.do(g.browser(client), "POST", "/greenlane.v1.SupervisorService/GetSnapshot", map[string]string{"Content-Type": "application/json"}, "{}")
		if res.StatusCode != want {
			t.Errorf("the API over HTTP with the certificate of a %s: %s", client, res.Status)
		}
	}
	if res := g.do(g.browser("metrics"), "GET", "/metrics", nil, ""); res.StatusCode != http.StatusOK {
		t.Errorf("a scrape with a certificate: %s", res.Status)
	}
	if res := g.do(c, "GET", "/ui/../metrics", nil, ""); res.StatusCode == http.StatusOK {
		t.Error("a path that climbs gets in")
	}
	figures, _ := io.ReadAll(g.do(c, "GET", "/metrics", bearer(who["supervisor"]), "").Body)
	for _, want := range []string{`greenlaned_requests_refused_total{reason="CREDENTIAL_EXPIRED"}`, `greenlaned_tls_expiry_timestamp_seconds{what="certificate"}`, "greenlaned_tls_reload_failures_total 0"} {
		if !strings.Contains(string(figures), want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	for name, token := range who {
		if len(token) > 1 && strings.Contains(g.log.String(), token) {
			t.Errorf("the log has the token of %s", name)
		}
	}
}

// revoke takes a token back, and waits until the daemon knows.
func (g *guarded) revoke(c *http.Client, token string) {
	g.t.Helper()
	if err := g.pki.RevokeToken(token); err != nil {
		g.t.Fatal(err)
	}
	for g.do(c, "GET", "/whoami", map[string]string{"Authorization": "Bearer " + token}, "").StatusCode != http.StatusUnauthorized {
		runtime.Gosched()
	}
}

// TestAWallboardEndsWithItsRevokedToken, and another of the same name goes on.
func TestAWallboardEndsWithItsRevokedToken(t *testing.T) {
	g := newGuarded(t, nil)
	c := g.browser("")
	board := func(token string) *bufio.Reader {
		in := bufio.NewReader(g.do(c, "GET", "/wallboard/stream", map[string]string{"Authorization": "Bearer " + token}, "").Body)
		if line, err := in.ReadString('\n'); err != nil || line != "event: hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
		return in
	}
	lost, kept := g.token(identity.Supervisor, "anna", time.Hour), g.token(identity.Supervisor, "anna", time.Hour)
	one, other := board(lost), board(kept)
	g.revoke(c, lost)
	io.Copy(io.Discard, one) // ends
	if _, err := other.ReadString('\n'); err != nil {
		t.Errorf("the other one ended, too: %v", err)
	}
	if err := g.pki.RevokeName("anna"); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, other)
	if !strings.Contains(g.log.String(), "CREDENTIAL_REVOKED") || strings.Contains(g.log.String(), lost) || strings.Contains(g.log.String(), kept) {
		t.Error("the log does not say that somebody was refused, or it has the token")
	}
}

// TestABrowserSignsIn: the token lies in a cookie that no script and no other site
// gets at, and opens pages and API until it expires.
func TestABrowserSignsIn(t *testing.T) {
	g := newGuarded(t, nil)
	c := g.browser("")
	html := map[string]string{"Accept": "text/html,*/*"}
	page := g.do(c, "GET", "/", html, "")
	text, _ := io.ReadAll(page.Body)
	if page.StatusCode != http.StatusUnauthorized || !strings.Contains(string(text), "/ui/login.js") || page.Header.Get("Content-Security-Policy") == "" {
		t.Fatalf("%s: %s", page.Status, text)
	}
	login := func(token string, head map[string]string) *http.Response {
		body, _ := json.Marshal(map[string]string{"token": token})
		return g.do(c, "POST", "/login", head, string(body))
	}
	if res := login("x", nil); res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 {
		t.Errorf("a wrong token: %s, %v", res.Status, res.Cookies())
	}
	token := g.token(identity.Supervisor|identity.Agent, "anna", 6*time.Second)
	if res := login(token, map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site signs in: %s", res.Status)
	}
	if res := g.do(c, "POST", "/login", nil, "{"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("no JSON: %s", res.Status)
	}
	res := login(token, nil)
	if res.StatusCode != http.StatusOK || len(res.Cookies()) != 1 {
		t.Fatalf("%s, %v", res.Status, res.Cookies())
	}
	k := res.Cookies()[0]
	if !k.HttpOnly || !k.Secure || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || !strings.HasPrefix(k.Name, "__Host-") || k.Expires.After(time.Now().Add(7*time.Second)) {
		t.Errorf("the cookie is %+v", k)
	}
	with := map[string]string{"Cookie": k.Name + "=" + k.Value, "Content-Type": "application/json"}
	var me struct{ Name string }
	if err := json.NewDecoder(g.do(c, "GET", "/whoami", with, "").Body).Decode(&me); err != nil || me.Name != "anna" {
		t.Errorf("whoami: %+v, %v", me, err)
	}
	if res := g.do(c, "POST", "/greenlane.v1.SupervisorService/GetSnapshot", with, "{}"); res.StatusCode != http.StatusOK {
		t.Errorf("the API with the cookie: %s", res.Status)
	}
	if res := g.do(c, "POST", "/greenlane.v1.TierService/BatchSet", with, "{}"); res.StatusCode == http.StatusOK {
		t.Errorf("the API beyond the roles: %s", res.Status)
	}
	if res := g.do(c, "POST", "/greenlane.v1.SupervisorService/GetSnapshot", map[string]string{"Content-Type": "application/json"}, "{}"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the API without it: %s", res.Status)
	}
	foreign := map[string]string{"Cookie": with["Cookie"], "Content-Type": "application/json", "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
	if res := g.do(c, "POST", "/greenlane.v1.SupervisorService/GetSnapshot", foreign, "{}"); res.StatusCode != http.StatusForbidden {
		t.Errorf("the API from another site: %s", res.Status)
	}
	// The board's stream ends with the token, and does not come back.
	board := g.do(c, "GET", "/wallboard/stream", with, "")
	if line, err := bufio.NewReader(board.Body).ReadString('\n'); err != nil || line != "event: hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := io.Copy(io.Discard, board.Body); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Logf("the stream ended with %v", err)
	}
	if res := g.do(c, "GET", "/wallboard/stream", with, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("after the token's end: %s", res.Status)
	}
	out := g.do(c, "POST", "/logout", with, "")
	if k := out.Cookies(); len(k) != 1 || k[0].MaxAge >= 0 {
		t.Errorf("leaving: %v", k)
	}
}

// TestWhoIsRefusedAtTheDoor: what no authority vouches for gets no connection.
func TestWhoIsRefusedAtTheDoor(t *testing.T) {
	g := newGuarded(t, func(c *config.Config) { c.TLS.RequireClientCert = true })
	ask := func(cfg *tls.Config) error {
		_, err := pb.NewSupervisorServiceClient(dial(t, g.App, credentials.NewTLS(cfg))).GetSnapshot(ctx(t), &pb.GetSnapshotRequest{})
		return err
	}
	if err := ask(g.tls("supervisor")); err != nil {
		t.Fatal(err)
	}
	stranger := pki.Dir{Path: t.TempDir() + "/other", Now: time.Now}
	if err := stranger.Make(time.Hour, []string{"main"}, "localhost"); err != nil {
		t.Fatal(err)
	}
	other := *g
	other.pki = stranger
	strange := g.tls("")
	strange.Certificates = other.tls("supervisor").Certificates
	old := pki.Dir{Path: g.pki.Path, Now: func() time.Time { return time.Now().Add(-2 * time.Hour) }}
	if err := errors.Join(old.Certificate("expired", time.Hour, identity.Supervisor, "s", []string{"main"}), g.pki.Certificate("fired", time.Hour, identity.Supervisor, "f", []string{"main"})); err != nil {
		t.Fatal(err)
	}
	if err := ask(g.tls("fired")); err != nil {
		t.Fatal(err)
	}
	if err := g.pki.Revoke(g.file("fired.crt")); err != nil {
		t.Fatal(err)
	}
	for ask(g.tls("fired")) == nil { // until the list is taken
	}
	for what, cfg := range map[string]*tls.Config{
		"no certificate": g.tls(""), "a stranger's": strange, "an expired one": g.tls("expired"), "a revoked one": g.tls("fired"), "the daemon's own": g.tls("server"),
	} {
		if err := ask(cfg); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, want := range []string{"is revoked", "has expired"} {
		if !strings.Contains(g.log.String(), want) && !strings.Contains(g.log.String(), "others_since") {
			t.Errorf("the log does not say %q", want)
		}
	}
	// The pages need no certificate: health checks have none.
	if res := g.do(g.browser(""), "GET", "/healthz", nil, ""); res.StatusCode != http.StatusOK {
		t.Errorf("health without a certificate: %s", res.Status)
	}
}

// rotations is how often TestRotationsUnderLoad changes the certificates, unless
// GREENLANE_ROTATIONS says more.
const rotations = 20

// TestRotationsUnderLoad: certificates come and go under load, and no request
// fails, on connections that stay and on new ones; streams stay.
func TestRotationsUnderLoad(t *testing.T) {
	n := rotations
	if more, err := strconv.Atoi(os.Getenv("GREENLANE_ROTATIONS")); err == nil {
		n = more
	}
	g := newGuarded(t, nil)
	cfg := g.tls("")
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(g.file("switch.crt"), g.file("switch.key"))
		return &pair, err
	}
	watch, err := pb.NewSupervisorServiceClient(dial(t, g.App, credentials.NewTLS(g.tls("supervisor")))).Watch(ctx(t), &pb.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	load, stop := context.WithCancel(context.Background())
	defer stop()
	var requests, fresh atomic.Int64
	var all sync.WaitGroup
	clients := credentials.NewTLS(cfg)
	for i := range 4 {
		all.Go(func() {
			var conn *grpc.ClientConn
			for k := 0; load.Err() == nil; k++ {
				if conn == nil {
					conn, _ = grpc.NewClient(g.Addr().String(), grpc.WithTransportCredentials(clients))
					fresh.Add(1)
				}
				req := &pb.CallArrivedRequest{SwitchId: "pbx-1", CallId: fmt.Sprintf("c-%d-%d", i, k), Caller: "13800138000"}
				if _, err := pb.NewSwitchServiceClient(conn).CallArrived(context.Background(), req); err != nil {
					t.Errorf("request %d of client %d: %v", k, i, err)
				}
				end := &pb.CallAbandonedRequest{SwitchId: "pbx-1", CallId: req.GetCallId()}
				if _, err := pb.NewSwitchServiceClient(conn).CallAbandoned(context.Background(), end); err != nil {
					t.Errorf("request %d of client %d: %v", k, i, err)
				}
				requests.Add(2)
				if i%2 == 0 { // half of them make a new connection for each call
					conn.Close()
					conn = nil
				}
			}
			if conn != nil {
				conn.Close()
			}
		})
	}
	for range n {
		if err := g.pki.Server(time.Hour, "localhost", "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		before := fresh.Load()
		g.untilServed("server.crt")
		for c := ctx(t); fresh.Load() < before+2 && c.Err() == nil; {
			runtime.Gosched() // until new connections were made with it
		}
	}
	stop()
	all.Wait()
	if _, err := watch.Recv(); err != nil {
		t.Errorf("the stream ended with %v", err)
	}
	if fresh.Load() < int64(n) || t.Failed() {
		t.Errorf("%d connections were made", fresh.Load())
	}
	t.Logf("%d rotations, %d requests on %d connections", n, requests.Load(), fresh.Load())
}

// untilServed waits until the daemon shows the certificate of a file.
func (g *guarded) untilServed(file string) {
	g.t.Helper()
	want, err := pki.ReadCertificate(g.read(file))
	if err != nil {
		g.t.Fatal(err)
	}
	cfg := g.tls("")
	cfg.NextProtos = []string{"h2"}
	for c := ctx(g.t); c.Err() == nil; {
		conn, err := (&tls.Dialer{Config: cfg}).DialContext(c, "tcp", g.Addr().String())
		if err != nil {
			g.t.Fatal(err)
		}
		shown := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
		conn.Close()
		if shown.Equal(want) {
			return
		}
	}
	g.t.Fatal("the daemon does not show the new certificate")
}

// TestNobodyAskedIsSaidOnce.
func TestNobodyAskedIsSaidOnce(t *testing.T) {
	log := new(logtest.Buffer)
	apptest.Start(t, configOf(t), app.Options{Logger: log.Logger()})
	if n := strings.Count(log.String(), "nobody is asked who they are"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
}
