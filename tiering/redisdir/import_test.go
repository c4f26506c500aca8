package redisdir

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// TestAnImportDoesWhatTheDefinitionSays: plain changes and others, of few callers
// many times and of many once, over what is there already.
func TestAnImportDoesWhatTheDefinitionSays(t *testing.T) {
	s := single(t)
	d := s.open(t, Options{Cache: -1})
	run := 0
	number := rapid.Custom(func(t *rapid.T) tiering.Number {
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			return tiering.Number(rapid.SampledFrom([]string{"8001", "0", "+0", "112"}).Draw(t, "extension"))
		}
		return tiering.Number(fmt.Sprintf("+86138%08d", rapid.IntRange(0, 300).Draw(t, "number")))
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
	if err := im.Write(t.Context()); err != nil || find(t, d, who).Grade != tiering.VIP {
		t.Error(err)
	}
	counted(t, d, map[tiering.Tier]int64{tiering.VIP: 1})
}
