//go:build unix

package redischeck

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"testing"

	"greenlane/internal/redistest"
)

// examined returns the findings of Examine by what was looked at.
func examined(t *testing.T, s *redistest.Server, needs Needs) map[string]Finding {
	t.Helper()
	list, err := Examine(t.Context(), s.Client(), needs)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Finding{}
	for _, f := range list {
		if _, twice := found[f.What]; twice {
			t.Errorf("twice: %+v", f)
		}
		found[f.What] = f
	}
	return found
}

func do(t *testing.T, s *redistest.Server, args ...any) {
	t.Helper()
	if err := s.Client().Do(context.Background(), args...).Err(); err != nil {
		t.Fatal(args, err)
	}
}

// TestTheAppendOnlyFileIsReadAsTheUserDefault, whose rights the doctor looks at when it may.
func TestTheAppendOnlyFileIsReadAsTheUserDefault(t *testing.T) {
	const what = "rights of the append-only file"
	s := redistest.Start(t, redistest.Options{
		AOF: true, Username: "admin", Password: "root",
		Config: []string{"user default off", "user admin on >root ~* &* +@all"},
	})
	if f := examined(t, s, Needs{})[what]; f.Level != Fail || !strings.Contains(f.Found, "hset") || !strings.Contains(f.Do, "user default off ~* &* +@all") {
		t.Errorf("%+v", f)
	}
	do(t, s, "acl", "setuser", "default", "off", "~*", "&*", "+@all")
	if f := examined(t, s, Needs{})[what]; f.Level != OK || f.Found == "" {
		t.Errorf("%+v", f)
	}
	do(t, s, "acl", "setuser", "admin", "-acl")
	if f, looked := examined(t, s, Needs{})[what]; looked {
		t.Errorf("without the right: %+v", f)
	}
}

// TestReplicas: one more than must confirm, or the loss of one machine stops all calls; and
// a Cluster needs no min-replicas-to-write.
func TestReplicas(t *testing.T) {
	for _, c := range []struct {
		connected, needed int
		info              map[string]string
		level             Level
		found             string
	}{
		{0, 1, nil, Fail, "no change could be confirmed"},
		{0, 0, nil, Warn, "so does Greenlane's memory"},
		{1, 0, nil, Warn, "before any has it"},
		{1, 1, map[string]string{"min_slaves_good_slaves": "1"}, Warn, "when one machine is lost"},
		{2, 1, nil, Warn, "cut off"},
		{2, 1, map[string]string{"min_slaves_good_slaves": "2"}, OK, "2 connected"},
		{2, 1, map[string]string{"cluster_enabled": "1"}, OK, "2 connected"},
	} {
		info := map[string]string{"role": "master", "connected_slaves": strconv.Itoa(c.connected)}
		maps.Copy(info, c.info)
		var e examiner
		e.replicas("", info, Needs{MinReplicas: c.needed})
		if f := e.found[0]; f.Level != c.level || !strings.Contains(f.Found, c.found) {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}
