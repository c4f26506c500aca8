package redisdir

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"greenlane/internal/redistest"
	"greenlane/tiering"
)

// TestAMillionCallersTakeWhatThePageSays checks the line of docs/redis.md for a
// million callers, and that their buckets are listpacks.
func TestAMillionCallersTakeWhatThePageSays(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	server := redistest.Start(t, redistest.Options{})
	client := server.Client()
	d, err := Open(t.Context(), client, Options{Cache: -1, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const callers = 1_000_000
	im := d.NewImport("main", at)
	for i := range callers {
		n := tiering.Number(fmt.Sprintf("+86138%08d", i*97%100_000_000))
		if err := im.Add(tiering.Change{Number: n, Op: tiering.OpGrade, Tier: tiering.Tiers[i%3], At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := client.Info(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "used_memory:")
	used, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	const said = 44_000_000
	if used > said {
		t.Errorf("a million callers take %d bytes, and docs/redis.md says at most %d", used, said)
	}
	t.Logf("%.1f bytes for each of %d callers", float64(used)/callers, callers)
	for i := range 20 {
		key := bucketKey("main", placeOf(tiering.Number(fmt.Sprintf("+86138%08d", i*97))).bucket)
		if kind, err := client.ObjectEncoding(t.Context(), key).Result(); err != nil || kind != "listpack" {
			t.Errorf("%s is a %s, %v", key, kind, err)
		}
	}
}
