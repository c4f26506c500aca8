package app_test

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

// awaitLog waits until a text was logged.
func awaitLog(t *testing.T, log *logtest.Buffer, text string) {
	t.Helper()
	select {
	case <-log.Await(func(all string) bool { return strings.Contains(all, text) }):
	case <-time.After(patience):
		t.Fatalf("nobody was told %q:\n%s", text, log.Tail(2000))
	}
}

// vipIn has a caller be a VIP in a Redis, which is killed then.
func vipIn(t *testing.T, s *redistest.Server) {
	t.Helper()
	d, err := redisdir.Open(t.Context(), s.Client(), redisdir.Options{Cache: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Set(t.Context(), "main", tiering.Change{Number: "+8613800138000", Op: tiering.OpSet, Tier: tiering.VIP, At: 1_700_000_000_000}); err != nil {
		t.Fatal(err)
	}
	s.Kill()
}

// TestADaemonStartsWithoutItsRedis: with queues of its own it serves, over another
// restart too, and who waits is ranked when Redis comes and will do.
func TestADaemonStartsWithoutItsRedis(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	vipIn(t, s)
	log := new(logtest.Buffer)
	cfg := configOf(t, withRedis(s))
	first := apptest.Start(t, cfg, app.Options{Logger: log.Logger()})
	arrive(t, first, "before", "13800138000")
	apptest.Stop(t, first)
	a := apptest.Start(t, cfg, app.Options{Logger: log.Logger()})
	if code, _ := get(t, a, "/readyz"); code != http.StatusOK {
		t.Errorf("it is not ready: %d", code)
	}
	arrive(t, a, "during", "13800138000")
	calls, err := pb.NewSupervisorServiceClient(dial(t, a, insecure.NewCredentials())).ListCalls(ctx(t), &pb.ListCallsRequest{})
	if err != nil || len(calls.GetCalls()) != 2 {
		t.Fatal(calls, err)
	}
	for _, c := range calls.GetCalls() {
		if c.GetTier() != pb.Tier_TIER_ORDINARY || !c.GetProvisional() {
			t.Errorf("without a Redis: %v", c)
		}
	}
	s.Restart("maxmemory 64mb", "maxmemory-policy allkeys-lru")
	awaitLog(t, log, "set maxmemory-policy noeviction")
	if code, _ := get(t, a, "/readyz"); code != http.StatusOK {
		t.Errorf("with a Redis that will not do it is not ready: %d", code)
	}
	if err := s.Client().ConfigSet(ctx(t), "maxmemory-policy", "noeviction").Err(); err != nil {
		t.Fatal(err)
	}
	awaitTier(t, a, "before", pb.Tier_TIER_VIP)
	awaitTier(t, a, "during", pb.Tier_TIER_VIP)
}

// TestADaemonWaitsForTheRedisOfItsQueues: until it comes the ports say so.
func TestADaemonWaitsForTheRedisOfItsQueues(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true})
	s.Kill()
	log := new(logtest.Buffer)
	type made struct {
		a   *app.App
		err error
	}
	begun := make(chan made, 1)
	cfg := configOf(t, onRedis(s))
	go func() {
		a, err := app.New(cfg, app.Options{Logger: log.Logger()})
		begun <- made{a, err}
	}()
	awaitLog(t, log, "waiting for Redis")
	m := regexp.MustCompile(`listen=(\S+) http=(\S+)`).FindStringSubmatch(log.String())
	conn, err := grpc.NewClient(m[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state, err := healthpb.NewHealthClient(conn).Check(ctx(t), &healthpb.HealthCheckRequest{})
	if err != nil || state.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health: %v, %v", state, err)
	}
	call := &pb.CallArrivedRequest{SwitchId: "s", CallId: "c1"}
	_, err = pb.NewSwitchServiceClient(conn).CallArrived(ctx(t), call)
	again := false
	for _, d := range status.Convert(err).Details() {
		_, is := d.(*errdetails.RetryInfo)
		again = again || is
	}
	if status.Code(err) != codes.Unavailable || !again {
		t.Errorf("a call: %v", err)
	}
	for path, want := range map[string]int{"/readyz": http.StatusServiceUnavailable, "/healthz": http.StatusOK} {
		res, err := http.Get("http://" + m[2] + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
	s.Restart()
	var got made
	select {
	case got = <-begun:
	case <-time.After(patience):
		t.Fatal("it does not notice that Redis is there")
	}
	if got.err != nil {
		t.Fatal(got.err)
	}
	if err := got.a.Start(); err != nil {
		t.Fatal(err)
	}
	defer apptest.Stop(t, got.a)
	if got.a.Addr().String() != m[1] {
		t.Errorf("it serves on %v, and said %s", got.a.Addr(), m[1])
	}
	if _, err := pb.NewSwitchServiceClient(conn).CallArrived(ctx(t), call, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
	if code, _ := get(t, got.a, "/readyz"); code != http.StatusOK {
		t.Errorf("it is not ready: %d", code)
	}
}

func TestTheWaitingForRedisEnds(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	s.Kill()
	log, end := new(logtest.Buffer), make(chan struct{})
	go func() {
		<-log.Await(func(all string) bool { return strings.Contains(all, "waiting for Redis") })
		close(end)
	}()
	cfg := configOf(t, onRedis(s), func(c *config.Config) { c.HTTP = "" })
	if _, err := app.New(cfg, app.Options{Logger: log.Logger(), GiveUp: end}); !errors.Is(err, app.ErrNotAwaited) {
		t.Errorf("%v", err)
	}
}
