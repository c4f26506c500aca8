package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redischeck"
	"greenlane/internal/redisconn"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

// installed lays the configurations out as on a machine, with the paths of this
// test in place of /etc/redis.
func installed(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	files, err := filepath.Glob("redis/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		moved := strings.ReplaceAll(string(text), "/etc/redis", dir)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(moved), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// asDaemon opens the directory with the daemon's own user, and uses all of it.
func asDaemon(t *testing.T, o redisconn.Options, minReplicas int) {
	t.Helper()
	o.Username, o.Password = "greenlane", "change-me"
	client, err := redisconn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	findings, err := redischeck.Examine(ctx, client, redischeck.Needs{MinReplicas: minReplicas, Engine: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Level == redischeck.Fail || f.Level == redischeck.Warn && f.What != "replicas" && f.What != "latency" {
			t.Errorf("with the very files: %+v", f)
		}
	}
	d, err := redisdir.Open(ctx, client, redisdir.Options{MinReplicas: minReplicas})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	select {
	case <-d.Hearing():
	case <-ctx.Done():
		t.Fatal("changes are not heard of")
	}
	const caller = tiering.Number("+8613800138000")
	c := tiering.Change{Number: caller, Op: tiering.OpSet, Tier: tiering.VIP, At: 1_700_000_000_000, Note: strings.Repeat("long ", 90)}
	for _, change := range []tiering.Change{c, {Number: caller, Op: tiering.OpForget, At: 1_700_000_000_000}, c} {
		if _, err := d.Set(ctx, "main", change); err != nil {
			t.Fatal(err)
		}
	}
	if e, known, err := d.Lookup(ctx, "main", caller); err != nil || !known || e.Grade != tiering.VIP {
		t.Errorf("%+v, %v, %v", e, known, err)
	}
	if counts, err := d.Count(ctx, "main"); err != nil || counts[tiering.VIP] != 1 {
		t.Errorf("%v, %v", counts, err)
	}
	r := tiering.Request{Kind: "Set", ID: "r", Print: 1}
	if err := d.Remember(ctx, "main", r, []byte("answer"), c.At, tiering.KeepRequests{Age: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if answer, known, err := d.Recall(ctx, "main", r, c.At); err != nil || !known || string(answer) != "answer" {
		t.Errorf("%q, %v, %v", answer, known, err)
	}
	aCall(ctx, t, client, minReplicas)
	for _, args := range [][]any{
		{"CONFIG", "GET", "*"}, {"DEBUG", "SLEEP", "0"}, {"RESTORE", "tiers:x", 0, ""}, {"FUNCTION", "LIST"}, {"FLUSHALL"},
		{"KEYS", "*"}, {"ACL", "LIST"}, {"SHUTDOWN"}, {"GET", "other"}, {"PUBLISH", "other", ""}, {"SCRIPT", "FLUSH"},
	} {
		err := client.Do(ctx, args...).Err()
		for errors.Is(err, syscall.ECONNREFUSED) && ctx.Err() == nil { // a Cluster's client asks any node, those that are away as well
			err = client.Do(ctx, args...).Err()
		}
		if err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v: %v; the daemon's user must not have that right", args, err)
		}
	}
}

// aCall lives through with the engine and the daemon's own user, and is read back
// in every way.
func aCall(ctx context.Context, t *testing.T, client redis.UniversalClient, minReplicas int) {
	t.Helper()
	e, err := redisq.Open(ctx, client, queue.DefaultSite("main"), redisq.Options{MinReplicas: minReplicas})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	do := func(cmd queue.Command) queue.Result {
		t.Helper()
		res, err := e.Do(ctx, cmd)
		if err != nil {
			t.Fatalf("%s: %v", cmd.Kind(), err)
		}
		return res
	}
	last, err := e.LastEvent(ctx)
	if err != nil {
		t.Fatal(err)
	}
	call := fmt.Sprint("c", last) // another one after a failover
	do(&queue.SignIn{Agent: "a", Services: []queue.Service{{Queue: "default", Level: 1}}})
	do(&queue.Arrive{Call: call, Switch: "s", Tier: tiering.VIP})
	offer := do(&queue.Attach{Agent: "a", Owner: "d", Token: "t", Presence: queue.PresentPoll, Wait: time.Second}).Offer
	if offer == nil {
		t.Fatal("no offer")
	}
	do(&queue.Accept{Agent: "a", Offer: offer.Epoch})
	do(&queue.Complete{Agent: "a", Call: call})
	do(&queue.SignOut{Agent: "a", Force: true})
	if _, err := e.Snapshot(ctx); err != nil {
		t.Error(err)
	}
	if events, err := e.Events(ctx, 0, 1); err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if err := client.Unlink(ctx, "greenlane:{main}:calls").Err(); err == nil {
		t.Error("the daemon's user may remove a whole site")
	}
}

// TestTheEngineHasTheRightsItNeeds runs every case of the engines' suite with the
// daemon's own user.
func TestTheEngineHasTheRightsItNeeds(t *testing.T) {
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	options := redistest.Start(t, o).Options()
	options.Username, options.Password = "greenlane", "change-me"
	client, err := redisconn.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	sites := 0
	queuetest.Run(t, func(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
		t.Helper()
		sites++
		opts := redisq.Options{Now: clock.Now, NoTimers: true, Prefix: fmt.Sprint("greenlane:", sites)}
		start := func(t testing.TB) *redisq.Engine {
			t.Helper()
			e, err := redisq.Open(context.Background(), client, site, opts)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		e := start(t)
		return queuetest.Opened{Engine: e, Restart: func(t testing.TB) queue.Engine {
			t.Helper()
			if err := e.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			e = start(t)
			return e
		}}
	})
}

// TestMissingRightsAreNamed: each right that the engine has is one it needs, and is
// missed by name.
func TestMissingRightsAreNamed(t *testing.T) {
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	server := redistest.Start(t, o)
	options := server.Options()
	options.Username, options.Password = "greenlane", "change-me"
	client, err := redisconn.New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, right := range []string{"xread", "xadd", "xrange", "xrevrange", "xtrim", "exists", "time", "client|id", "client|unblock"} {
		if err := server.Client().Do(t.Context(), "acl", "setuser", "greenlane", "-"+right).Err(); err != nil {
			t.Fatal(err)
		}
		err := redischeck.Require(t.Context(), client, redischeck.Needs{Engine: true})
		if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(right, "|", " ")) {
			t.Errorf("without %s: %v", right, err)
		}
		if err := redischeck.Require(t.Context(), client, redischeck.Needs{}); err != nil {
			t.Errorf("for tiers only, without %s: %v", right, err)
		}
		if err := server.Client().Do(t.Context(), "acl", "setuser", "greenlane", "+"+right).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, right := range []string{"zadd", "hscan", "hsetnx", "watch", "multi"} {
		if err := server.Client().Do(t.Context(), "acl", "setuser", "greenlane", "-"+right).Err(); err != nil {
			t.Fatal(err)
		}
		if err := redischeck.Require(t.Context(), client, redischeck.Needs{}); err == nil || !strings.Contains(err.Error(), right) {
			t.Errorf("for tiers, without %s: %v", right, err)
		}
		if err := server.Client().Do(t.Context(), "acl", "setuser", "greenlane", "+"+right).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAClockThatIsOff: a daemon whose clock is seconds from Redis's does not start; when
// only the tiers live there, its clock does not matter.
func TestAClockThatIsOff(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	for by, want := range map[time.Duration]string{
		time.Hour: "ahead of Redis's", -time.Hour: "behind Redis's", 0: "",
	} {
		needs := redischeck.Needs{Engine: true, Now: func() time.Time { return time.Now().Add(by) }}
		err := redischeck.Require(t.Context(), client, needs)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "NTP")) {
			t.Errorf("by %v: %v", by, err)
		}
		needs.Engine = false
		if err := redischeck.Require(t.Context(), client, needs); err != nil {
			t.Errorf("by %v, for tiers only: %v", by, err)
		}
	}
}

// admin starts servers that know DEBUG, so that it is the rights that refuse it.
var admin = redistest.Options{Username: "admin", Password: "change-me-first", Config: []string{"enable-debug-command yes"}}

func TestTheSingleRedisBoots(t *testing.T) {
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	asDaemon(t, redistest.Start(t, o).Options(), 0)
}

func TestTheSentinelSetBootsAndFailsOver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	dir := installed(t)
	o := admin
	o.Include = filepath.Join(dir, "sentinel-server.conf")
	s := redistest.StartSentinel(t, redistest.SentinelOptions{
		Server: o, SentinelUser: "sentinel", SentinelPassword: "change-me-as-well", ReplicaUser: "replica", ReplicaPassword: "change-me-too",
	})
	asDaemon(t, s.Options(), 1)
	old := s.Master()
	old.Kill()
	s.AwaitFailover(old)
	old.Restart()
	s.AwaitReplicas(2)
	asDaemon(t, s.Options(), 1)
}
