package redisq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
)

// TestALongReconcile: a long list is added, closed and remembered as one.
func TestALongReconcile(t *testing.T) {
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := context.Background()
	e, err := Open(ctx, client, queue.DefaultSite("main"), Options{NoTimers: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(ctx)
	const n = 500
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
	e.heardNow(e.Now() + 1) // those that joined in this very instant are newer than the list
	res, err := e.Do(ctx, &queue.Reconcile{Switch: "s1"})
	if err != nil || res.Closed != n {
		t.Errorf("closed %d, %v", res.Closed, err)
	}
}

// TestManyTimersAtOnce: what becomes due at one instant fires in the usual order,
// whatever is asked meanwhile, and no commit fires more than its share.
func TestManyTimersAtOnce(t *testing.T) {
	const n, most = 500, 64
	client := redistest.Start(t, redistest.Options{}).Client()
	ctx := context.Background()
	var now atomic.Int64
	now.Store(time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC).UnixMilli())
	site := queue.DefaultSite("main")
	e, err := Open(ctx, client, site, Options{
		NoTimers: true, Now: func() time.Time { return time.UnixMilli(now.Load()) },
	}.FiringAtMost(most))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(ctx)
	all := &queue.Reconcile{Switch: "s1"}
	for i := range n {
		all.Calls = append(all.Calls, queue.Live{Arrive: queue.Arrive{Call: fmt.Sprint("c", i)}})
	}
	if _, err := e.Do(ctx, all); err != nil {
		t.Fatal(err)
	}
	before, err := e.LastEvent(ctx)
	if err != nil {
		t.Fatal(err)
	}
	now.Add(site.Queues[0].Threshold.Milliseconds() + 1)
	if _, err := e.Do(ctx, &queue.Arrive{Call: "new", Switch: "s1"}); err != nil {
		t.Fatal(err)
	}
	entries, err := client.XRange(ctx, e.keys[keyLog], entryID(before+1), "+").Result()
	if err != nil || len(entries) != n/most+1 {
		t.Errorf("%d commits, want %d: %v", len(entries), n/most+1, err)
	}
	at := before
	for _, ev := range e.eventsOf(entries, before, before+n+1) {
		if at++; ev.Seq != at {
			t.Fatalf("event %d, want %d", ev.Seq, at)
		}
		if want := fmt.Sprint("c", at-before-1); at <= before+n && (ev.Type != queue.EventCallLate || ev.Call != want) {
			t.Fatalf("%s of %s, want %s to be late", ev.Type, ev.Call, want)
		}
	}
	if want := before + n + 1; at != want {
		t.Errorf("%d events, want %d", at, want)
	}
}

// TestAReplyToSomebodyElse: a reply that does not repeat the nonce is nobody's.
func TestAReplyToSomebodyElse(t *testing.T) {
	for name, tc := range map[string]struct {
		list  []any
		mixed bool
	}{
		"its own":         {[]any{"OK", "n1"}, false},
		"with more":       {[]any{"WAIT", "n1", int64(3)}, false},
		"another's":       {[]any{"OK", "n2"}, true},
		"no nonce":        {[]any{"OK"}, true},
		"no status":       {[]any{int64(1), "n1"}, true},
		"nothing at all":  {nil, true},
		"of another kind": {[]any{"OK", int64(1)}, true},
	} {
		if _, err := replyOf(tc.list, "n1"); errors.Is(err, errMixedUp) != tc.mixed {
			t.Errorf("%s: %v", name, err)
		}
	}
}
