package deploy_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redischeck"
	"greenlane/internal/redisconn"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

// daemonClient is a client with the daemon's own user.
func daemonClient(t *testing.T, o redisconn.Options) redis.UniversalClient {
	t.Helper()
	o.Username, o.Password = "greenlane", "change-me"
	client, err := redisconn.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// How much a kept has put into Redis.
const (
	keptCalls   = 5
	keptCallers = 101 // one of them by a single change, the others by an import
)

// kept is a site and a directory of callers over one Redis.
type kept struct {
	engine *redisq.Engine
	tiers  *redisdir.Directory
}

func openKept(ctx context.Context, t *testing.T, client redis.UniversalClient, minReplicas int) kept {
	t.Helper()
	e, err := redisq.Open(ctx, client, queue.DefaultSite("main"), redisq.Options{MinReplicas: minReplicas})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	d, err := redisdir.Open(ctx, client, redisdir.Options{MinReplicas: minReplicas, Cache: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return kept{e, d}
}

// fill puts calls and callers into Redis, with the scripts and transactions that the
// daemon and the tools use.
func (k kept) fill(ctx context.Context, t *testing.T) {
	t.Helper()
	for i := range keptCalls {
		if _, err := k.engine.Do(ctx, &queue.Arrive{Call: fmt.Sprint("kept", i), Switch: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	c := tiering.Change{Number: "+8613800138000", Op: tiering.OpSet, Tier: tiering.VIP, At: 1_700_000_000_000}
	if _, err := k.tiers.Set(ctx, "main", c); err != nil {
		t.Fatal(err)
	}
	im := k.tiers.NewImport("main", 1_700_000_000_000)
	for i := range keptCallers - 1 {
		number := tiering.Number(fmt.Sprint("+86139", 10_000_000+i))
		if err := im.Add(tiering.Change{Number: number, Op: tiering.OpGrade, Tier: tiering.Mid, At: 1_700_000_000_000}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Write(ctx); err != nil {
		t.Fatal(err)
	}
}

// written waits until all of it is in the append-only file: Redis answers without that
// while the disk is busy with the second before.
func written(ctx context.Context, t *testing.T, s *redistest.Server) {
	t.Helper()
	c := s.Client()
	for {
		info, err := c.Info(ctx, "persistence").Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "aof_buffer_length:0\r") {
			return
		}
	}
}

// check finds all of it again, as whoever comes anew.
func check(ctx context.Context, t *testing.T, client redis.UniversalClient, minReplicas int) {
	t.Helper()
	k := openKept(ctx, t, client, minReplicas)
	snap, err := k.engine.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for _, tier := range snap.Queues[0].Tiers {
		waiting += tier.Waiting
	}
	counts, err := k.tiers.Count(ctx, "main")
	if err != nil {
		t.Fatal(err)
	}
	if callers := counts[tiering.VIP] + counts[tiering.Mid]; waiting != keptCalls || callers != keptCallers {
		t.Errorf("%d calls and %d callers are left; want %d and %d", waiting, callers, keptCalls, keptCallers)
	}
}

// TestARestartLosesNothing: what a server has acknowledged is there again after it was
// killed and after it was stopped in good order.
func TestARestartLosesNothing(t *testing.T) {
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	for name, end := range map[string]func(*redistest.Server){"killed": (*redistest.Server).Kill, "stopped": (*redistest.Server).Stop} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s := redistest.Start(t, o)
			openKept(ctx, t, daemonClient(t, s.Options()), 0).fill(ctx, t)
			written(ctx, t, s)
			end(s)
			s.Restart()
			check(ctx, t, daemonClient(t, s.Options()), 0)
		})
	}
}

// TestAMasterThatIsBackAtOnceHasLostNothing: Sentinels do not miss it, and its replicas
// take over what it has.
func TestAMasterThatIsBackAtOnceHasLostNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := admin
	o.Include = filepath.Join(installed(t), "sentinel-server.conf")
	o.Config = append(slices.Clip(o.Config), "repl-diskless-sync-delay 0")
	s := redistest.Start(t, o)
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	o.Config = append(slices.Clip(o.Config), "replicaof 127.0.0.1 "+port)
	redistest.Start(t, o)
	redistest.Start(t, o)
	followed(ctx, t, s, 2)
	openKept(ctx, t, daemonClient(t, s.Options()), 1).fill(ctx, t)
	written(ctx, t, s)
	s.Kill()
	s.Restart()
	followed(ctx, t, s, 2)
	check(ctx, t, daemonClient(t, s.Options()), 1)
}

// followed waits until a master has so many replicas.
func followed(ctx context.Context, t *testing.T, master *redistest.Server, replicas int) {
	t.Helper()
	c := master.Client()
	for n := 0; n < replicas; {
		var err error
		if n, err = c.Do(ctx, "wait", replicas, 1000).Int(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNobodyComesInWithoutAPassword: the rights that the default user has for the
// append-only file are nobody else's.
func TestNobodyComesInWithoutAPassword(t *testing.T) {
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	s := redistest.Start(t, o)
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), DisableIdentity: true, Protocol: 2})
	defer client.Close()
	if err := client.Get(t.Context(), "tiers:schema").Err(); !redis.HasErrorPrefix(err, "NOAUTH") {
		t.Errorf("without a password: %v", err)
	}
	for _, args := range [][]any{{"auth", ""}, {"auth", "default", ""}, {"auth", "default", "x"}} {
		if err := client.Do(t.Context(), args...).Err(); !redis.HasErrorPrefix(err, "WRONGPASS") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// servesTheSite returns the node that has the calls of site main.
func servesTheSite(ctx context.Context, t *testing.T, s *redistest.Cluster) *redistest.Server {
	t.Helper()
	client, err := s.Client().(*redis.ClusterClient).MasterForKey(ctx, "greenlane:{main}:site")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range s.Nodes {
		if node.Addr() == client.Options().Addr {
			return node
		}
	}
	t.Fatalf("%s is none of the nodes", client.Options().Addr)
	return nil
}

// TestTheClusterBootsAndLosesNodes: with as many replicas as cluster.conf says, calls go on
// and are confirmed when a master is lost for good, and go on without that when the
// last replica is lost as well.
func TestTheClusterBootsAndLosesNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := installed(t)
	text, err := os.ReadFile(filepath.Join(dir, "cluster.conf"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "--cluster-replicas ")
	replicas, err := strconv.Atoi(after[:1])
	if err != nil {
		t.Fatal(err)
	}
	o := admin
	o.Include = filepath.Join(dir, "cluster.conf")
	o.Config = append(slices.Clip(o.Config), "repl-diskless-sync-delay 0")
	s := redistest.StartCluster(t, redistest.ClusterOptions{Server: o, Replicas: replicas, ReplicaUser: "replica", ReplicaPassword: "change-me-too"})
	asDaemon(t, s.Options(), 1)
	master := servesTheSite(ctx, t, s)
	master.Kill()
	s.AwaitFailover(master)
	followed(ctx, t, servesTheSite(ctx, t, s), replicas-1)
	asDaemon(t, s.Options(), 1)
	survivor := servesTheSite(ctx, t, s)
	_, port, err := net.SplitHostPort(survivor.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range s.Nodes {
		if node == master {
			continue
		}
		if info, err := node.Client().Info(ctx, "replication").Result(); err != nil {
			t.Fatal(err)
		} else if strings.Contains(info, "master_port:"+port+"\r") {
			node.Kill()
		}
	}
	asDaemon(t, s.Options(), 0)
}

// TestAFailedSnapshotStopsNoCall: the append-only file is what a restart reads, and the
// doctor speaks of the snapshot.
func TestAFailedSnapshotStopsNoCall(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o := admin
	o.Include = filepath.Join(installed(t), "single.conf")
	s := redistest.Start(t, o)
	if err := os.Mkdir(filepath.Join(s.Dir(), "dump.rdb"), 0o700); err != nil { // the snapshot cannot get its name
		t.Fatal(err)
	}
	c := s.Client()
	if err := c.BgSave(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	for {
		info, err := c.Info(ctx, "persistence").Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "rdb_last_bgsave_status:err") {
			break
		}
	}
	client := daemonClient(t, s.Options())
	findings, err := redischeck.Examine(ctx, client, redischeck.Needs{Engine: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Level == redischeck.Fail || f.What == "persistence" && (f.Level != redischeck.Warn || !strings.Contains(f.Do, `save ""`)) {
			t.Errorf("%+v", f)
		}
	}
	openKept(ctx, t, client, 0).fill(ctx, t)
}
