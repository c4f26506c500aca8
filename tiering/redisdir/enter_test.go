package redisdir

import (
	"context"
	"errors"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
)

const soon = time.Minute

// until waits until something is so.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatal(what)
		}
	}
}

// TestADirectoryThatIsOpenedLater: until Redis has answered and its layout is known,
// nothing is read or written; then changes are heard of.
func TestADirectoryThatIsOpenedLater(t *testing.T) {
	s := single(t)
	client := s.client(t)
	s.servers[0].Kill()
	gap := make(chan struct{}, 1)
	d, err := OpenLater(client, Options{Log: quiet, Gap: func(context.Context) {
		select {
		case gap <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	defer d.Subscribe(func(string, tiering.Number, tiering.Entry) {})()
	if err := d.Enter(t.Context()); !errors.Is(err, tiering.ErrUnavailable) {
		t.Fatalf("without a Redis: %v", err)
	}
	s.servers[0].Restart()
	if err := client.Set(t.Context(), schemaKey, "9", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := d.Enter(t.Context()); !errors.Is(err, ErrSchema) {
		t.Fatalf("another layout: %v", err)
	}
	if _, _, err := d.Lookup(t.Context(), "main", "+8613800138000"); !errors.Is(err, tiering.ErrUnavailable) {
		t.Errorf("it is used all the same: %v", err)
	}
	client.Del(t.Context(), schemaKey)
	if err := d.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Lookup(t.Context(), "main", "+8613800138000"); err != nil {
		t.Error(err)
	}
	select {
	case <-gap:
	case <-time.After(soon):
		t.Error("changes are not heard of")
	}
}

// TestARedisThatIsEmptied: whose the next tiers are is written again, by whoever
// listens and by whoever imports. When somebody else was faster, nothing is touched.
func TestARedisThatIsEmptied(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	client := s.Client()
	for name, o := range map[string]Options{"a daemon": {}, "an import": {Cache: -1}} {
		t.Run(name, func(t *testing.T) {
			client.FlushAll(t.Context())
			o.Log, o.Keys = quiet, sealtest.Keys(t, 1, "k1")
			d, err := OpenLater(client, o)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			d.ears.every = 20 * time.Millisecond
			if err := d.Enter(t.Context()); err != nil {
				t.Fatal(err)
			}
			client.FlushAll(t.Context())
			write := func() error {
				im := d.NewImport("main", 1_700_000_000_000)
				if err := im.Add(tiering.Change{Number: "+8613800138000", Op: tiering.OpGrade, Tier: tiering.Mid, At: 1_700_000_000_000}); err != nil {
					t.Fatal(err)
				}
				return im.Write(t.Context())
			}
			if o.Cache < 0 {
				if err := write(); err != nil {
					t.Fatal(err)
				}
			}
			until(t, "it is not told whose the tiers are", func() bool { return client.Get(t.Context(), schemaKey).Val() == d.layout.schema() })
			if _, err := Open(t.Context(), client, Options{Log: quiet, Keys: sealtest.Keys(t, 2, "k1")}); err == nil {
				t.Error("another index key is not noticed")
			}
			client.Set(t.Context(), schemaKey, schema, 0)
			if o.Cache < 0 {
				if err := write(); !errors.Is(err, tiering.ErrUnavailable) || !errors.Is(err, ErrSchema) {
					t.Errorf("an import into another layout: %v", err)
				}
				return
			}
			until(t, "another layout is not noticed", func() bool {
				_, _, err := d.Lookup(t.Context(), "main", "+8613800138000")
				return errors.Is(err, ErrSchema)
			})
			client.Del(t.Context(), schemaKey)
			until(t, "it does not come back", func() bool {
				_, _, err := d.Lookup(t.Context(), "main", "+8613800138000")
				return err == nil
			})
		})
	}
}
