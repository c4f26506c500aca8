//go:build unix

package redischeck

import (
	"context"
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
