package redisdir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
)

// replacing returns keys with one index key in the place of another.
func replacing(t testing.TB, index, old byte) *seal.Keys {
	t.Helper()
	k, err := sealtest.Keys(t, index, "k1").Replacing(seal.Secret{old})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// everything is what a directory says of two sites.
type everything struct {
	entries map[tiering.Number]tiering.Entry
	ratings map[tiering.Number]tiering.Satisfaction
	black   map[tiering.Number]bool
	counts  map[tiering.Tier]int64
}

func read(t testing.TB, d *Directory, site string) everything {
	t.Helper()
	all := everything{map[tiering.Number]tiering.Entry{}, map[tiering.Number]tiering.Satisfaction{}, map[tiering.Number]bool{}, nil}
	items, err1 := pages(t, site, d.Walk)
	for _, item := range items {
		all.entries[item.Number] = item.Entry
	}
	black, err2 := pages(t, site, d.WalkBlacklist)
	for _, item := range black {
		all.black[item.Number] = true
	}
	ratings, err3 := pages(t, site, d.WalkRatings)
	for _, r := range ratings {
		all.ratings[r.Number] = r.Satisfaction
	}
	var err4 error
	all.counts, err4 = d.Count(t.Context(), site)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return all
}

// fillSites has every kind of entry in some sites.
func fillSites(t testing.TB, d *Directory, sites []string) {
	t.Helper()
	for _, site := range sites {
		var cs []tiering.Change
		for i := range 100 {
			c := tiering.Change{Number: tiering.Number(fmt.Sprintf("+86139%08d", i*7919)), Op: tiering.OpGrade, Tier: tiering.Tiers[i%3], At: 1_700_000_000_000}
			switch i % 10 {
			case 1:
				c.Op, c.Tier, c.Note = tiering.OpSet, tiering.Blacklist, "rude"
			case 2:
				c.Note = strings.Repeat("long ", 20)
			case 3:
				c.Ends, c.Number = 1_900_000_000_000, tiering.Number(fmt.Sprint(8000+i))
			}
			cs = append(cs, c)
		}
		for _, r := range d.SetBatch(t.Context(), site, cs) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		for i := range 20 {
			_, err := d.UpdateRatings(t.Context(), site, cs[i].Number, func(s tiering.Satisfaction) tiering.Satisfaction {
				s, _ = s.Rate(tiering.Rating{ID: uint64(i + 1), Score: 3, Month: 650}, 650)
				return s
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (s store) reindexed(t *testing.T, client redis.UniversalClient, want map[string]everything) {
	t.Helper()
	done, err := Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet})
	if err != nil || done.Done || done.Callers != 200 || done.Ratings != 40 {
		t.Fatalf("%+v, %v", done, err)
	}
	s.sameAs(t, want)
	if done, err = Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet}); err != nil || !done.Done {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// sameAs compares what the new index key finds with what the old one found.
func (s store) sameAs(t *testing.T, want map[string]everything) {
	t.Helper()
	d := s.open(t, Options{Keys: sealtest.Keys(t, 2, "k1"), Cache: -1})
	for site := range want {
		if got := read(t, d, site); fmt.Sprint(got) != fmt.Sprint(want[site]) {
			t.Errorf("site %s differs:\n%v\n%v", site, got, want[site])
		}
	}
	for n, e := range want["main"].entries { // one of them will do: all places are made alike
		if got, known, err := d.Lookup(t.Context(), "main", n); err != nil || !known || got != e {
			t.Fatalf("%s: %+v, %v, %v", n.Masked(), got, known, err)
		}
		break
	}
}

// filled has tiers of some sites under the first index key, and returns what they are.
func (s store) filled(t *testing.T, sites ...string) map[string]everything {
	t.Helper()
	s.flush(t)
	d := s.open(t, Options{Keys: sealtest.Keys(t, 1, "k1"), Cache: -1})
	fillSites(t, d, sites)
	want := map[string]everything{}
	for _, site := range sites {
		want[site] = read(t, d, site)
	}
	if len(want["main"].entries) != 100 || len(want["main"].ratings) != 20 || len(want["main"].black) != 10 {
		t.Fatal(want)
	}
	return want
}

func TestReindex(t *testing.T) {
	s := single(t)
	client := s.client(t)
	want := s.filled(t, "main", "east.2")
	if _, err := Open(t.Context(), client, Options{Log: quiet, Keys: replacing(t, 2, 1)}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "tiers reindex") {
		t.Errorf("a daemon with both keys: %v", err)
	}
	if _, err := Reindex(t.Context(), client, replacing(t, 2, 3), ReindexOptions{Log: quiet}); !errors.Is(err, seal.ErrIndex) {
		t.Errorf("another old key: %v", err)
	}
	daemon := s.open(t, Options{Keys: sealtest.Keys(t, 1, "k1")})
	<-daemon.Hearing()
	if _, err := Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet}); err == nil || !strings.Contains(err.Error(), "stop them") {
		t.Errorf("beside a daemon: %v", err)
	}
	daemon.Close()
	s.reindexed(t, client, want)
	if _, err := Open(t.Context(), client, Options{Log: quiet, Keys: sealtest.Keys(t, 1, "k1")}); !errors.Is(err, seal.ErrIndex) {
		t.Errorf("the old key alone: %v", err)
	}
}

func TestReindexInACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	s := redistest.StartCluster(t, redistest.ClusterOptions{})
	cluster := store{s.Options(), s.Nodes}
	want := cluster.filled(t, "main", "east.2")
	cluster.reindexed(t, cluster.client(t), want)
}

// breaking is a client that fails for good with a command, as a kill would.
type breaking struct{ left int }

var errBroken = errors.New("broken off")

func (b *breaking) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *breaking) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return errBroken
	}
	return nil
}

