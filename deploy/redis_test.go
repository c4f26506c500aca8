package deploy_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/redischeck"
	"greenlane/internal/redisconn"
	"greenlane/internal/redistest"
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
	findings, err := redischeck.Examine(ctx, client, redischeck.Needs{MinReplicas: minReplicas})
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
	for _, args := range [][]any{
		{"CONFIG", "GET", "*"}, {"DEBUG", "SLEEP", "0"}, {"RESTORE", "tiers:x", 0, ""}, {"FUNCTION", "LIST"}, {"FLUSHALL"},
		{"KEYS", "*"}, {"ACL", "LIST"}, {"SHUTDOWN"}, {"GET", "other"}, {"PUBLISH", "other", ""}, {"SCRIPT", "FLUSH"},
	} {
		if err := client.Do(ctx, args...).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOPERM") {
			t.Errorf("%v: %v; the daemon's user must not have that right", args, err)
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
	asDaemon(t, s.Options(), 1)
}

func TestTheClusterBoots(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	o := admin
	o.Include = filepath.Join(installed(t), "cluster.conf")
	s := redistest.StartCluster(t, redistest.ClusterOptions{Server: o, Replicas: 1, ReplicaUser: "replica", ReplicaPassword: "change-me-too"})
	asDaemon(t, s.Options(), 1)
}
