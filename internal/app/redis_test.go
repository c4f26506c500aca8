package app_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/redistest"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

func withRedis(s *redistest.Server) func(*config.Config) {
	return func(c *config.Config) { c.Redis.Addresses = []string{s.Addr()} }
}

// awaitTier waits until the call has the tier, by the events of its daemon.
func awaitTier(t *testing.T, a *app.App, call string, want pb.Tier) {
	t.Helper()
	supervisor := pb.NewSupervisorServiceClient(dial(t, a, insecure.NewCredentials()))
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	deadline := ctx(t)
	for {
		calls, err := supervisor.ListCalls(deadline, &pb.ListCallsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls.GetCalls() {
			if c.GetCallId() == call && c.GetTier() == want && !c.GetProvisional() {
				return
			}
		}
		select {
		case <-look.C:
		case <-deadline.Done():
			t.Fatalf("call %s is not %v: %v", call, want, calls)
		}
	}
}

func arrive(t *testing.T, a *app.App, call, caller string) {
	t.Helper()
	req := &pb.CallArrivedRequest{SwitchId: "s", CallId: call, Caller: caller}
	if _, err := pb.NewSwitchServiceClient(dial(t, a, insecure.NewCredentials())).CallArrived(ctx(t), req); err != nil {
		t.Fatal(err)
	}
}

// TestAChangeMadeByAnotherDaemonRanksTheWaitingCall: two daemons with queues of
// their own and one directory; and an import, which no daemon makes.
func TestAChangeMadeByAnotherDaemonRanksTheWaitingCall(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true})
	here := apptest.Start(t, configOf(t, withRedis(s)), app.Options{})
	there := apptest.Start(t, configOf(t, withRedis(s)), app.Options{})
	arrive(t, here, "one", "13800138000")
	arrive(t, here, "two", "13800138001")
	awaitTier(t, here, "one", pb.Tier_TIER_ORDINARY)
	tiers := pb.NewTierServiceClient(dial(t, there, insecure.NewCredentials()))
	res, err := tiers.Set(ctx(t), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP})
	if err != nil || res.GetReranked() != 0 {
		t.Fatal(res, err)
	}
	awaitTier(t, here, "one", pb.Tier_TIER_VIP)
	awaitTier(t, here, "two", pb.Tier_TIER_ORDINARY)

	d, err := redisdir.Open(t.Context(), s.Client(), redisdir.Options{Cache: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	im := d.NewImport("main", 1_700_000_000_000)
	for i := range 5000 {
		n := tiering.Number(fmt.Sprintf("+86138%08d", 138000+i))
		if err := im.Add(tiering.Change{Number: n, Op: tiering.OpGrade, Tier: tiering.Mid, At: 1_700_000_000_000}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitTier(t, here, "one", pb.Tier_TIER_MID)
	awaitTier(t, here, "two", pb.Tier_TIER_MID)
}

// TestACallGoesOnWhileRedisIsAway: it is queued as ordinary within the deadline,
// and ranked when Redis is back. What changed meanwhile is not missed.
func TestACallGoesOnWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	a := apptest.Start(t, configOf(t, withRedis(s), func(c *config.Config) {
		c.Redis.ReplyTimeout = config.Duration(time.Minute) // not what ends a lookup
	}), app.Options{})
	tiers := pb.NewTierServiceClient(dial(t, a, insecure.NewCredentials()))
	if _, err := tiers.Set(ctx(t), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP}); err != nil {
		t.Fatal(err)
	}
	arrive(t, a, "before", "13800138001")
	s.Pause()
	arrive(t, a, "during", "13800138000")
	s.Resume()
	awaitTier(t, a, "during", pb.Tier_TIER_VIP)
	s.Kill()
	arrive(t, a, "later", "13800138000")
	// Somebody changes a tier perhaps before this daemon hears of changes again.
	s.Restart()
	retry(t, func() bool { return changeBeside(t, s) == nil })
	awaitTier(t, a, "later", pb.Tier_TIER_VIP)
	awaitTier(t, a, "before", pb.Tier_TIER_BLACKLIST)
}

// changeBeside changes a caller's tier as another program would.
func changeBeside(t *testing.T, s *redistest.Server) error {
	t.Helper()
	d, err := redisdir.Open(t.Context(), s.Client(), redisdir.Options{Cache: -1})
	if err != nil {
		return err
	}
	defer d.Close()
	_, err = d.Set(t.Context(), "main", tiering.Change{
		Number: "+8613800138001", Op: tiering.OpSet, Tier: tiering.Blacklist, Note: "abuse", At: 1_700_000_000_000,
	})
	return err
}

func TestTheStartSaysWhatIsWrongWithRedis(t *testing.T) {
	for want, o := range map[string]redistest.Options{
		"set maxmemory-policy noeviction": {MaxMemory: "64mb", Config: []string{"maxmemory-policy allkeys-lru"}},
		"not allowed":                     {Config: []string{"user default on nopass ~* &* +@all -evalsha"}},
		"this is a replica":               {Config: []string{"replicaof 127.0.0.1 1"}},
	} {
		_, err := app.New(configOf(t, withRedis(redistest.Start(t, o))), app.Options{Logger: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	s := redistest.Start(t, redistest.Options{})
	if err := s.Client().Set(t.Context(), "tiers:schema", "9", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := app.New(configOf(t, withRedis(s)), app.Options{}); err == nil || !strings.Contains(err.Error(), `version "9"`) {
		t.Errorf("an unknown layout: %v", err)
	}
}
