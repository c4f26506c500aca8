package redisq

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
)

var update = flag.Bool("update", false, "write lua/usual.txt anew")

var parameters = regexp.MustCompile(`^function\([^)]*\)`)

// TestUsualFunctions finds out which functions the scripts call as a rule, and
// compares them with those that lua/usual.txt has made at once.
func TestUsualFunctions(t *testing.T) {
	lib, err := readLibrary(sources)
	if err != nil {
		t.Fatal(err)
	}
	for f, code := range lib.funcs {
		lib.funcs[f] = parameters.ReplaceAllString(code, "$0 call('HSET', 'trace', '"+f+"', 1) ")
	}
	was := scripts
	defer func() { scripts = was }()
	traced, err := assembleWith(sources, lib)
	scripts = func() map[string]*script { return traced }
	if err != nil {
		t.Fatal(err)
	}
	called := traceUsual(t)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(called)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(slices.Sorted(maps.Keys(called[name])), " "))
	}
	if *update {
		if err := os.WriteFile(usualFile, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text, err := sources.ReadFile(usualFile); err != nil || string(text) != b.String() {
		t.Errorf("%s is not what the scripts call: run this test with -update\n%s", usualFile, b.String())
	}
}

// traceUsual gives the commands of an ordinary day and returns which functions
// each script called.
func traceUsual(t *testing.T) map[string]map[string]bool {
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := context.Background()
	site := queue.DefaultSite("main")
	site.Queues = append(site.Queues, queue.DefaultQueue("second"))
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	e, err := Open(ctx, client, site, Options{NoTimers: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(ctx)
	called := map[string]map[string]bool{}
	do := func(name string, cmd queue.Command) queue.Result {
		t.Helper()
		client.Del(ctx, "trace")
		res, err := e.Do(ctx, cmd)
		if err != nil {
			t.Fatal(err)
		}
		if called[name] == nil {
			called[name] = map[string]bool{}
		}
		for f := range client.HGetAll(ctx, "trace").Val() {
			called[name][f] = true
		}
		return res
	}
	life := func(call string, agent string, presence queue.Presence, first bool) {
		arrive := &queue.Arrive{Request: queue.Request{ID: call}, Call: call, Switch: "s1", Caller: "+8613800000001"}
		attach := &queue.Attach{Agent: agent, Owner: "d1", Token: call, Presence: presence}
		if first {
			do("arrive", arrive)
			do("attach", attach)
		} else {
			do("attach", attach)
			do("arrive", arrive)
		}
		_, offer, err := e.Agent(ctx, agent)
		if err != nil || offer == nil {
			t.Fatalf("no offer: %v", err)
		}
		if presence == queue.PresentStream {
			do("acknowledge", &queue.Acknowledge{Request: queue.Request{ID: call}, Agent: agent, Offer: offer.Epoch})
		}
		do("accept", &queue.Accept{Request: queue.Request{ID: call}, Agent: agent, Offer: offer.Epoch})
		do("complete", &queue.Complete{Request: queue.Request{ID: call}, Agent: agent, Call: call})
	}
	for _, a := range []string{"a1", "a2"} {
		do("sign_in", &queue.SignIn{Request: queue.Request{ID: a}, Agent: a, Services: []queue.Service{{Queue: "default", Level: 1}}})
	}
	life("c1", "a1", queue.PresentPoll, true)
	life("c2", "a1", queue.PresentPoll, false)
	do("renew_owner", &queue.RenewOwner{Owner: "d1"})
	life("c3", "a2", queue.PresentStream, false)
	do("arrive", &queue.Arrive{Call: "c4", Switch: "s1", Caller: "+8613800000001"})
	do("hang_up", &queue.Abandon{Call: "c4", Switch: "s1"})
	do("set_state", &queue.SetState{Agent: "a2", State: queue.AgentNotReady, Reason: "lunch"})
	do("set_state", &queue.SetState{Agent: "a2", State: queue.AgentReady})
	do("detach", &queue.Detach{Agent: "a2", Token: "c3"})
	do("arrive", &queue.Arrive{Call: "c5", Switch: "s1", Caller: "+8613800000001"})
	do("hang_up", &queue.End{Call: "c5", Switch: "s1"})
	// An agent of several queues, and what is done with every so many calls or offers.
	do("sign_in", &queue.SignIn{Agent: "a3", Services: []queue.Service{{Queue: "default", Level: 1}, {Queue: "second", Level: 2}}})
	do("arrive", &queue.Arrive{Call: "e1", Switch: "s1", Queue: "second"})
	for i := range 2 * offersTrim {
		life(fmt.Sprint("d", i), "a3", queue.PresentPoll, true)
	}
	now = now.Add(time.Second)
	do("tick", &queue.Tick{})
	return called
}
