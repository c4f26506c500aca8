package redisdir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/tiering"
)

const (
	at  = 1_700_000_000_000
	who = tiering.Number("+8613800138000")
)

// answered asks until there is an answer: a server that is back, or another one in
// its place, is found by every connection in its own time.
func answered[T any](t *testing.T, ask func(ctx context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := ask(ctx)
	for errors.Is(err, tiering.ErrUnavailable) && ctx.Err() == nil {
		got, err = ask(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func set(t *testing.T, d *Directory, n tiering.Number, tier tiering.Tier, note string) tiering.Entry {
	t.Helper()
	return answered(t, func(ctx context.Context) (tiering.Entry, error) {
		return d.Set(ctx, "main", tiering.Change{Number: n, Op: tiering.OpSet, Tier: tier, Note: note, At: at})
	})
}

func find(t *testing.T, d *Directory, n tiering.Number) tiering.Entry {
	t.Helper()
	return answered(t, func(ctx context.Context) (tiering.Entry, error) {
		e, _, err := d.Lookup(ctx, "main", n)
		return e, err
	})
}

func hearing(t *testing.T, d *Directory) {
	t.Helper()
	select {
	case <-d.Hearing():
	case <-time.After(time.Minute):
		t.Fatal("changes are not heard of")
	}
}

func counted(t *testing.T, d *Directory, want map[tiering.Tier]int64) {
	t.Helper()
	got := answered(t, func(ctx context.Context) (map[tiering.Tier]int64, error) { return d.Count(ctx, "main") })
	for _, tier := range tiering.Tiers {
		if got[tier] != want[tier] {
			t.Errorf("%d of %v, want %d", got[tier], tier, want[tier])
		}
	}
}

// TestAChangeMadeElsewhereEmptiesTheCacheAndIsTold uses a cache that keeps for an
// hour, so that only what is heard can empty it.
func TestAChangeMadeElsewhereEmptiesTheCacheAndIsTold(t *testing.T) {
	s := single(t)
	here, there := s.open(t, Options{CacheFor: time.Hour}), s.open(t, Options{})
	type told struct {
		n tiering.Number
		e tiering.Entry
	}
	heard := make(chan told, 100)
	defer here.Subscribe(func(_ string, n tiering.Number, e tiering.Entry) { heard <- told{n, e} })()
	hearing(t, here)
	set(t, here, who, tiering.Mid, "")
	<-heard
	if find(t, here, who).Grade != tiering.Mid {
		t.Fatal("not found")
	}
	client := s.client(t)
	if err := client.HDel(t.Context(), bucketKey("main", placeOf(who).bucket), placeOf(who).field).Err(); err != nil {
		t.Fatal(err)
	}
	if find(t, here, who).Grade != tiering.Mid {
		t.Fatal("the cache was not asked")
	}
	for _, step := range []struct {
		tier tiering.Tier
		note string
	}{{tiering.VIP, ""}, {tiering.Blacklist, "short"}, {tiering.Mid, strings.Repeat("long ", 80)}, {tiering.Blacklist, ""}} {
		want := set(t, there, who, step.tier, step.note)
		got := <-heard
		if got.n != who || got.e.Stored() != step.tier || got.e.Note != step.note {
			t.Fatalf("told %+v, want %+v", got, want)
		}
		if found := find(t, here, who); found != got.e {
			t.Fatalf("found %+v, want %+v", found, got.e)
		}
	}
}

func TestTheDeadlineHoldsAndTheCacheAnswersWhileRedisHangs(t *testing.T) {
	s := single(t)
	s.options.ReplyTimeout = time.Hour // not what ends the lookup
	d := s.open(t, Options{CacheFor: time.Hour})
	hearing(t, d)
	set(t, d, who, tiering.VIP, "")
	find(t, d, who)
	s.servers[0].Pause()
	defer s.servers[0].Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := d.Lookup(ctx, "main", "+8613800138001"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the deadline", err)
	}
	if find(t, d, who).Grade != tiering.VIP {
		t.Error("the cache does not answer")
	}
}

func TestTheCacheIsOffWhileNobodyTellsOfChanges(t *testing.T) {
	s := single(t)
	gaps := make(chan struct{}, 10)
	d := s.open(t, Options{CacheFor: time.Hour, Gap: func(context.Context) { gaps <- struct{}{} }})
	<-gaps
	hearing(t, d)
	set(t, d, who, tiering.VIP, "")
	find(t, d, who)
	s.servers[0].Kill()
	for lost := false; !lost; {
		_, _, err := d.Lookup(t.Context(), "main", who)
		lost = errors.Is(err, tiering.ErrUnavailable)
	}
	s.servers[0].Restart()
	<-gaps
	hearing(t, d)
	set(t, d, who, tiering.Mid, "")
	if find(t, d, who).Grade != tiering.Mid {
		t.Error("after an interruption, the cache is believed")
	}
}

func TestScriptsThatVanishedAreSentAgain(t *testing.T) {
	s := single(t)
	d := s.open(t, Options{})
	for i := range 3 {
		if err := s.client(t).ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		cs := make([]tiering.Change, 2000)
		for k := range cs {
			cs[k] = tiering.Change{Number: tiering.Number(fmt.Sprintf("+86138%08d", k)), Op: tiering.OpSet, Tier: tiering.Tiers[i], At: at}
		}
		for _, r := range d.SetBatch(t.Context(), "main", cs) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		counted(t, d, map[tiering.Tier]int64{tiering.Tiers[i]: 2000})
	}
}

func TestAKeyOfAWrongTypeIsMovedAside(t *testing.T) {
	s := single(t)
	client := s.client(t)
	p := placeOf(who)
	key := bucketKey("main", p.bucket)
	for _, step := range []string{"lookup", "set", "walk"} {
		s.flush(t)
		d := s.open(t, Options{})
		set(t, d, "+8613900139000", tiering.Mid, "")
		if err := client.Set(t.Context(), key, "somebody's", 0).Err(); err != nil {
			t.Fatal(err)
		}
		want := map[tiering.Tier]int64{tiering.Mid: 1}
		switch step {
		case "lookup":
			if _, known, err := d.Lookup(t.Context(), "main", who); known || !errors.Is(err, tiering.ErrCorrupt) {
				t.Errorf("%v, %v", known, err)
			}
		case "set":
			set(t, d, who, tiering.VIP, "")
			want[tiering.VIP] = 1
		case "walk":
			// Only a shard that has entries is walked through.
			if err := client.HIncrBy(t.Context(), countsKey("main", p.shard()), "3", 1).Err(); err != nil {
				t.Fatal(err)
			}
			if items, err := pages(t, "main", d.Walk); err != nil || len(items) != 1 {
				t.Errorf("%v, %v", items, err)
			}
		}
		kept, err := client.Keys(t.Context(), asideKey("main", p.shard())+":*").Result()
		if err != nil || len(kept) != 1 {
			t.Fatalf("%s: kept aside are %v, %v", step, kept, err)
		}
		if text, err := client.Get(t.Context(), kept[0]).Result(); err != nil || text != "somebody's" {
			t.Errorf("%s: %q, %v", step, text, err)
		}
		counted(t, d, want)
	}
}

// pages returns what a walk over a site returns, and the faults of all its pages.
func pages[T any](
	t testing.TB, site string, walk func(ctx context.Context, site string, from tiering.Cursor, limit int) ([]T, tiering.Cursor, error),
) (all []T, err error) {
	t.Helper()
	for cursor := tiering.Cursor(""); ; {
		page, next, fault := walk(context.Background(), site, cursor, 10)
		all, err = append(all, page...), errors.Join(err, fault)
		if cursor = next; next == "" {
			return all, err
		}
	}
}

func TestWhatCannotBeReadIsKept(t *testing.T) {
	s := single(t)
	client := s.client(t)
	d := s.open(t, Options{})
	set(t, d, who, tiering.VIP, strings.Repeat("long ", 80))
	p := placeOf(who)
	if err := client.HSet(t.Context(), extraKey("main", p.shard()), p.extraField(), "nonsense").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.HSet(t.Context(), bucketKey("main", p.bucket), "no number", "nor a value").Err(); err != nil {
		t.Fatal(err)
	}
	_, err := pages(t, "main", d.Walk)
	if !errors.Is(err, tiering.ErrCorrupt) || !strings.Contains(err.Error(), bucketKey("main", p.bucket)) || !strings.Contains(err.Error(), who.Masked()) {
		t.Errorf("%v", err)
	}
	if n, err := d.Quarantined(t.Context(), "main"); err != nil || n != 2 {
		t.Errorf("%d set aside, %v; want 2", n, err)
	}
	counted(t, d, nil)
}

func TestAFullRedisCanBeEmptied(t *testing.T) {
	server := redistest.Start(t, redistest.Options{MaxMemory: "3mb"})
	s := store{server.Options(), []*redistest.Server{server}}
	d := s.open(t, Options{Cache: -1})
	set(t, d, who, tiering.VIP, "")
	if err := s.client(t).ConfigSet(t.Context(), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	d = s.open(t, Options{Cache: -1}) // another daemon
	c := tiering.Change{Number: who, Op: tiering.OpSet, Tier: tiering.Mid, At: at}
	if _, err := d.Set(t.Context(), "main", c); !errors.Is(err, tiering.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("a full Redis takes changes: %v", err)
	}
	c.Op = tiering.OpForget
	if _, err := d.Set(t.Context(), "main", c); err != nil {
		t.Errorf("a full Redis can't be emptied: %v", err)
	}
	r := tiering.Request{Kind: "EraseCaller", ID: "r", Print: 1}
	if err := d.Remember(t.Context(), "main", r, nil, at, tiering.KeepRequests{Age: time.Hour}); err != nil {
		t.Errorf("a full Redis does not keep that it was emptied: %v", err)
	}
	counted(t, d, nil)
	if err := s.client(t).Del(t.Context(), schemaKey).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.client(t), Options{}); !errors.Is(err, tiering.ErrUnavailable) || !strings.Contains(err.Error(), "OOM") {
		t.Errorf("without a layout, which can't be put down: %v", err)
	}
}

func TestUnknownLayoutsAreRefused(t *testing.T) {
	s := single(t)
	if err := s.client(t).Set(t.Context(), schemaKey, "2", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), s.client(t), Options{}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), `"2"`) {
		t.Errorf("%v", err)
	}
	s.servers[0].Kill()
	if _, err := Open(t.Context(), s.client(t), Options{}); !errors.Is(err, tiering.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

// TestReplicasConfirm: with replicas gone, nothing is OK; repeating it when they
// are back is.
func TestReplicasConfirm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	replicas := redistest.StartSentinel(t, redistest.SentinelOptions{Replicas: 1, DownAfter: time.Minute})
	s := store{replicas.Options(), replicas.Servers}
	d := s.open(t, Options{MinReplicas: 1, ReplicaWait: 200 * time.Millisecond})
	c := tiering.Change{Number: who, Op: tiering.OpSet, Tier: tiering.VIP, At: at}
	if _, err := d.Set(t.Context(), "main", c); err != nil {
		t.Fatal(err)
	}
	replicas.Servers[1].Pause()
	c.Tier = tiering.Mid
	if _, err := d.Set(t.Context(), "main", c); !errors.Is(err, tiering.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("without its replica: %v", err)
	}
	r := tiering.Request{Kind: "Set", ID: "r", Print: 1}
	if err := d.Remember(t.Context(), "main", r, nil, at, tiering.KeepRequests{Age: time.Hour}); !errors.Is(err, tiering.ErrUnavailable) {
		t.Errorf("an answer is kept without its replica: %v", err)
	}
	if _, known, err := d.Recall(t.Context(), "main", r, at); !errors.Is(err, tiering.ErrUnavailable) || known {
		t.Errorf("an answer that no replica has is found: %v, %v", known, err)
	}
	replicas.Servers[1].Resume()
	set(t, d, who, tiering.Mid, "")
	if _, known, err := d.Recall(t.Context(), "main", r, at); err != nil || !known {
		t.Errorf("%v, %v", known, err)
	}
}

// TestAFailoverLosesNothingThatWasConfirmed kills the master under a stream of
// changes: each that got OK is there, and lookups find it again.
func TestAFailoverLosesNothingThatWasConfirmed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	sentinel := redistest.StartSentinel(t, redistest.SentinelOptions{})
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{Replicas: 1, NodeTimeout: time.Second})
	for name, x := range map[string]struct {
		store    store
		failover func()
	}{
		"sentinel": {store{sentinel.Options(), sentinel.Servers}, func() {
			old := sentinel.Master()
			old.Kill()
			sentinel.AwaitFailover(old)
		}},
		"cluster": {store{cluster.Options(), cluster.Nodes}, func() {
			cluster.Nodes[0].Kill()
			cluster.AwaitFailover(cluster.Nodes[0])
			cluster.Nodes[0].Restart() // the new master needs a replica to confirm what it takes
		}},
	} {
		d := x.store.open(t, Options{MinReplicas: 1})
		ctx, cancel := context.WithCancel(t.Context())
		confirmed, begun := map[tiering.Number]bool{}, make(chan struct{})
		var writing sync.WaitGroup
		writing.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				n := tiering.Number(fmt.Sprintf("+86138%08d", i))
				if _, err := d.Set(ctx, "main", tiering.Change{Number: n, Op: tiering.OpSet, Tier: tiering.VIP, At: at}); err == nil {
					confirmed[n] = true
				}
				if i == 500 {
					close(begun)
				}
			}
		})
		<-begun
		x.failover()
		set(t, d, who, tiering.VIP, "")
		cancel()
		writing.Wait()
		lost := 0
		for n := range confirmed {
			if find(t, d, n).Grade != tiering.VIP {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%s: %d of %d confirmed changes were lost", name, lost, len(confirmed))
		}
	}
}
