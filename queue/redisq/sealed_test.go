package redisq_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/internal/seal"
	"greenlane/internal/seal/sealtest"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

const canary = tiering.Number("+8613912345678")

// sealedSite opens engines with different keys on one site.
type sealedSite struct {
	t      *testing.T
	server *redistest.Server
	clock  *queuetest.Clock
}

func (s *sealedSite) try(keys *seal.Keys) (*redisq.Engine, error) {
	return redisq.Open(context.Background(), s.server.Client(), queue.DefaultSite("main"),
		redisq.Options{Now: s.clock.Now, NoTimers: true, Keys: keys})
}

// with opens an engine, has do use it and closes it.
func (s *sealedSite) with(keys *seal.Keys, do func(e *redisq.Engine)) {
	s.t.Helper()
	e, err := s.try(keys)
	if err != nil {
		s.t.Fatal(err)
	}
	do(e)
	if err := e.Close(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *sealedSite) do(e *redisq.Engine, cmd queue.Command) queue.Result {
	s.t.Helper()
	res, err := e.Do(s.t.Context(), cmd)
	if err != nil {
		s.t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	return res
}

// push leaves the number in every kind of record that can have one.
func (s *sealedSite) push(e *redisq.Engine) {
	s.t.Helper()
	arrive := func(id string, tier tiering.Tier) *queue.Arrive {
		return &queue.Arrive{
			Request: queue.Request{ID: "r-" + id, Print: 1}, Call: id, Switch: "sw", Caller: canary, Tier: tier,
			Attributes: []queue.Attribute{{Key: "ani", Value: string(canary)}},
		}
	}
	s.do(e, arrive("waits", tiering.Mid))
	s.do(e, arrive("waits too", tiering.Mid))
	s.do(e, arrive("gone", tiering.Mid))
	s.clock.Advance(10 * time.Second)
	s.do(e, &queue.Abandon{Request: queue.Request{ID: "r-gone"}, Call: "gone", Switch: "sw"})
	s.do(e, &queue.SignIn{Agent: "anna", WrapUp: -1, Services: []queue.Service{{Queue: "default", Level: 1}}})
	s.do(e, &queue.Attach{Request: queue.Request{ID: "r-attach"}, Agent: "anna", Owner: "d", Token: "t", Presence: queue.PresentStream})
}

// know checks that the number is found by every way there is.
func (s *sealedSite) know(e *redisq.Engine) {
	s.t.Helper()
	calls, _, err := e.Calls(s.t.Context(), queue.CallFilter{Caller: canary})
	if err != nil || len(calls) != 3 || calls[0].Attributes[0].Value != string(canary) {
		s.t.Errorf("%v, %v", calls, err)
	}
	backs, _, err := e.Callbacks(s.t.Context(), queue.CallbackFilter{Caller: canary})
	if err != nil || len(backs) != 1 {
		s.t.Errorf("%v, %v", backs, err)
	}
	if res := s.do(e, &queue.Abandon{Request: queue.Request{ID: "r-gone"}, Call: "gone", Switch: "sw"}); !res.Duplicate || res.Callback.Caller != canary {
		s.t.Errorf("the first answer is %+v", res)
	}
	_, o, err := e.Agent(s.t.Context(), "anna")
	if err != nil || o == nil || o.Call.Caller != canary {
		s.t.Errorf("the offer is %+v, %v", o, err)
	}
	if _, err := e.Do(s.t.Context(), &queue.CreateCallback{Caller: canary}); err == nil {
		s.t.Error("a second promise is made")
	}
	from, to := tiering.Mid, tiering.VIP
	if calls[0].Tier == to {
		from, to = to, from
	}
	if res := s.do(e, &queue.Rerank{Caller: canary, Tier: to}); res.Reranked != 2 {
		s.t.Errorf("%d calls from %s became %s", res.Reranked, from, to)
	}
}

// clean looks for the number in what Redis writes.
func (s *sealedSite) clean(want bool) {
	s.t.Helper()
	if err := s.server.Client().Save(context.Background()).Err(); err != nil {
		s.t.Fatal(err)
	}
	found := false
	err := filepath.Walk(s.server.Dir(), func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, spelled := range []string{string(canary), strings.TrimPrefix(string(canary), "+86")} {
			if bytes.Contains(data, []byte(spelled)) {
				found = true
				if want {
					s.t.Errorf("%s holds %s", filepath.Base(path), spelled)
				}
			}
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if found == want {
		s.t.Errorf("the number was found: %v", found)
	}
}

func newSealedSite(t *testing.T) *sealedSite {
	return &sealedSite{
		t: t, server: redistest.Start(t, redistest.Options{Config: []string{"rdbcompression no"}}),
		clock: queuetest.NewClock(time.Date(2026, 11, 21, 10, 0, 0, 0, time.FixedZone("UTC+8", 8*60*60))),
	}
}

func TestSealedInRedis(t *testing.T) {
	s := newSealedSite(t)
	s.with(sealtest.Keys(t, 1, "k1"), func(e *redisq.Engine) {
		s.push(e)
		s.know(e)
	})
	s.clean(true)
	for _, c := range []struct {
		keys *seal.Keys
		want string
	}{
		{nil, "privacy.keys must name the key k1"}, {sealtest.Keys(t, 1, "k2"), `"k1" is missing`}, {sealtest.Keys(t, 2, "k1"), "index_key_file"},
	} {
		if _, err := s.try(c.keys); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	s.with(sealtest.Keys(t, 1, "k2", "k1"), s.know) // a new key takes over
	another, err := sealtest.Keys(t, 2, "k2").Replacing(seal.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	s.with(another, s.know) // and so does a new index key
	s.with(sealtest.Keys(t, 2, "k2"), s.know)
	if _, err := s.try(sealtest.Keys(t, 1, "k2")); !errors.Is(err, seal.ErrIndex) {
		t.Errorf("the index key before: %v", err)
	}
	another, err = sealtest.Keys(t, 1, "k2").Replacing(seal.Secret{2})
	if err != nil {
		t.Fatal(err)
	}
	s.with(another, s.know)
	s.with(sealtest.Keys(t, 1, "k2"), func(e *redisq.Engine) {
		s.know(e)
		s.do(e, &queue.End{Call: "waits", Switch: "sw"})
		s.do(e, &queue.End{Call: "waits too", Switch: "sw"})
		if res := s.do(e, &queue.EraseCaller{Caller: canary}); res.ErasedCalls != 3 || res.ErasedCallbacks != 1 || res.Live != 0 {
			t.Errorf("%+v", res)
		}
	})
	s.clean(true)
}

func TestPlainInRedisIsSealed(t *testing.T) {
	s := newSealedSite(t)
	s.with(nil, s.push)
	s.clean(false)
	s.with(sealtest.Keys(t, 1, "k1"), s.know)
	s.clean(true)
}

func TestErasedInRedis(t *testing.T) {
	s := newSealedSite(t)
	s.with(nil, func(e *redisq.Engine) {
		s.push(e)
		s.do(e, &queue.End{Call: "waits", Switch: "sw"})
		s.do(e, &queue.End{Call: "waits too", Switch: "sw"})
		if res := s.do(e, &queue.EraseCaller{Caller: canary}); res.ErasedCalls != 3 || res.ErasedCallbacks != 1 || res.Live != 0 {
			t.Errorf("%+v", res)
		}
	})
	s.clean(true)
}

// TestADaemonWithoutTheKey that runs on while another one seals with it must not
// take what it can't read for damage: it ends, and everything stays where it is.
func TestADaemonWithoutTheKey(t *testing.T) {
	for name, old := range map[string]*seal.Keys{"none": nil, "an older one": sealtest.Keys(t, 1, "k1")} {
		t.Run(name, func(t *testing.T) {
			s := newSealedSite(t)
			running, err := s.try(old)
			if err != nil {
				t.Fatal(err)
			}
			defer running.Close(context.Background())
			s.push(running)
			s.with(sealtest.Keys(t, 1, "k2", "k1"), func(e *redisq.Engine) {
				s.know(e)
				if _, err := running.Do(t.Context(), &queue.Tick{}); !errors.Is(err, queue.ErrUnavailable) {
					t.Errorf("it goes on: %v", err)
				}
				select {
				case <-running.Failed():
				case <-time.After(limit):
					t.Error("it has not failed")
				}
				if n := s.server.Client().HLen(t.Context(), key(e, "damaged")).Val(); n != 0 {
					t.Errorf("%d records were set aside", n)
				}
				s.know(e)
			})
		})
	}
}
