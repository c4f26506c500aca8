package redisdir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// inOneShard returns n numbers whose entries are in one shard.
func inOneShard(n int) []tiering.Number {
	var out []tiering.Number
	for i := 0; len(out) < n; i++ {
		number := tiering.Number(fmt.Sprintf("+86138%08d", i))
		if placeOf(number).shard() == 0 {
			out = append(out, number)
		}
	}
	return out
}

// TestAnImportDoesWhatTheDefinitionSays: plain changes and others, of few callers
// many times and of many once, over what is there already.
func TestAnImportDoesWhatTheDefinitionSays(t *testing.T) {
	s := single(t)
	d := s.open(t, Options{Cache: -1})
	run := 0
	neighbours := inOneShard(300) // so many that they are inserted by transactions
	number := rapid.Custom(func(t *rapid.T) tiering.Number {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return tiering.Number(rapid.SampledFrom([]string{"8001", "0", "+0", "112"}).Draw(t, "extension"))
		}
		return neighbours[rapid.IntRange(0, len(neighbours)-1).Draw(t, "number")]
	})
	change := rapid.Custom(func(t *rapid.T) tiering.Change {
		c := tiering.Change{Number: number.Draw(t, "caller"), Op: tiering.OpGrade, Tier: rapid.SampledFrom(tiering.Tiers[:]).Draw(t, "tier"), At: at}
		if rapid.IntRange(0, 4).Draw(t, "plain") == 0 {
			c.Op = tiering.Op(rapid.IntRange(int(tiering.OpSet), int(tiering.OpLapse)).Draw(t, "op"))
			c.Before = at + instant.Instant(rapid.IntRange(-1000, 0).Draw(t, "before"))
			c.Note = rapid.SampledFrom([]string{"", "why", string(make([]byte, 100))}).Draw(t, "note")
			c.Ends = rapid.SampledFrom([]instant.Instant{0, at + 5000}).Draw(t, "ends")
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		run++
		site := fmt.Sprintf("site-%d", run)
		model := map[tiering.Number]tiering.Entry{}
		im := d.NewImport(site, at)
		var moved int64
		for range rapid.IntRange(1, 3).Draw(t, "imports") {
			touched := map[tiering.Number]bool{}
			for _, c := range rapid.SliceOfN(change, 0, 200).Draw(t, "changes") {
				if err := im.Add(c); err != nil {
					t.Fatal(err)
				}
				e, keep := c.Apply(model[c.Number])
				if model[c.Number] = e; !keep {
					delete(model, c.Number)
				}
				touched[c.Number] = true
			}
			if err := im.Write(context.Background()); err != nil || im.Len() != 0 {
				t.Fatal(err, im.Len())
			}
			moved += int64(len(touched))
		}
		want := map[tiering.Tier]int64{}
		for n, e := range model {
			want[e.Stored()]++
			got, known, err := d.Lookup(context.Background(), site, n)
			if err != nil || !known || got != e {
				t.Fatalf("%s is %+v, %v, %v; want %+v", n, got, known, err, e)
			}
		}
		counts, err := d.Count(context.Background(), site)
		if err != nil {
			t.Fatal(err)
		}
		for _, tier := range tiering.Tiers {
			if counts[tier] != want[tier] {
				t.Fatalf("%d of %v, want %d", counts[tier], tier, want[tier])
			}
		}
		var told int64
		for from := range im.Moves {
			for _, n := range im.Moves[from] {
				told += n
			}
		}
		if told != moved {
			t.Fatalf("%d callers were told to have moved, of %d", told, moved)
		}
	})
}

func TestAnImportSaysWhatIsWrong(t *testing.T) {
	s := single(t)
	d := s.open(t, Options{Cache: -1})
	im := d.NewImport("main", at)
	for want, c := range map[error]tiering.Change{
		tiering.ErrNumber: {Number: "x", Op: tiering.OpGrade, Tier: tiering.VIP, At: at},
		tiering.ErrEntry:  {Number: who, Op: tiering.OpGrade, At: at},
	} {
		if err := im.Add(c); !errors.Is(err, want) || im.Len() != 0 {
			t.Errorf("%v, want %v", err, want)
		}
	}
	good := tiering.Change{Number: who, Op: tiering.OpGrade, Tier: tiering.VIP, At: at}
	if err := im.Add(good); err != nil {
		t.Fatal(err)
	}
	s.servers[0].Pause()
	if err := im.Write(t.Context()); !errors.Is(err, tiering.ErrUnavailable) || im.Len() != 1 {
		t.Errorf("%v, and %d are left", err, im.Len())
	}
	s.servers[0].Resume()
	answered(t, func(ctx context.Context) (int, error) { return im.Len(), im.Write(ctx) })
	if im.Len() != 0 || find(t, d, who).Grade != tiering.VIP {
		t.Error("the import is not done")
	}
	counted(t, d, map[tiering.Tier]int64{tiering.VIP: 1})
}

