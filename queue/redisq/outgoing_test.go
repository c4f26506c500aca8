package redisq

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/record"
)

// What records are named by in Redis is read back as it was, whatever a queue is
// called.
func TestFields(t *testing.T) {
	t.Parallel()
	for want, k := range map[string]record.Key{
		"17":             {Kind: record.Calls, Number: 17},
		"anna / b":       {Kind: record.Agents, Name: "anna / b"},
		"":               {Kind: record.Agents},
		"1700000/3/a/b/": {Kind: record.Cohorts, Number: 1700000, Tier: 3, Name: "a/b/"},
		"2/billing":      {Kind: record.Totals, Tier: 2, Name: "billing"},
	} {
		if got := string(appendField(nil, k)); got != want {
			t.Errorf("%+v is spelled %q, want %q", k, got, want)
		}
		if got, err := parseField(k.Kind, want); err != nil || got != k {
			t.Errorf("%q is read as %+v, %v", want, got, err)
		}
	}
	for field, kind := range map[string]record.Kind{
		"x": record.Calls, "-1": record.Offers, "1/2": record.Cohorts, "1/999/q": record.Cohorts, "billing": record.Totals, "": record.Requests,
	} {
		if k, err := parseField(kind, field); !errors.Is(err, errField) {
			t.Errorf("%q is read as %+v, %v", field, k, err)
		}
	}
}

// TestPacked: long lists and long names are packed as scripts read them.
func TestPacked(t *testing.T) {
	t.Parallel()
	var out outgoing
	c := &queue.Changes{GoneAgents: []string{strings.Repeat("x", 31), strings.Repeat("y", 32)}}
	for i := range 16 {
		c.GoneCalls = append(c.GoneCalls, uint64(i))
	}
	if err := out.encode(c); err != nil {
		t.Fatal(err)
	}
	want := "\x9a\xdd\x00\x00\x00\x10"
	for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		want += "\xa1" + n
	}
	for _, n := range []string{"10", "11", "12", "13", "14", "15"} {
		want += "\xa2" + n
	}
	want += "\x92\xbf" + strings.Repeat("x", 31) + "\xdb\x00\x00\x00\x20" + strings.Repeat("y", 32) + strings.Repeat("\x90", 8)
	if string(out.packed) != want {
		t.Errorf("packed %q, want %q", out.packed, want)
	}
}

// TestARecordOfAnotherVersion has a good sum, and a field that this program does not
// know: it is no damage, sealed or not.
func TestARecordOfAnotherVersion(t *testing.T) {
	t.Parallel()
	var secret seal.Secret
	secret[0] = 1
	keys, err := seal.New(seal.Secret{2}, []seal.Key{{ID: "k", Secret: secret}})
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string]*Engine{"plain": {}, "sealed": {sealed: keys.Shared("queue main")}} {
		var buf bytes.Buffer
		encoder := record.Encoder{Sealer: e.sealer()}
		if err := encoder.Append(&buf, record.Calls, []byte("7"), map[int]string{999: "of a later version"}); err != nil {
			t.Fatal(err)
		}
		err := record.Add(&queue.Changes{}, e.sealer(), record.Calls, []byte("7"), buf.Bytes())
		if err == nil || !e.legible(record.Calls, "7", buf.String(), err) {
			t.Errorf("%s: taken for damage: %v", name, err)
		}
		if e.legible(record.Calls, "8", buf.String(), record.ErrDamaged) || e.legible(record.Calls, "7", buf.String()+"x", record.ErrDamaged) {
			t.Errorf("%s: damage is not seen", name)
		}
	}
}
