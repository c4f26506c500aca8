package redisdir

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
)

var keepRequests = tiering.KeepRequests{Age: time.Hour, Most: 1}

// requestKeys lists the keys that hold answers.
func requestKeys(t *testing.T, client redis.UniversalClient) []string {
	t.Helper()
	keys, err := client.Keys(t.Context(), prefix+"*:request:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestAnswersEndByThemselves: each is one key that Redis drops, and names nobody.
func TestAnswersEndByThemselves(t *testing.T) {
	s := single(t)
	client, d := s.client(t), s.open(t, Options{MinReplicas: 0})
	r := tiering.Request{Kind: "Set", ID: "from 13912345678", Print: 7}
	for range 2 { // what is kept already keeps its end
		if err := d.Remember(t.Context(), "main", r, []byte("answer"), at, keepRequests); err != nil {
			t.Fatal(err)
		}
	}
	keys := requestKeys(t, client)
	if len(keys) != 1 {
		t.Fatal(keys)
	}
	value, err := client.Get(t.Context(), keys[0]).Result()
	if err != nil || strings.Contains(keys[0]+value, "1391234") {
		t.Errorf("%q holds %q, %v", keys[0], value, err)
	}
	if left, err := client.PTTL(t.Context(), keys[0]).Result(); err != nil || left <= 0 || left > keepRequests.Age {
		t.Errorf("it is kept for %v, %v", left, err)
	}
	for _, wrong := range []string{"", "nonsense", value[:30], value[:20] + "x" + value[21:]} {
		if err := client.Set(t.Context(), keys[0], wrong, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if answer, known, err := d.Recall(t.Context(), "main", r, at); err != nil || known || len(answer) != 0 {
			t.Errorf("%q is read as %q, %v, %v", wrong, answer, known, err)
		}
	}
}

// TestAnswersHangOnTheIndexKey: reindexing drops them, for nothing could be found.
func TestAnswersHangOnTheIndexKey(t *testing.T) {
	s := single(t)
	client := s.client(t)
	want := s.filled(t, "main", "east.2")
	d := s.open(t, Options{Keys: sealtest.Keys(t, 1, "k1"), Cache: -1})
	r := tiering.Request{Kind: "Set", ID: "r", Print: 7}
	if err := d.Remember(t.Context(), "main", r, []byte("answer"), at, keepRequests); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if len(requestKeys(t, client)) != 1 {
		t.Fatal("it is not there")
	}
	s.reindexed(t, client, want)
	if keys := requestKeys(t, client); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}
