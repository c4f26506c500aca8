package redisq

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/queue"
)

// TestALongReconcile: a list that goes in parts is added, kept, closed and
// remembered as one.
func TestALongReconcile(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := context.Background()
	e, err := Open(ctx, client, queue.DefaultSite("main"), Options{NoTimers: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(ctx)
	const n = 3*reconcileStep + 5
	all := &queue.Reconcile{Request: queue.Request{ID: "r1", Print: 1}, Switch: "s1"}
	for i := range n {
		all.Calls = append(all.Calls, queue.Live{Arrive: queue.Arrive{Call: fmt.Sprint("c", i)}})
	}
	for _, want := range []bool{false, true} {
		res, err := e.Do(ctx, all)
		if err != nil || res.Added != n || len(res.Items) != n || res.Duplicate != want {
			t.Fatalf("added %d, %d items, duplicate %v, %v", res.Added, len(res.Items), res.Duplicate, err)
		}
		for i, item := range res.Items {
			if item.Call != all.Calls[i].Call || item.Outcome == queue.OutcomeFailed {
				t.Fatalf("item %d: %+v", i, item)
			}
		}
	}
	now := e.Now() + 1
	e.latest.Store(int64(now)) // those that joined in this very instant are newer than the list
	res, err := e.Do(ctx, &queue.Reconcile{Switch: "s1"})
	if err != nil || res.Closed != n {
		t.Errorf("closed %d, %v", res.Closed, err)
	}
}

// TestAReplyToSomebodyElse: a reply that does not repeat the nonce is nobody's, and
// neither is any reply after it.
func TestAReplyToSomebodyElse(t *testing.T) {
	one, two := &run{script: &script{}, nonce: "n1"}, &run{script: &script{}, nonce: "n2"}
	answer := func(nonce string) []any { return []any{"OK", nonce, int64(1), int64(0), int64(7), "", []any{}} }
	for _, tc := range []struct {
		name    string
		replies []any
		mixed   bool
	}{
		{"their own", []any{answer("n1"), answer("n2")}, false},
		{"one twice", []any{answer("n1"), answer("n1")}, true},
		{"one too few", []any{answer("n1")}, true},
		{"no reply at all", []any{answer("n1"), "OK"}, true},
	} {
		cmd := redis.NewCmd(context.Background())
		cmd.SetVal(tc.replies)
		s := &shipment{script: &script{}, runs: []*run{one, two}, cmd: cmd}
		if mixed := s.take(); mixed != tc.mixed || errors.Is(two.err, errMixedUp) != tc.mixed {
			t.Errorf("%s: mixed up %v, %v", tc.name, mixed, two.err)
		}
	}
}

// TestARunThatHasNoTime: a batch that may decide only one command leaves the others
// to the next one, and each of them happens once.
func TestARunThatHasNoTime(t *testing.T) {
	budget, was := constants["RUN_BUDGET"], scripts
	defer func() { constants["RUN_BUDGET"], scripts = budget, was }()
	constants["RUN_BUDGET"] = "-1"
	hurried, err := assembleAll(sources)
	if err != nil {
		t.Fatal(err)
	}
	scripts = func() map[string]*script { return hurried }
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := context.Background()
	e, err := Open(ctx, client, queue.DefaultSite("main"), Options{NoTimers: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(ctx)
	const n = 40
	var batch []*run
	for i := range n {
		s, args, err := e.argsOf(&queue.Arrive{Call: fmt.Sprint("c", i), Switch: "s1"})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, e.newRun(s, e.Now(), append([]any{"", "0"}, args...)...))
	}
	e.exchange(batch)
	for i, r := range batch {
		if r.err != nil || r.reply.status != "OK" {
			t.Fatalf("%d: %q, %v", i, r.reply.status, r.err)
		}
	}
	if now := e.together.Load(); now > 3 {
		t.Errorf("%d commands are still given to a batch that decides one", now)
	}
	if there, err := client.HLen(ctx, e.keys[keyCalls]).Result(); err != nil || there != n {
		t.Errorf("%d calls are there, %v; want %d", there, err, n)
	}
}
