package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

const canary = "+8613912345678"

func secretOf(b byte) (s Secret) {
	for i := range s {
		s[i] = b + byte(i)
	}
	return s
}

func keysOf(t testing.TB, ids ...string) *Keys {
	t.Helper()
	var list []Key
	for _, id := range ids {
		list = append(list, Key{ID: id, Secret: secretOf(id[len(id)-1])})
	}
	k, err := New(secretOf(200), list)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseSecret(t *testing.T) {
	want := secretOf(1)
	for _, text := range []string{
		hex.EncodeToString(want[:]), " " + strings.ToUpper(hex.EncodeToString(want[:])) + "\n", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n",
	} {
		if got, err := ParseSecret([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "short", hex.EncodeToString(want[:31]), strings.Repeat("0", 64), strings.Repeat("x", 64)} {
		if _, err := ParseSecret([]byte(text)); err == nil || strings.Contains(err.Error(), "short") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", want, Key{"k", want}, Key{"k", want}, keysOf(t, "k1")); strings.Contains(shown, "1 2 3") || strings.Contains(shown, "0x1") {
		t.Errorf("a secret shows itself: %s", shown)
	}
	if shown := fmt.Sprintf("%v %#v", keysOf(t, "k1", "k2"), keysOf(t, "k1")); shown != "keys k1, k2 keys k1" {
		t.Errorf("%s", shown)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	for name, list := range map[string][]Key{
		"none": {}, "no id": {{"", secretOf(1)}}, "a wrong id": {{"a b", secretOf(1)}}, "a long id": {{strings.Repeat("k", 33), secretOf(1)}},
		"twice": {{"a", secretOf(1)}, {"a", secretOf(2)}}, "the same": {{"a", secretOf(1)}, {"b", secretOf(1)}}, "the index": {{"a", secretOf(200)}},
	} {
		if _, err := New(secretOf(200), list); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestARecordOpensInItsPlaceOnly(t *testing.T) {
	k := keysOf(t, "k1")
	s, header, err := k.Store("queue main", nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed := s.Seal([]byte("head"), []byte(canary), []byte("calls 1"))[4:]
	if !Sealed(sealed) || !s.Own(sealed) || len(sealed) != len(canary)+Overhead || bytes.Contains(sealed, []byte(canary)) {
		t.Fatalf("%x", sealed)
	}
	if again := s.Seal(nil, []byte(canary), []byte("calls 1")); bytes.Equal(again, sealed) {
		t.Error("the same record twice looks the same")
	}
	later, next, err := k.Store("queue main", header)
	if err != nil || later.Stale() {
		t.Fatal(err, later.Stale())
	}
	if out, err := later.Open([]byte("x"), sealed, []byte("calls 1")); err != nil || string(out) != "x"+canary {
		t.Errorf("%q %v", out, err)
	}
	if later.Own(sealed) {
		t.Error("a record of another opening counts as its own")
	}
	if _, err := later.Open(nil, sealed, []byte("calls 2")); err == nil {
		t.Error("it opens in another place")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := later.Open(nil, bad, []byte("calls 1")); err == nil {
			t.Errorf("byte %d can be changed", i)
		}
		if _, err := later.Open(nil, sealed[:i], []byte("calls 1")); err == nil {
			t.Errorf("%d bytes of it open", i)
		}
	}
	if _, _, err := k.Store("queue other", header); !errors.Is(err, ErrKey) {
		t.Errorf("another site opens it: %v", err)
	}
	if _, _, err := k.Store("queue main", []byte("{")); err == nil {
		t.Error("a broken header is taken")
	}
	if _, _, err := k.Store("queue main", next); err != nil {
		t.Error(err)
	}
}

func TestRotationOpensWhatOldKeysSealed(t *testing.T) {
	s1, header, err := keysOf(t, "k1").Store("queue main", nil)
	if err != nil {
		t.Fatal(err)
	}
	old := s1.Seal(nil, []byte(canary), nil)
	s2, header2, err := keysOf(t, "k2", "k1").Store("queue main", header)
	if err != nil || !s2.Stale() {
		t.Fatal(err)
	}
	if out, err := s2.Open(nil, old, nil); err != nil || string(out) != canary {
		t.Fatal(string(out), err)
	}
	fresh := s2.Seal(nil, []byte(canary), nil)
	s3, _, err := keysOf(t, "k2").Store("queue main", s2.Fresh())
	if err != nil || s3.Stale() {
		t.Fatal(err)
	}
	if out, err := s3.Open(nil, fresh, nil); err != nil || string(out) != canary {
		t.Fatal(string(out), err)
	}
	_, _, err = keysOf(t, "k2").Store("queue main", header2)
	if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), `"k1"`) {
		t.Errorf("a missing key: %v", err)
	}
	imposter, err := New(secretOf(200), []Key{{ID: "k1", Secret: secretOf(77)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = imposter.Store("queue main", header); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "another value") {
		t.Errorf("a wrong key: %v", err)
	}
}

func TestManySealAtOnceWithoutANonceTwice(t *testing.T) {
	s, _, err := keysOf(t, "k1").Store("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				nonce := string(s.Seal(nil, nil, nil)[1 : 1+nonceBytes])
				mu.Lock()
				if seen[nonce] {
					t.Error("a nonce twice")
				}
				seen[nonce] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestNumbers(t *testing.T) {
	k1, k2 := keysOf(t, "k1").Numbers("queue main"), keysOf(t, "k2", "k1").Numbers("queue main")
	sealed := k1.Seal(canary)
	if sealed != k1.Seal(canary) || strings.Contains(sealed, canary) || sealed == k1.Seal(canary+"1") {
		t.Fatalf("%x", sealed)
	}
	if k1.Index(canary) != k2.Index(canary) || sealed[1:1+IndexBytes] != k1.Index(canary) || sealed[1:1+IndexBytes] != k2.Seal(canary)[1:1+IndexBytes] {
		t.Error("the index changes with the key")
	}
	if k1.Index(canary) == keysOf(t, "k1").Numbers("queue other").Index(canary) {
		t.Error("two sites share an index")
	}
	for _, n := range []*Numbers{k1, k2} {
		if got, err := n.Open(sealed); err != nil || got != canary {
			t.Errorf("%q %v", got, err)
		}
	}
	if !k1.Current(sealed) || k2.Current(sealed) || !k2.Current(k2.Seal(canary)) || !k2.Current("") || k2.Current(canary) {
		t.Error("Current is wrong about numbers")
	}
	if got, err := k1.Open(canary); err != nil || got != canary || k1.Seal("") != "" {
		t.Error("what is not sealed does not stay as it is", got, err)
	}
	if _, err := k1.Open(k2.Seal(canary)); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
	for i := range sealed {
		bad := []byte(sealed)
		bad[i] ^= 0x10
		if got, err := k1.Open(string(bad)); err == nil && got == canary {
			t.Errorf("byte %d can be changed", i)
		}
	}
	text := k1.SealText("call " + canary)
	if text == k1.SealText("call "+canary) || strings.Contains(text, canary) || !k1.Current(text) || k2.Current(text) {
		t.Error("text")
	}
	if got, err := k2.OpenText(text); err != nil || got != "call "+canary {
		t.Errorf("%q %v", got, err)
	}
	if got, err := k2.OpenText(text[:20]); err == nil {
		t.Errorf("%q", got)
	}
	if got, err := k2.OpenText("plain"); err != nil || got != "plain" || k1.SealText("") != "" {
		t.Error(got, err)
	}
}

func TestStableIsWhatTheIndexKeyMakes(t *testing.T) {
	a, b := keysOf(t, "k1").Stable("tiers"), keysOf(t, "k2", "k1").Stable("tiers")
	if a.Seal(canary) != b.Seal(canary) || a.Mark() != b.Mark() {
		t.Error("it changes with the key that seals")
	}
	if got, err := b.Open(a.Seal(canary)); err != nil || got != canary {
		t.Error(got, err)
	}
	if a.Seal(canary) == keysOf(t, "k1").Numbers("tiers").Seal(canary) {
		t.Error("it is the other kind")
	}
	other, err := New(secretOf(201), []Key{{"k1", secretOf('1')}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Stable("tiers").CheckMark(a.Mark()); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

func TestMarks(t *testing.T) {
	k1 := keysOf(t, "k1").Numbers("q")
	if current, err := k1.CheckMark(k1.Mark()); err != nil || !current {
		t.Error(current, err)
	}
	if current, err := keysOf(t, "k2", "k1").Numbers("q").CheckMark(k1.Mark()); err != nil || current {
		t.Error(current, err)
	}
	if _, err := keysOf(t, "k2").Numbers("q").CheckMark(k1.Mark()); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), `"k1"`) {
		t.Error(err)
	}
	other, err := New(secretOf(201), []Key{{"k1", secretOf('1')}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Numbers("q").CheckMark(k1.Mark()); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "index") {
		t.Error(err)
	}
	imposter, err := New(secretOf(200), []Key{{"k1", secretOf(9)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := imposter.Numbers("q").CheckMark(k1.Mark()); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "another value") {
		t.Error(err)
	}
	if _, err := k1.CheckMark("what"); err == nil {
		t.Error("no error")
	}
}

// TestFF1 holds the permutation against samples 7 and 1 of the examples that NIST
// publishes with SP 800-38G.
func TestFF1(t *testing.T) {
	for _, c := range []struct {
		key  string
		want uint64
	}{
		{"2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94", 6657667009},
		{"2B7E151628AED2A6ABF7158809CF4F3C", 2433477484},
	} {
		key, err := hex.DecodeString(c.key)
		if err != nil {
			t.Fatal(err)
		}
		f := newFF1(key, 10, 10)
		if got := f.encrypt(123456789); got != c.want {
			t.Errorf("%d, want %d", got, c.want)
		}
		if got := f.decrypt(c.want); got != 123456789 {
			t.Errorf("back: %d", got)
		}
	}
}

func TestPermutationIsABijection(t *testing.T) {
	p := keysOf(t, "k1").Permutation("tiers", 20)
	seen := make([]bool, 1<<20)
	for v := range uint64(1 << 20) {
		x := p.Forward(v)
		if x >= 1<<20 || seen[x] || p.Back(x) != v {
			t.Fatalf("%d -> %d", v, x)
		}
		seen[x] = true
	}
	wide := keysOf(t, "k1").Permutation("tiers", 50)
	for v := uint64(8613800000000); v < 8613800001000; v++ {
		if x := wide.Forward(v); x >= 1<<50 || wide.Back(x) != v {
			t.Fatalf("%d -> %d", v, x)
		}
	}
	if wide.Forward(1) != keysOf(t, "k2", "k1").Permutation("tiers", 50).Forward(1) {
		t.Error("it changes with the key that seals")
	}
	if wide.Forward(1) == keysOf(t, "k1").Permutation("others", 50).Forward(1) {
		t.Error("two scopes share it")
	}
}

func BenchmarkSealRecord(b *testing.B) {
	s, _, err := keysOf(b, "k1").Store("x", nil)
	if err != nil {
		b.Fatal(err)
	}
	record, place, buf := make([]byte, 200), make([]byte, 13), make([]byte, 0, 300)
	b.ReportAllocs()
	for b.Loop() {
		buf = s.Seal(buf[:0], record, place)
	}
}

func BenchmarkSealNumber(b *testing.B) {
	n := keysOf(b, "k1").Numbers("x")
	b.ReportAllocs()
	for b.Loop() {
		n.Seal(canary)
	}
}

func BenchmarkPermutation(b *testing.B) {
	p := keysOf(b, "k1").Permutation("tiers", 50)
	for b.Loop() {
		p.Forward(8613912345678)
	}
}
