package redisq_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

// TestKeysOfAnotherType: whichever key of a site somebody overwrites, it is set aside
// under a name that is told, and every daemon goes on with the rest.
func TestKeysOfAnotherType(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	for _, name := range []string{
		"commits", "log", "damaged", "calls", "agents", "offers", "callbacks", "queues", "cohorts", "totals", "requests", "owners", "switches",
	} {
		t.Run(name, func(t *testing.T) {
			log := new(logtest.Buffer)
			opts := redisq.Options{Prefix: "type-" + name, Logger: log.Logger()}
			one, two := open(t, client, opts), open(t, client, opts)
			onDuty(t, one, "a1")
			do(t, one, arrive("c1"))
			do(t, two, arrive("c2"))
			overwritten := key(one, name)
			client.Del(ctxOf(t), overwritten)
			if err := client.Set(ctxOf(t), overwritten, "somebody else's", 0).Err(); err != nil {
				t.Fatal(err)
			}
			three := open(t, client, opts)
			for i, e := range []*redisq.Engine{two, one, three} {
				again(t, e, arrive(fmt.Sprint("d", i)))
			}
			if !log.Has("key="+overwritten) && name != "damaged" || name == "damaged" && client.Type(ctxOf(t), overwritten).Val() == "string" {
				t.Error("nobody was told, or it was left")
			}
			aside := client.Keys(ctxOf(t), overwritten+":aside-*").Val()
			if len(aside) != 1 || client.Get(ctxOf(t), aside[0]).Val() != "somebody else's" {
				t.Errorf("set aside: %q", aside)
			}
			mustAgree(t, one, two, three)
			for _, e := range []*redisq.Engine{one, two, three} {
				if err := e.Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestASiteOfAnotherType: without the site's own key nothing can be saved.
func TestASiteOfAnotherType(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	e := open(t, client, redisq.Options{})
	do(t, e, arrive("c1"))
	client.Set(ctxOf(t), key(e, "site"), "x", 0)
	_, err := e.Do(ctxOf(t), arrive("c2"))
	if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), key(e, "site")) {
		t.Errorf("the daemon that runs: %v", err)
	}
	<-e.Failed()
	_, err = redisq.Open(ctxOf(t), client, queue.DefaultSite("main"), redisq.Options{})
	if schema, is := errors.AsType[*redisq.SchemaError](err); !is || schema.Key != key(e, "site") {
		t.Errorf("one that starts: %v", err)
	}
}

// TestEntriesOfSomebodyElse: what somebody adds to a stream by hand keeps nobody from
// adding to it.
func TestEntriesOfSomebodyElse(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	for _, name := range []string{"commits", "log"} {
		t.Run(name, func(t *testing.T) {
			log := new(logtest.Buffer)
			opts := redisq.Options{Prefix: "entries-" + name, Logger: log.Logger()}
			one, two := open(t, client, opts), open(t, client, opts)
			for i, e := range []*redisq.Engine{one, two} {
				do(t, one, arrive(fmt.Sprint("c", i)))
				if err := client.XAdd(ctxOf(t), &redis.XAddArgs{Stream: key(one, name), Values: []string{"some", "thing"}}).Err(); err != nil {
					t.Fatal(err)
				}
				again(t, e, arrive(fmt.Sprint("d", i)))
			}
			if aside := client.Keys(ctxOf(t), key(one, name)+":aside-*").Val(); len(aside) != 2 || !log.Has("as="+aside[0]) {
				t.Errorf("set aside: %q", aside)
			}
			three := open(t, client, opts)
			mustAgree(t, one, two, three)
			last, err := three.LastEvent(ctxOf(t))
			if err != nil || last != 4 {
				t.Errorf("%d events, %v", last, err)
			}
		})
	}
}

// TestDamagedSite: each field of the site's own key, overwritten or taken away while
// daemons run.
func TestDamagedSite(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	for _, field := range []string{"nonce", "turn", "meta", "print", "settings"} {
		for _, value := range []string{"rubbish", ""} {
			t.Run(field+"="+value, func(t *testing.T) {
				opts := redisq.Options{Prefix: "site-" + field + value}
				one, two := open(t, client, opts), open(t, client, opts)
				do(t, one, arrive("c1"))
				do(t, two, arrive("c2"))
				site := key(one, "site")
				if value == "" {
					client.HDel(ctxOf(t), site, field)
				} else {
					client.HSet(ctxOf(t), site, field, value)
				}
				if field == "settings" && value != "" {
					return // nobody reads them as long as their print is the same
				}
				for i, e := range []*redisq.Engine{one, two, open(t, client, opts)} {
					res := again(t, e, arrive(fmt.Sprint("d", i)))
					if want := uint64(3 + i); res.Call.Seq != want {
						t.Errorf("place %d, want %d", res.Call.Seq, want)
					}
				}
			})
		}
	}
}

// TestRubbishEverywhere: in every key at once, of a site with something in all of them.
func TestRubbishEverywhere(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	one, two := open(t, client, redisq.Options{}), open(t, client, redisq.Options{})
	onDuty(t, one, "a1")
	do(t, two, arrive("c1"))
	do(t, one, arrive("c2"))
	rubbish := 0
	for _, k := range one.Keys() {
		switch client.Type(ctxOf(t), k).Val() {
		case "stream":
			client.XAdd(ctxOf(t), &redis.XAddArgs{Stream: k, Values: []string{"some", "thing"}})
		case "hash":
			fields := client.HKeys(ctxOf(t), k).Val()
			if k == key(one, "site") {
				fields = []string{"nonce", "meta", "turn", "print"}
			}
			for _, f := range append(fields, "no field of a daemon") {
				client.HSet(ctxOf(t), k, f, "\x01rubbish")
				rubbish++
			}
		}
	}
	three := open(t, client, redisq.Options{})
	for i, e := range []*redisq.Engine{two, one, three} {
		again(t, e, arrive(fmt.Sprint("d", i)))
	}
	mustAgree(t, one, two, three)
	if n := int(client.HLen(ctxOf(t), key(one, "damaged")).Val()); n < rubbish-5 {
		t.Errorf("%d of %d are set aside", n, rubbish)
	}
	onDuty(t, three, "a1")
	if o := offerOf(t, three, "a1"); o.Call.ID != "d0" {
		t.Errorf("offered %s", o.Call.ID)
	}
}

// TestASiteWithoutAVersion: nobody writes, and everybody says what to do.
func TestASiteWithoutAVersion(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	for name, damage := range map[string]func(ctx context.Context, key string) error{
		"garbage": func(ctx context.Context, key string) error { return client.HSet(ctx, key, "version", "x").Err() },
		"gone":    func(ctx context.Context, key string) error { return client.HDel(ctx, key, "version").Err() },
	} {
		t.Run(name, func(t *testing.T) {
			e := open(t, client, redisq.Options{Prefix: "version-" + name})
			do(t, e, arrive("c1"))
			if err := damage(ctxOf(t), key(e, "site")); err != nil {
				t.Fatal(err)
			}
			if _, err := e.Do(ctxOf(t), arrive("c2")); !errors.Is(err, queue.ErrUnavailable) {
				t.Fatal(err)
			}
			<-e.Failed()
			for _, want := range []string{key(e, "site"), "version", "XREVRANGE " + key(e, "commits")} {
				if !strings.Contains(e.Err().Error(), want) {
					t.Errorf("%q does not name %s", e.Err(), want)
				}
			}
		})
	}
}

// TestAnEmptyRecord is damaged like any other that can't be read.
func TestAnEmptyRecord(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	log := new(logtest.Buffer)
	first := open(t, client, redisq.Options{})
	do(t, first, arrive("c1"))
	client.HSet(ctxOf(t), key(first, "calls"), "1", "")
	open(t, client, redisq.Options{Logger: log.Logger()})
	if aside := client.HGetAll(ctxOf(t), key(first, "damaged")).Val(); len(aside) != 1 || !log.Has("calls 1") {
		t.Errorf("set aside: %q", aside)
	}
	if _, err := first.Call(ctxOf(t), "c1"); !errors.Is(err, queue.ErrCallNotFound) {
		t.Error(err)
	}
}

// TestOpenEnds when its context does, also in the middle of reading a site.
func TestOpenEnds(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	first := open(t, server.Client(), redisq.Options{})
	do(t, first, arrive("c1"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	client := server.Client()
	client.AddHook(&atCommand{name: "hscan", do: cancel})
	if _, err := redisq.Open(ctx, client, queue.DefaultSite("main"), redisq.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// atCommand is a hook that does something before a command is sent.
type atCommand struct {
	name string
	do   func()
}

func (h *atCommand) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *atCommand) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == h.name {
			h.do()
		}
		return next(ctx, cmd)
	}
}

func (h *atCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