func (b *breaking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := b.spend(1); err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

func (b *breaking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := b.spend(1); err != nil {
			// A part of what is on its way arrives.
			if half := cmds[:len(cmds)/2]; len(half) > 0 && b.left == -1 {
				err = errors.Join(err, next(ctx, half))
			}
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
			return err
		}
		return next(ctx, cmds)
	}
}

// TestReindexBrokenOff breaks it off early, in between, and with each of its last
// steps, which delete and rename; going on finds everything.
func TestReindexBrokenOff(t *testing.T) {
	s := single(t)
	after := func(steps int) (took int, err error) {
		client, b := s.client(t), &breaking{left: steps}
		client.AddHook(b)
		_, err = Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet})
		return steps - b.left, err
	}
	s.filled(t, "main")
	all, err := after(1 << 30)
	if err != nil || all < 100 {
		t.Fatalf("%d steps: %v", all, err)
	}
	last := 9
	if testing.Short() {
		last = 3
	}
	for steps := 1; steps < all; steps++ {
		if steps < all-last && steps%(all/3) != 1 {
			continue
		}
		want := s.filled(t, "main")
		if _, err := after(steps); err == nil {
			continue // a connection more or less is a step, too
		}
		if _, err := after(1 << 30); err != nil {
			t.Fatalf("broken off at step %d of %d, and then: %v", steps, all, err)
		}
		s.sameAs(t, want)
		if t.Failed() {
			t.Fatalf("broken off at step %d of %d", steps, all)
		}
	}
}

// TestReindexGoesOnWithItsOwnKeysOnly: another key takes every place for another
// caller's.
func TestReindexGoesOnWithItsOwnKeysOnly(t *testing.T) {
	s := single(t)
	client := s.client(t)
	want := s.filled(t, "main", "east.2")
	from, to := newLayout(sealtest.Keys(t, 1, "k1")), newLayout(sealtest.Keys(t, 2, "k1"))
	r := &reindex{oldMark: from.schema(), newMark: to.schema()}
	if err := client.Set(t.Context(), schemaKey, r.phase(phaseCopy, census{}), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Reindex(t.Context(), client, replacing(t, 2, 3), ReindexOptions{Log: quiet}); !errors.Is(err, seal.ErrIndex) {
		t.Errorf("another old key: %v", err)
	}
	if err := client.Set(t.Context(), schemaKey, r.phase(phaseDrop, census{}), 0).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := Reindex(t.Context(), client, replacing(t, 3, 1), ReindexOptions{Log: quiet}); !errors.Is(err, seal.ErrIndex) {
		t.Errorf("another new key: %v", err)
	}
	if err := client.Set(t.Context(), schemaKey, r.phase(phaseCopy, census{}), 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.reindexed(t, client, want)
}

func TestReindexOfWhatIsDamaged(t *testing.T) {
	s := single(t)
	client := s.client(t)
	want := s.filled(t, "main", "east.2")
	n := tiering.Number("+8613900000000")
	l := newLayout(sealtest.Keys(t, 1, "k1"))
	p := l.placeOf(n)
	if err := client.HSet(t.Context(), bucketKey("main", p.bucket), p.field, "garbage").Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it was set aside by the first
		if _, err := Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet}); err == nil {
			t.Fatal("what can't be read was lost")
		}
	}
	d := s.open(t, Options{Keys: sealtest.Keys(t, 1, "k1"), Cache: -1}) // nothing has changed
	if got := read(t, d, "east.2"); fmt.Sprint(got) != fmt.Sprint(want["east.2"]) {
		t.Error("what was broken off has changed something")
	}
	d.Close()
	done, err := Reindex(t.Context(), client, replacing(t, 2, 1), ReindexOptions{Log: quiet, DropDamaged: true})
	if err != nil || done.Callers != 199 {
		t.Errorf("%+v, %v", done, err)
	}
}
