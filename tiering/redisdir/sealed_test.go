package redisdir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenlane/internal/redistest"
	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/tiering"
	"greenlane/tiering/tieringtest"
)

func TestSuiteSealed(t *testing.T) {
	s, keys := single(t), sealtest.Keys(t, 1, "k1")
	tieringtest.Run(t, func(t *testing.T) tieringtest.Subject {
		subject := s.subjectWith(t, keys)
		subject.Cut = nil // nothing of it is about how entries are stored, and it takes long
		return subject
	})
}

func TestSealedPlaces(t *testing.T) {
	l := newLayout(sealtest.Keys(t, 1, "k1"))
	rotated := newLayout(sealtest.Keys(t, 1, "k2", "k1"))
	seen := map[place]bool{}
	for i := range 20_000 {
		n := tiering.Number(fmt.Sprintf("+86139%08d", i*4999))
		if i%10 == 0 {
			n = tiering.Number(fmt.Sprint(8000 + i))
		}
		p := l.placeOf(n)
		if got, err := l.numberOf(p); err != nil || got != n || p.bucket >= buckets || seen[p] {
			t.Fatalf("%s is at %v, where %q is: %v", n, p, got, err)
		}
		seen[p] = true
		if rotated.placeOf(n) != p {
			t.Fatalf("%s moves when another key seals", n)
		}
		if plainly := placeOf(n); plainly == p {
			t.Fatalf("%s is where everybody finds it", n)
		}
	}
	e := tiering.Entry{Grade: tiering.VIP, GradedAt: 1000, UpdatedAt: 1000, Note: strings.Repeat("n", tiering.MaxNoteBytes)}
	here, there := l.placeOf("+8613912345678"), l.placeOf("+8613912345679")
	value, long := l.encode(here, e)
	if got, err := l.decode(here, long); err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
	if again, _ := l.encode(here, e); again != value {
		t.Error("the same entry gives another value")
	}
	if strings.Contains(long, "nnn") {
		t.Error("the note is not sealed")
	}
	e.Note = "short"
	value, _ = l.encode(here, e)
	if other, _ := l.encode(there, e); other == value {
		t.Error("the same note at two places looks the same")
	}
}

// TestASealedDirectoryHoldsNoNumber looks for a number in what Redis writes. A plain
// number's place gives it back to everybody, so that is looked for too.
func TestASealedDirectoryHoldsNoNumber(t *testing.T) {
	server := redistest.Start(t, redistest.Options{Config: []string{"rdbcompression no"}})
	s := store{server.Options(), []*redistest.Server{server}}
	keys := sealtest.Keys(t, 1, "k1")
	d := s.open(t, Options{Keys: keys})
	const canary = tiering.Number("+8613912345678")
	numbers := []tiering.Number{canary, "13912345678", "8001"}
	for _, n := range numbers {
		c := tiering.Change{Number: n, Op: tiering.OpSet, Tier: tiering.VIP, Note: "rang from " + string(canary), At: 1_700_000_000_000}
		if _, err := d.Set(t.Context(), "main", c); err != nil {
			t.Fatal(err)
		}
	}
	im := d.NewImport("main", 1_700_000_000_000)
	for i := range 100 {
		if err := im.Add(tiering.Change{Number: tiering.Number(fmt.Sprintf("+86137%08d", i)), Op: tiering.OpGrade, Tier: tiering.Mid, At: 1_700_000_000_000}); err != nil {
			t.Fatal(err)
		}
	}
	if err := im.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	items, err := pages(t, "main", d.Walk)
	if err != nil || len(items) != 103 {
		t.Fatal(len(items), err)
	}
	if err := server.Client().Save(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	plainly := placeOf(canary)
	files, err := filepath.Glob(filepath.Join(server.Dir(), "*.rdb"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, spelled := range []string{"13912345678", "12345678", "=8001"} {
			if bytes.Contains(data, []byte(spelled)) {
				t.Errorf("%s holds %q", filepath.Base(file), spelled)
			}
		}
	}
	if n, err := s.client(t).HExists(t.Context(), bucketKey("main", plainly.bucket), plainly.field).Result(); err != nil || n {
		t.Errorf("the number is where everybody finds it: %v", err)
	}
	for _, c := range []struct {
		keys *seal.Keys
		want string
	}{{nil, "privacy.index_key_file"}, {sealtest.Keys(t, 2, "k1"), "privacy.old_index_key_file"}} {
		if _, err := Open(t.Context(), s.client(t), Options{Log: quiet, Keys: c.keys}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	s.flush(t)
	s.open(t, Options{})
	if _, err := Open(t.Context(), s.client(t), Options{Log: quiet, Keys: keys}); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), "tiers export") {
		t.Errorf("plain tiers: %v", err)
	}
}
