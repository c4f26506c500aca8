package tieringtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

var keepRequests = tiering.KeepRequests{Age: time.Hour, Most: 1000}

func request(id string, hash uint64) tiering.Request {
	return tiering.Request{Kind: "Set", ID: id, Print: hash}
}

// requestsOf returns the Requests of a subject's directory.
func requestsOf(t *testing.T, d tiering.Directory) tiering.Requests {
	t.Helper()
	q, ok := d.(tiering.Requests)
	if !ok {
		t.Skip("the adapter keeps no answers")
	}
	return q
}

func remember(t *testing.T, q tiering.Requests, site string, r tiering.Request, answer string, at instant.Instant) {
	t.Helper()
	if err := q.Remember(context.Background(), site, r, []byte(answer), at, keepRequests); err != nil {
		t.Fatalf("Remember(%+v): %v", r, err)
	}
}

// recalled compares what is kept of a request with want, "-" for nothing.
func recalled(t *testing.T, q tiering.Requests, site string, r tiering.Request, want string, at instant.Instant) {
	t.Helper()
	answer, known, err := q.Recall(context.Background(), site, r, at)
	if got := string(answer); err != nil || known != (want != "-") || known && got != want || !known && got != "" {
		t.Fatalf("Recall(%+v) = %q, %v, %v; want %q", r, answer, known, err, want)
	}
}

func requestsAnswer(t *testing.T, s Subject) {
	q := requestsOf(t, s.Directory)
	long := request(strings.Repeat("}{\x01/ ", 25), 1<<64-1)
	recalled(t, q, site, request("r1", 7), "-", now)
	remember(t, q, site, request("r1", 7), "first\x00", now)
	remember(t, q, site, request("r1", 7), "second", now+1)
	remember(t, q, other, request("r1", 8), "north", now)
	remember(t, q, site, tiering.Request{Kind: "Blacklist", ID: "r1", Print: 9}, "", now)
	remember(t, q, site, long, "long", now)
	must(t, s.Directory, site, forget(li)) // which has nothing to do with it
	for range 2 {
		recalled(t, q, site, request("r1", 7), "first\x00", now+1)
		recalled(t, q, other, request("r1", 8), "north", now+1)
		recalled(t, q, site, tiering.Request{Kind: "Blacklist", ID: "r1", Print: 9}, "", now+1)
		recalled(t, q, site, long, "long", now+1)
		recalled(t, q, site, request("r2", 7), "-", now+1)
		if s.Reopen == nil {
			return
		}
		d := s.Reopen()
		t.Cleanup(func() { _ = d.Close() })
		q, s.Reopen = requestsOf(t, d), nil
	}
}

func requestsReused(t *testing.T, s Subject) {
	q := requestsOf(t, s.Directory)
	remember(t, q, site, request("r1", 7), "first", now)
	remember(t, q, site, request("r1", 8), "other", now) // it came at the same time: what is kept stays
	answer, known, err := q.Recall(context.Background(), site, request("r1", 8), now+1)
	if !errors.Is(err, tiering.ErrRequestReused) || known || len(answer) != 0 {
		t.Fatalf("%q, %v, %v; want ErrRequestReused", answer, known, err)
	}
	if !strings.Contains(err.Error(), `"r1"`) {
		t.Fatalf("the error %q does not name the id", err)
	}
	recalled(t, q, site, request("r1", 7), "first", now+1)
	if _, _, err := q.Recall(context.Background(), "a b", request("r1", 7), now); !errors.Is(err, tiering.ErrSite) {
		t.Errorf("a wrong site: %v", err)
	}
	if err := q.Remember(context.Background(), "a b", request("r1", 7), nil, now, keepRequests); !errors.Is(err, tiering.ErrSite) {
		t.Errorf("a wrong site: %v", err)
	}
}

func requestsEnd(t *testing.T, s Subject) {
	q := requestsOf(t, s.Directory)
	end := now.Add(keepRequests.Age)
	remember(t, q, site, request("r1", 7), "first", now)
	recalled(t, q, site, request("r1", 7), "first", end-1)
	recalled(t, q, site, request("r1", 7), "-", end)
	recalled(t, q, site, request("r1", 8), "-", end)
	remember(t, q, site, request("r1", 8), "anew", end)
	recalled(t, q, site, request("r1", 8), "anew", end+1)
	recalled(t, q, site, request("r1", 8), "-", end.Add(keepRequests.Age))
}

func requestsAtOnce(t *testing.T, s Subject) {
	q := requestsOf(t, s.Directory)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 10 {
				if err := q.Remember(context.Background(), site, request(fmt.Sprint(i), 1), fmt.Append(nil, g), now, keepRequests); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range 10 {
		r := request(fmt.Sprint(i), 1)
		first, known, err := q.Recall(context.Background(), site, r, now)
		if err != nil || !known || len(first) != 1 {
			t.Fatalf("%q, %v, %v", first, known, err)
		}
		remember(t, q, site, r, "later", now)
		recalled(t, q, site, r, string(first), now)
	}
}
