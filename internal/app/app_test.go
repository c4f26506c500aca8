package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

func configOf(t *testing.T, change ...func(*config.Config)) *config.Config {
	t.Helper()
	c := config.Default()
	c.Listen, c.HTTP, c.Data = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	for _, f := range change {
		f(c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func dial(t testing.TB, a *app.App, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(a.Addr().String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return c
}

func get(t *testing.T, a *app.App, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + a.HTTPAddr().String() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestItServes(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	conn := dial(t, a, insecure.NewCredentials())
	if _, err := pb.NewSwitchServiceClient(conn).CallArrived(ctx(t), &pb.CallArrivedRequest{SwitchId: "s", CallId: "c", Caller: "13800138000"}); err != nil {
		t.Fatal(err)
	}
	health, err := healthpb.NewHealthClient(conn).Check(ctx(t), &healthpb.HealthCheckRequest{Service: "greenlane.v1.SwitchService"})
	if err != nil || health.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", health, err)
	}
	for path, want := range map[string]string{
		"/healthz": "alive", "/readyz": "serving",
		"/metrics": `greenlane_calls_joined_total{queue="default",site="main",tier="ordinary"} 1`,
	} {
		if code, body := get(t, a, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, want %q in:\n%.2000s", path, code, want, body)
		}
	}
	_, metrics := get(t, a, "/metrics")
	for _, want := range []string{
		`greenlaned_requests_total{code="OK",method="/greenlane.v1.SwitchService/CallArrived"} 1`,
		`greenlaned_tier_lookups_total{result="unknown"} 1`, `greenlaned_open_streams{kind="session"} 0`,
		"greenlaned_commit_duration_seconds_count", "greenlaned_build_info", "go_goroutines",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if strings.Contains(metrics, "13800138000") {
		t.Error("/metrics shows a caller's number")
	}
}

func TestReflectionIsConfigurable(t *testing.T) {
	for _, on := range []bool{true, false} {
		a := apptest.Start(t, configOf(t, func(c *config.Config) { c.Reflection, c.HTTP = on, "" }), app.Options{})
		if a.HTTPAddr() != nil {
			t.Error("HTTP is served although it is off")
		}
		stream, err := reflectionpb.NewServerReflectionClient(dial(t, a, insecure.NewCredentials())).ServerReflectionInfo(ctx(t))
		if err != nil {
			t.Fatal(err)
		}
		stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}})
		_, err = stream.Recv()
		if want := map[bool]codes.Code{true: codes.OK, false: codes.Unimplemented}[on]; status.Code(err) != want {
			t.Errorf("reflection %v: %v", on, err)
		}
		stream.CloseSend()
		apptest.Stop(t, a)
	}
}

// TestStopWithEverythingOpen: sessions, polls and a health watch are open; the
// daemon ends them and stops well before its time is up.
func TestStopWithEverythingOpen(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	conn := dial(t, a, insecure.NewCredentials())
	agents := pb.NewAgentServiceClient(conn)
	session, err := agents.Session(ctx(t))
	if err != nil {
		t.Fatal(err)
	}
	session.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{
		AgentId: "a", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}},
	}}})
	if _, err := session.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := agents.SignIn(ctx(t), &pb.SignInRequest{AgentId: "b", Queues: []*pb.AgentQueue{{Queue: "default"}}}); err != nil {
		t.Fatal(err)
	}
	polled := make(chan error, 1)
	go func() {
		_, err := agents.NextCall(ctx(t), &pb.NextCallRequest{AgentId: "b", Wait: durationpb.New(patience)})
		polled <- err
	}()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx(t), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatal(m, err)
	}
	for { // until the poll is open, too
		if _, body := get(t, a, "/metrics"); strings.Contains(body, `greenlaned_open_streams{kind="poll"} 1`) {
			break
		}
	}
	began := time.Now()
	apptest.Stop(t, a)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("stopping took %v", took)
	}
	if err := <-polled; err != nil {
		t.Errorf("the poll ended with %v", err)
	}
	for {
		if _, err = session.Recv(); err != nil {
			break
		}
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the session ended with %v", err)
	}
	if m, err := watch.Recv(); err == nil && m.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health said %v", m)
	}
	apptest.Stop(t, a) // again is harmless
}

