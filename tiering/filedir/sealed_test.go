package filedir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

const canary = tiering.Number("+8613912345678")

func openWith(t testing.TB, dir string, keys *seal.Keys) *Directory {
	t.Helper()
	d, err := Open(dir, Options{Log: slog.New(slog.DiscardHandler), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestConformanceSealed(t *testing.T) {
	keys := sealtest.Keys(t, 1, "k1")
	tieringtest.Run(t, func(t *testing.T) tieringtest.Subject {
		dir := t.TempDir()
		d := openWith(t, dir, keys)
		return tieringtest.Subject{
			Directory: d,
			Reopen: func() tiering.Directory {
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				return openWith(t, dir, keys)
			},
			Corrupt: func(site string, n tiering.Number) { corrupt(t, d, site, n) },
		}
	})
}

func setCanary(t testing.TB, d *Directory, op tiering.Op) {
	t.Helper()
	c := tiering.Change{Number: canary, Op: op, At: 1_700_000_000_000}
	if op == tiering.OpSet {
		c.Tier, c.Note = tiering.VIP, "asked from "+string(canary)
	}
	if _, err := d.Set(context.Background(), "main", c); err != nil {
		t.Fatal(err)
	}
}

// mustHold closes the directory and looks for the number in the file.
func mustHold(t testing.TB, d *Directory, want bool) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(canary), strings.TrimPrefix(string(canary), "+86")} {
		if bytes.Contains(data, []byte(s)) != want {
			t.Errorf("the file holds %q: %v, want %v", s, !want, want)
		}
	}
}

func mustBeVIP(t testing.TB, d *Directory) {
	t.Helper()
	e, known, err := d.Lookup(context.Background(), "main", canary)
	if err != nil || !known || e.Grade != tiering.VIP || !strings.Contains(e.Note, string(canary)) {
		t.Errorf("%+v, %v, %v", e, known, err)
	}
	items, next, err := d.Walk(context.Background(), "main", "", 10)
	if err != nil || next != "" || len(items) != 1 || items[0].Number != canary {
		t.Errorf("%v, %q, %v", items, next, err)
	}
}

func TestSealedRotatedAndRefused(t *testing.T) {
	dir := t.TempDir()
	d := openWith(t, dir, nil)
	setCanary(t, d, tiering.OpSet)
	mustHold(t, d, true)
	d = openWith(t, dir, sealtest.Keys(t, 1, "k1")) // what was stored as it is, is sealed
	mustBeVIP(t, d)
	mustHold(t, d, false)
	d = openWith(t, dir, sealtest.Keys(t, 1, "k2", "k1"))
	mustBeVIP(t, d)
	mustHold(t, d, false)
	d = openWith(t, dir, sealtest.Keys(t, 1, "k2"))
	mustBeVIP(t, d)
	mustHold(t, d, false)
	for _, c := range []struct {
		keys *seal.Keys
		want string
	}{
		{nil, "privacy.keys must name the keys k2"}, {sealtest.Keys(t, 1, "k3"), `"k2" is missing`}, {sealtest.Keys(t, 2, "k2"), "index_key_file"},
	} {
		if d, err := Open(dir, Options{Keys: c.keys}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v; want %q", d, err, c.want)
		}
	}
	d = openWith(t, dir, sealtest.Keys(t, 1, "k2"))
	mustBeVIP(t, d)
	mustHold(t, d, false)
}

// TestWhatLiesAsideIsNotTakenOver: it can't be encrypted, and the log says that it is gone.
func TestWhatLiesAsideIsNotTakenOver(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	d := openWith(t, dir, nil)
	setCanary(t, d, tiering.OpSet)
	corrupt(t, d, "main", canary)
	_, _, _ = d.Lookup(ctx, "main", canary)
	setCanary(t, d, tiering.OpSet)
	if n, err := d.Quarantined(ctx); n != 1 || err != nil {
		t.Fatalf("%d values are set aside, %v", n, err)
	}
	mustHold(t, d, true)
	var log bytes.Buffer
	d, err := Open(dir, Options{Keys: sealtest.Keys(t, 1, "k1"), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := d.Quarantined(ctx); n != 0 || err != nil || strings.Count(log.String(), "values=1\n") != 1 {
		t.Errorf("%d values lie aside, %v; the log says %s", n, err, log.String())
	}
	mustBeVIP(t, d)
	mustHold(t, d, false)
}

// TestAnotherIndexKey takes the old one's place when both are at hand, whether the keys
// that seal stay or not.
func TestAnotherIndexKey(t *testing.T) {
	replacing := func(index, old byte, ids ...string) *seal.Keys {
		k, err := sealtest.Keys(t, index, ids...).Replacing(seal.Secret{old})
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	dir := t.TempDir()
	d := openWith(t, dir, sealtest.Keys(t, 1, "k1"))
	setCanary(t, d, tiering.OpSet)
	_, err := d.UpdateRatings(context.Background(), "main", canary, func(s tiering.Satisfaction) tiering.Satisfaction {
		s, _ = s.Rate(tiering.Rating{ID: 1, Score: 2, Month: 650}, 650)
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	mustHold(t, d, false)
	for _, keys := range []*seal.Keys{sealtest.Keys(t, 2, "k1"), replacing(2, 3, "k1")} {
		if _, err := Open(dir, Options{Keys: keys}); !errors.Is(err, seal.ErrIndex) {
			t.Errorf("it opens without the index key: %v", err)
		}
	}
	for _, keys := range []*seal.Keys{replacing(2, 1, "k1"), replacing(2, 1, "k1"), replacing(3, 2, "k2", "k1"), sealtest.Keys(t, 3, "k2")} {
		d = openWith(t, dir, keys)
		mustBeVIP(t, d)
		page, next, err := d.WalkRatings(context.Background(), "main", "", 10)
		if err != nil || next != "" || len(page) != 1 || page[0].Number != canary {
			t.Errorf("%v, %q, %v", page, next, err)
		}
		mustHold(t, d, false)
	}
}

// TestAForgottenCallerIsGoneFromTheFile: bbolt leaves what it deletes in free
// pages, so the file is written anew.
func TestAForgottenCallerIsGoneFromTheFile(t *testing.T) {
	dir := t.TempDir()
	d := openWith(t, dir, nil)
	setCanary(t, d, tiering.OpSet)
	corrupt(t, d, "main", canary)
	if _, _, err := d.Lookup(context.Background(), "main", canary); err == nil {
		t.Fatal("what is damaged is read")
	}
	setCanary(t, d, tiering.OpSet)
	setCanary(t, d, tiering.OpForget)
	if n, err := d.Quarantined(context.Background()); err != nil || n != 0 {
		t.Errorf("%d set aside, %v", n, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, openWith(t, dir, nil), false)
}

func BenchmarkLookupSealed(b *testing.B) {
	for _, keys := range []*seal.Keys{nil, sealtest.Keys(b, 1, "k1")} {
		b.Run(fmt.Sprint("sealed=", keys != nil), func(b *testing.B) {
			d := openWith(b, b.TempDir(), keys)
			defer d.Close()
			cs := callers(100_000, false)
			for _, r := range d.SetBatch(context.Background(), "main", cs) {
				if r.Err != nil {
					b.Fatal(r.Err)
				}
			}
			for i := 0; b.Loop(); i++ {
				if _, _, err := d.Lookup(context.Background(), "main", cs[i%len(cs)].Number); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(info(b, d.path))/float64(len(cs)), "B/caller")
		})
	}
}

func info(t testing.TB, path string) int64 {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return i.Size()
}
