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

// TestOneAnswerIsOneFinding: what Redis answers to whatever is tried is told once, and
// not as a matter of rights.
func TestOneAnswerIsOneFinding(t *testing.T) {
	for name, c := range map[string]struct {
		config []string
		said   string
		do     string
	}{
		"no replicas": {[]string{"min-replicas-to-write 1"}, "NOREPLICAS", "start the replicas"},
		"no slots": {[]string{"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-port BUSPORT"},
			"CLUSTERDOWN", "redis-cli --cluster fix"},
		"no such command": {[]string{`rename-command HSCAN ""`}, "hscan: ERR unknown command", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, redistest.Options{Config: c.config})
			found := examined(t, s, Needs{Engine: true})
			if f := found["commands"]; f.Level != Fail || !strings.Contains(f.Found, c.said) || !strings.Contains(f.Do, c.do) || c.do == "" && f.Do != "" {
				t.Errorf("%+v", f)
			}
			for what, f := range found {
				if f.Level == Fail && what != "commands" {
					t.Errorf("%+v", f)
				}
			}
			err := Require(t.Context(), s.Client(), Needs{Engine: true})
			if err == nil || strings.Count(err.Error(), "\n") > 0 || strings.HasSuffix(err.Error(), ": ") || !strings.Contains(err.Error(), c.said) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestAFullRedisIsAWarning: a daemon must start to empty it.
func TestAFullRedisIsAWarning(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	do(t, s, "config", "set", "maxmemory", "1mb")
	found := examined(t, s, Needs{Engine: true})
	if f := found["memory"]; f.Level != Warn || !strings.Contains(f.Found, "nothing can be added") || f.Do != "raise maxmemory" {
		t.Errorf("%+v", f)
	}
	for _, f := range found {
		if f.Level == Fail {
			t.Errorf("%+v", f)
		}
	}
}

// TestEvictionIsRefused, also where no limit makes it count yet.
func TestEvictionIsRefused(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Config: []string{"maxmemory-policy allkeys-lru"}})
	if f := examined(t, s, Needs{})["eviction"]; f.Level != Fail || f.Do != "set maxmemory-policy noeviction" {
		t.Errorf("%+v", f)
	}
}

// TestTheLayoutOfEachSite is looked at before a daemon does.
func TestTheLayoutOfEachSite(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	needs := Needs{Engine: true, Sites: []string{"main", "east"}}
	if f := examined(t, s, needs)["schema"]; f.Level != OK || !strings.Contains(f.Found, "sites") {
		t.Errorf("nothing is there: %+v", f)
	}
	do(t, s, "hset", "greenlane:{main}:site", "schema", "3", "version", "1")
	if f := examined(t, s, needs)["schema"]; f.Level != OK {
		t.Errorf("%+v", f)
	}
	for want, args := range map[string][]any{
		"schema version 99":        {"hset", "greenlane:{east}:site", "schema", "99"},
		"not Greenlane's":          {"set", "greenlane:{east}:site", "x"},
		"without a schema version": {"hset", "greenlane:{east}:calls", "1", "x"},
	} {
		do(t, s, args...)
		if f := examined(t, s, needs)["schema"]; f.Level != Fail || !strings.Contains(f.Found, want) || !strings.Contains(f.Found, "east") {
			t.Errorf("%v: %+v", args, f)
		}
		needs.Engine = false
		if f := examined(t, s, needs)["schema"]; f.Level != OK {
			t.Errorf("%v, for tiers only: %+v", args, f)
		}
		needs.Engine = true
		do(t, s, "unlink", args[1])
	}
}
