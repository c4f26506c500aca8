//go:build unix

package redistest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return c
}

func TestAServerKeepsWhatItWasAskedToKeep(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{AOF: true, Config: []string{"appendfsync always"}})
	c := s.Client()
	if err := c.Set(ctx(t), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	<-s.Done()
	if err := c.Get(ctx(t), "k").Err(); err == nil {
		t.Fatal("a killed server answers")
	}
	before := s.Addr()
	s.Restart()
	if got, err := c.Get(ctx(t), "k").Result(); err != nil || got != "v" || s.Addr() != before {
		t.Fatalf("%q, %v at %s; want the value again at %s", got, err, s.Addr(), before)
	}
	s.Stop()
	<-s.Done()
}

func TestAPausedServerIsSilentAndGoesOn(t *testing.T) {
	t.Parallel()
	s := Start(t, Options{})
	c := s.Client()
	s.Pause()
	short, cancel := context.WithTimeout(ctx(t), 50*time.Millisecond)
	defer cancel()
	if err := c.Set(short, "k", "v", 0).Err(); err == nil {
		t.Fatal("a paused server answers")
	}
	s.Resume()
	if err := c.Set(ctx(t), "k", "w", 0).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestLimitsAndUsers(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/users.acl"
	users := "user default off\nuser admin on >root ~* &* +@all\nuser reader on >r ~* +get\n"
	if err := os.WriteFile(file, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	s := Start(t, Options{ACLFile: file, Username: "admin", Password: "root", MaxMemory: "8mb"})
	if got, err := s.Client().ConfigGet(ctx(t), "maxmemory").Result(); err != nil || got["maxmemory"] != "8388608" {
		t.Fatalf("%v, %v", got, err)
	}
	o := s.Options()
	o.Username, o.Password = "reader", "r"
	if err := client(t, o).Set(ctx(t), "k", "v", 0).Err(); err == nil {
		t.Fatal("a user without the right may write")
	}
}

func TestManyServersAtOnce(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 8 {
		s := Start(t, Options{})
		if seen[s.Addr()] {
			t.Fatalf("two servers on %s", s.Addr())
		}
		seen[s.Addr()] = true
	}
}

func TestSentinelNamesANewMaster(t *testing.T) {
	t.Parallel()
	s := StartSentinel(t, SentinelOptions{DownAfter: 500 * time.Millisecond})
	c, old := s.Client(), s.Master()
	if old != s.Servers[0] {
		t.Fatal("the first server is not the master")
	}
	if err := c.Set(ctx(t), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Do(ctx(t), "WAIT", 2, 1000).Int(); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	old.Kill()
	s.AwaitFailover(old)
	err := until(ready, nil, func(ctx context.Context) bool { return c.Set(ctx, "k", "w", 0).Err() == nil })
	if err != nil {
		t.Fatal(err)
	}
	old.Restart()
}

func TestAClusterServesAllSlotsAgainAfterAFailover(t *testing.T) {
	t.Parallel()
	s := StartCluster(t, ClusterOptions{Replicas: 1, NodeTimeout: time.Second})
	c := s.Client()
	set := func() error {
		var faults []error
		for _, key := range []string{"a", "b", "c", "d", "{x}1", "{y}2", "{z}3"} {
			faults = append(faults, c.Set(ctx(t), key, "v", 0).Err())
		}
		return errors.Join(faults...)
	}
	if err := set(); err != nil {
		t.Fatal(err)
	}
	s.Nodes[1].Kill()
	s.AwaitFailover(s.Nodes[1])
	if err := until(ready, nil, func(context.Context) bool { return set() == nil }); err != nil {
		t.Fatal(err, set())
	}
}

// fatal is a T that only notes that the test was ended.
type fatal struct {
	*testing.T
	said string
}

func (f *fatal) Fatalf(format string, _ ...any) {
	f.said = format
	panic(f)
}

func TestWithoutAServerItSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	f := &fatal{T: t}
	defer func() {
		if recover() != f || f.said == "" {
			t.Errorf("it said %q", f.said)
		}
	}()
	Start(f, Options{})
}

func TestAWrongConfigurationIsToldWithTheServersWords(t *testing.T) {
	t.Parallel()
	f := &fatal{T: t}
	defer func() {
		if recover() != f {
			t.Error("it was started")
		}
	}()
	Start(f, Options{Config: []string{"no-such-directive yes"}})
}