// importAll imports one tier for all numbers, and returns how they moved.
func importAll(ctx context.Context, d *Directory, numbers []tiering.Number, tier tiering.Tier) (tiering.Moves, error) {
	im := d.NewImport("main", at)
	for _, n := range numbers {
		if err := im.Add(tiering.Change{Number: n, Op: tiering.OpGrade, Tier: tier, At: at}); err != nil {
			return im.Moves, err
		}
	}
	err := im.Write(ctx)
	return im.Moves, err
}

// TestImportsOfTheSameCallersMeet has imports of two programs and single changes meet in
// one shard: every caller is counted once, under the tier that is stored.
func TestImportsOfTheSameCallersMeet(t *testing.T) {
	s := single(t)
	numbers := inOneShard(3000)
	var meeting sync.WaitGroup
	for i, tier := range []tiering.Tier{tiering.VIP, tiering.Mid, tiering.Ordinary} {
		d := s.open(t, Options{Cache: -1})
		meeting.Go(func() {
			part := slices.Concat(numbers[1000*i:], numbers[:1000*i])
			if _, err := importAll(t.Context(), d, part, tier); err != nil {
				t.Error(err)
			}
		})
		meeting.Go(func() {
			for _, n := range numbers[100*i : 100*i+100] {
				if _, err := d.Set(t.Context(), "main", tiering.Change{Number: n, Op: tiering.OpSet, Tier: tier, At: at}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	meeting.Wait()
	d := s.open(t, Options{Cache: -1})
	entries, err := d.LookupBatch(t.Context(), "main", numbers)
	if err != nil {
		t.Fatal(err)
	}
	want := map[tiering.Tier]int64{}
	for i := range entries {
		want[entries[i].Grade]++
	}
	if want[tiering.TierUnset] != 0 {
		t.Errorf("%d callers are unknown", want[tiering.TierUnset])
	}
	counted(t, d, want)
}

// TestAnImportWatchesNothingAfterwards: a connection that went on watching would have
// somebody else's transaction fail.
func TestAnImportWatchesNothingAfterwards(t *testing.T) {
	s := single(t)
	s.options.PoolSize = 1
	client := s.client(t)
	d, err := Open(t.Context(), client, Options{Cache: -1, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	other, numbers := s.client(t), inOneShard(100)
	for i, wantNew := range []int64{100, 0} {
		moves, err := importAll(t.Context(), d, numbers, tiering.Mid)
		if err != nil {
			t.Fatal(err)
		}
		if got := moves[tiering.TierUnset][tiering.Mid]; got != wantNew {
			t.Errorf("import %d: %d are new, want %d", i, got, wantNew)
		}
		if err := other.HIncrBy(t.Context(), countsKey("main", 0), "v", 1).Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error { return p.Incr(t.Context(), "tiers:test").Err() }); err != nil {
			t.Errorf("after import %d: %v", i, err)
		}
	}
}

// TestAnImportNeedsNoTransactions: where the user may not WATCH, scripts do it all.
func TestAnImportNeedsNoTransactions(t *testing.T) {
	s := single(t)
	if err := s.client(t).Do(t.Context(), "acl", "setuser", "default", "-watch").Err(); err != nil {
		t.Fatal(err)
	}
	d := s.open(t, Options{Cache: -1})
	if _, err := importAll(t.Context(), d, inOneShard(100), tiering.Mid); err != nil {
		t.Fatal(err)
	}
	counted(t, d, map[tiering.Tier]int64{tiering.Mid: 100})
}

// TestAnImportTellsWhoListens, also of callers that a transaction inserted.
func TestAnImportTellsWhoListens(t *testing.T) {
	s := single(t)
	there, here := s.open(t, Options{}), s.open(t, Options{Cache: -1})
	heard := make(chan tiering.Number, 1000)
	defer there.Subscribe(func(_ string, n tiering.Number, _ tiering.Entry) { heard <- n })()
	defer here.Subscribe(func(_ string, n tiering.Number, _ tiering.Entry) { heard <- n })()
	hearing(t, there)
	numbers := inOneShard(100)
	if _, err := importAll(t.Context(), here, numbers, tiering.Mid); err != nil {
		t.Fatal(err)
	}
	times := map[tiering.Number]int{}
	for range 2 * len(numbers) {
		times[<-heard]++
	}
	for _, n := range numbers {
		if times[n] != 2 {
			t.Errorf("of %s was told %d times, want 2", n, times[n])
		}
	}
}
