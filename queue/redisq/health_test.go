package redisq_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

// TestARedisThatTakesNoWrites: an engine whose commands are not acknowledged is not
// healthy, however well questions are answered, and is so again by itself once a
// commit of its own was confirmed.
func TestARedisThatTakesNoWrites(t *testing.T) {
	for name, c := range map[string]struct {
		says          string
		opts          redisq.Options
		refuse, mends func(t *testing.T, s *redistest.Server)
	}{
		"too few replicas": {
			"NOREPLICAS", redisq.Options{},
			func(t *testing.T, s *redistest.Server) { set(t, s, "min-replicas-to-write", "1") },
			func(t *testing.T, s *redistest.Server) { set(t, s, "min-replicas-to-write", "0") },
		},
		"a failed snapshot": {"MISCONF", redisq.Options{}, failSnapshot, mendSnapshot},
		"no replica confirms": {
			"0 of 1", redisq.Options{MinReplicas: 1, ConfirmWithin: 20 * time.Millisecond},
			func(*testing.T, *redistest.Server) {},
			func(t *testing.T, s *redistest.Server) {
				host, port, _ := strings.Cut(s.Addr(), ":")
				redistest.Start(t, redistest.Options{Config: []string{"replicaof " + host + " " + port}})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, redistest.Options{})
			e := open(t, server.Client(), c.opts)
			c.refuse(t, server)
			for range 2 {
				if _, err := e.Do(ctxOf(t), arrive("c1")); !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("while nothing can be written: %v", err)
				}
			}
			_, _ = e.Snapshot(ctxOf(t)) // an answer shows nothing, and there may be none
			ok, changed, err := e.Healthy()
			if ok || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("healthy: %v, %v", ok, err)
			}
			c.mends(t, server)
			select {
			case <-changed:
			case <-time.After(limit):
				t.Fatal("it does not notice that Redis takes writes again")
			}
			do(t, e, arrive("c1"))
		})
	}
}

func set(t *testing.T, s *redistest.Server, name, value string) {
	t.Helper()
	if err := s.Client().ConfigSet(ctxOf(t), name, value).Err(); err != nil {
		t.Fatal(err)
	}
}

// failSnapshot puts a directory where the snapshot is to be.
func failSnapshot(t *testing.T, s *redistest.Server) {
	t.Helper()
	set(t, s, "save", "3600 1")
	if err := os.MkdirAll(filepath.Join(s.Dir(), "dump.rdb", "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	snapshot(t, s, "err")
}

func mendSnapshot(t *testing.T, s *redistest.Server) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(s.Dir(), "dump.rdb")); err != nil {
		t.Fatal(err)
	}
	snapshot(t, s, "ok")
}

// snapshot has one made until it ends so.
func snapshot(t *testing.T, s *redistest.Server, want string) {
	t.Helper()
	for ctx := ctxOf(t); ; {
		_ = s.Client().BgSave(ctx).Err() // one may be under way
		info, err := s.Client().Info(ctx, "persistence").Result()
		if err == nil && strings.Contains(info, "rdb_last_bgsave_status:"+want) {
			return
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("no snapshot ends with %q: %v", want, err)
		}
	}
}

// TestTheQueuesOfAnotherFile: who runs on is told which queues went and came.
func TestTheQueuesOfAnotherFile(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	log := new(logtest.Buffer)
	running := open(t, client, redisq.Options{Logger: log.Logger()}, func(s *queue.Site) {
		s.Queues = append(s.Queues, queue.DefaultQueue("billing"))
	})
	open(t, client, redisq.Options{}, func(s *queue.Site) { s.Queues = append(s.Queues, queue.DefaultQueue("complaints")) })
	do(t, running, arrive("c1")) // it hears of it at the latest now
	for _, want := range []string{"queues_gone=[billing]", "queues_new=[complaints]"} {
		if !log.Has(want) {
			t.Errorf("nobody was told %s:\n%s", want, log)
		}
	}
}