func TestWhatIsAcknowledgedIsThereAfterARestart(t *testing.T) {
	cfg := configOf(t)
	for i, want := range []int{1, 2} {
		a := apptest.Start(t, cfg, app.Options{})
		conn := dial(t, a, insecure.NewCredentials())
		req := &pb.CallArrivedRequest{SwitchId: "s", CallId: string(rune('a' + i)), Caller: "13800138000"}
		if _, err := pb.NewSwitchServiceClient(conn).CallArrived(ctx(t), req); err != nil {
			t.Fatal(err)
		}
		calls, err := pb.NewSupervisorServiceClient(conn).ListCalls(ctx(t), &pb.ListCallsRequest{})
		if err != nil || len(calls.GetCalls()) != want {
			t.Errorf("%v, %v; want %d calls", calls, err, want)
		}
		apptest.Stop(t, a)
	}
}

func TestAFailedStartLeavesNothingBehind(t *testing.T) {
	cfg := configOf(t)
	running := apptest.Start(t, cfg, app.Options{})
	// The address is taken.
	taken := *cfg
	taken.Listen = running.Addr().String()
	if _, err := app.New(&taken, app.Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
	// The data is in use: the address must be free again.
	if _, err := app.New(cfg, app.Options{}); err == nil {
		t.Error("two daemons on one directory")
	}
	apptest.Stop(t, running)
	// A file of the data is a directory: what was opened before must be closed.
	broken := *cfg
	broken.Data = t.TempDir()
	if err := os.MkdirAll(filepath.Join(broken.Data, "queue", "main.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(&broken, app.Options{}); err == nil || !strings.Contains(err.Error(), "main") {
		t.Errorf("%v", err)
	}
	os.RemoveAll(filepath.Join(broken.Data, "queue"))
	apptest.Start(t, &broken, app.Options{})
}

// TestAFailedDiskEndsTheDaemon: nothing is acknowledged any more, health says
// so, and Failed tells whoever runs the daemon.
func TestAFailedDiskEndsTheDaemon(t *testing.T) {
	full := errors.New("no space left on device")
	broken := make(chan struct{})
	a := apptest.Start(t, configOf(t), app.Options{Engine: func(o *embedded.Options) {
		o.WrapCommit = func(commit func() error) error {
			select {
			case <-broken:
				return full
			default:
				return commit()
			}
		}
	}})
	conn := dial(t, a, insecure.NewCredentials())
	close(broken)
	_, err := pb.NewSwitchServiceClient(conn).CallArrived(ctx(t), &pb.CallArrivedRequest{SwitchId: "s", CallId: "c"})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a call on a full disk: %v", err)
	}
	select {
	case <-a.Failed():
	case <-time.After(patience):
		t.Fatal("the failure is not told")
	}
	if err := a.Err(); !errors.Is(err, full) || !strings.Contains(err.Error(), "site main") {
		t.Errorf("%v", err)
	}
	if code, _ := get(t, a, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", code)
	}
	if code, _ := get(t, a, "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
}

func TestSeveralSites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:0\nhttp: 127.0.0.1:0\ndata: "+t.TempDir()+"\nsites: [{name: main}, {name: tiers}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	a := apptest.Start(t, cfg, app.Options{})
	sw := pb.NewSwitchServiceClient(dial(t, a, insecure.NewCredentials()))
	for _, site := range []string{"", "tiers"} { // a site may be named like a file of the daemon
		res, err := sw.CallArrived(ctx(t), &pb.CallArrivedRequest{Site: site, SwitchId: "s", CallId: "c"})
		if err != nil || res.GetPosition() != 1 {
			t.Errorf("site %q: %v, %v", site, res, err)
		}
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := selfSigned(t, cert, key)
	a := apptest.Start(t, configOf(t, func(c *config.Config) { c.TLS = config.TLS{Cert: cert, Key: key} }), app.Options{})
	sup := pb.NewSupervisorServiceClient(dial(t, a, credentials.NewTLS(&tls.Config{RootCAs: pool})))
	if _, err := sup.GetSnapshot(ctx(t), &pb.GetSnapshotRequest{}); err != nil {
		t.Error(err)
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"TLS 1.2": credentials.NewTLS(&tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}), "plain text": insecure.NewCredentials(),
	} {
		if _, err := pb.NewSupervisorServiceClient(dial(t, a, creds)).GetSnapshot(ctx(t), &pb.GetSnapshotRequest{}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := client.Get("https://" + a.HTTPAddr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

func selfSigned(t *testing.T, certFile, keyFile string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "greenlane"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pemCert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for file, text := range map[string][]byte{certFile: pemCert, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pemCert)
	return pool
}
