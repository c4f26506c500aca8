package redisq

import (
	"context"
	"errors"
	"fmt"
	"testing"

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
