package tieringtest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"greenlane/tiering"
)

func walkAll(t *testing.T, s Subject) {
	d := s.Directory
	if found := walk(t, d, site, 10); len(found) != 0 {
		t.Fatalf("an empty site has %v", found)
	}
	const size = 257
	want := map[tiering.Number]tiering.Entry{}
	cs := make([]tiering.Change, size)
	for i := range cs {
		cs[i] = set(number(i*i), tiering.Tiers[i%len(tiering.Tiers)])
	}
	for i, r := range mustBatch(t, d, site, cs) {
		want[cs[i].Number] = r.Entry
	}
	must(t, d, other, set(han, tiering.VIP))
	for _, limit := range []int{-1, 0, 1, 2, 100, size, size + 1, 1 << 30} {
		found := walk(t, d, site, limit)
		if len(found) != size {
			t.Fatalf("in pages of %d, %d of %d entries are found", limit, len(found), size)
		}
		for n, e := range want {
			if !same(found[n], e) {
				t.Fatalf("in pages of %d, %s is %+v, want %+v", limit, n, found[n], e)
			}
		}
	}
}

func walkWhileChanging(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	const size = 100
	for i := range size {
		must(t, d, site, set(number(i), tiering.VIP))
	}
	stay := map[tiering.Number]bool{}
	for i := 1; i < size; i += 2 {
		stay[number(i)] = true
	}
	for cursor, page := tiering.Cursor(""), 0; ; page++ {
		items, next, err := d.Walk(ctx, site, cursor, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range items {
			delete(stay, item.Number)
			if strings.HasSuffix(string(item.Number), "0") { // one of those that may go, perhaps the cursor's own
				must(t, d, site, forget(item.Number))
			}
		}
		must(t, d, site, set(number(1000+page%50), tiering.Mid))
		if next == "" {
			break
		}
		if cursor = next; page > 10*size {
			t.Fatal("the walk does not end")
		}
	}
	if len(stay) > 0 {
		t.Fatalf("%d entries that were there all the time were not found: %v", len(stay), stay)
	}
}

func walkWrongCursor(t *testing.T, s Subject) {
	must(t, s.Directory, site, set(li, tiering.VIP))
	items, next, err := s.Directory.Walk(context.Background(), site, "no cursor \x00", 10)
	if !errors.Is(err, tiering.ErrCursor) || len(items) != 0 || next != "" {
		t.Fatalf("%v, %q, %v; want ErrCursor", items, next, err)
	}
}

func count(t *testing.T, s Subject) {
	d := s.Directory
	counted(t, d, site, nil)
	must(t, d, site, set(number(1), tiering.VIP))
	must(t, d, site, set(number(2), tiering.VIP))
	must(t, d, site, set(number(3), tiering.Ordinary))
	lapsed := set(number(4), tiering.Mid)
	lapsed.Ends = now - 1
	must(t, d, site, lapsed)
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 2, tiering.Ordinary: 1, tiering.Mid: 1})
	must(t, d, site, set(number(1), tiering.VIP))
	must(t, d, site, set(number(2), tiering.Blacklist))
	must(t, d, site, forget(number(3)))
	must(t, d, site, forget(number(3)))
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1, tiering.Blacklist: 1, tiering.Mid: 1})
}

// hearer collects what a subscriber is told.
type hearer struct {
	mu    sync.Mutex
	heard []tiering.Item
	sites []string
}

func (h *hearer) hear(site string, n tiering.Number, e tiering.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, tiering.Item{Number: n, Entry: e})
	h.sites = append(h.sites, site)
}

// take returns what was heard since the last take.
func (h *hearer) take() (items []tiering.Item, sites []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	items, sites = h.heard, h.sites
	h.heard, h.sites = nil, nil
	return items, sites
}

// told fails unless the last word about n is want; calls may come twice.
func (h *hearer) told(t *testing.T, at string, n tiering.Number, want tiering.Entry) {
	t.Helper()
	items, sites := h.take()
	for i := len(items) - 1; i >= 0; i-- {
		if items[i].Number == n && sites[i] == at {
			if !same(items[i].Entry, want) {
				t.Fatalf("the subscriber was last told %+v, want %+v", items[i].Entry, want)
			}
			return
		}
	}
	t.Fatalf("when Set returned the subscriber had not been told of %s at %s; it heard %v", n, at, items)
}

func subscribe(t *testing.T, s Subject) {
	d := s.Directory
	var h hearer
	defer d.Subscribe(h.hear)()
	h.told1(t, d, site, set(li, tiering.Mid))
	h.told1(t, d, site, grade(li, tiering.VIP))
	h.told1(t, d, site, set(li, tiering.Blacklist))
	ends := set(li, tiering.Blacklist)
	ends.Ends = now + 5000
	h.told1(t, d, site, ends)
	h.told1(t, d, site, tiering.Change{Number: li, Op: tiering.OpPardon, At: now})
	h.told1(t, d, other, set(li, tiering.Mid))
	h.told1(t, d, site, forget(li))
	if _, err := d.Set(context.Background(), site, set(li, tiering.TierUnset)); err == nil {
		t.Fatal("a change without a tier was made")
	}
	if items, _ := h.take(); len(items) != 0 {
		t.Fatalf("the subscriber was told %v of a change that was refused", items)
	}
}

func (h *hearer) told1(t *testing.T, d tiering.Directory, at string, c tiering.Change) {
	t.Helper()
	h.told(t, at, c.Number, must(t, d, at, c))
}

func subscribeOrder(t *testing.T, s Subject) {
	d := s.Directory
	var first, second hearer
	cancelFirst, cancelSecond := d.Subscribe(first.hear), d.Subscribe(second.hear)
	defer cancelSecond()
	cs := []tiering.Change{
		set(li, tiering.VIP), set(han, tiering.VIP), set(li, tiering.Mid), set(li, tiering.Blacklist), forget(han),
	}
	mustBatch(t, d, site, cs)
	for _, h := range []*hearer{&first, &second} {
		items, _ := h.take()
		var tiers []tiering.Tier
		for _, item := range items {
			if tier := item.Entry.Stored(); item.Number == li && (len(tiers) == 0 || tiers[len(tiers)-1] != tier) {
				tiers = append(tiers, tier)
			}
		}
		if len(tiers) == 0 || tiers[len(tiers)-1] != tiering.Blacklist {
			t.Fatalf("the changes of one number were heard as %v", tiers)
		}
		for i := 1; i < len(tiers); i++ {
			if tiers[i] < tiers[i-1] { // they were made best first
				t.Fatalf("the changes of one number were heard as %v", tiers)
			}
		}
	}
	cancelFirst()
	cancelFirst()
	second.told1(t, d, site, set(li, tiering.VIP))
	if items, _ := first.take(); len(items) != 0 {
		t.Fatalf("after cancel the subscriber was told %v", items)
	}
}

func manyGoroutines(t *testing.T, s Subject) {
	d, ctx := s.Directory, context.Background()
	const workers, rounds = 8, 20
	var h hearer
	defer d.Subscribe(h.hear)()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				mine, shared := number(100*w+i), number(5000+i)
				for _, c := range []tiering.Change{set(mine, tiering.VIP), set(shared, tiering.Mid)} {
					if _, err := d.Set(ctx, site, c); err != nil {
						t.Error(err)
					}
				}
				if e, known, err := d.Lookup(ctx, site, mine); err != nil || !known || e.Stored() != tiering.VIP {
					t.Errorf("%+v, %v, %v", e, known, err)
				}
				if _, _, err := d.Walk(ctx, site, "", 10); err != nil {
					t.Error(err)
				}
				d.Subscribe(func(string, tiering.Number, tiering.Entry) {})()
			}
		})
	}
	wg.Wait()
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: workers * rounds, tiering.Mid: rounds})
}

func closing(t *testing.T, s Subject) {
	d := s.Directory
	must(t, d, site, set(li, tiering.VIP))
	cancel := d.Subscribe(func(string, tiering.Number, tiering.Entry) {})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { // whatever is under way ends well or as closed
			for j := range 50 {
				if _, err := d.Set(context.Background(), site, set(number(100*i+j), tiering.Mid)); err != nil {
					if !errors.Is(err, tiering.ErrClosed) {
						t.Errorf("Set beside Close: %v", err)
					}
					return
				}
			}
		})
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	wg.Wait()
	everyMethod(context.Background(), t, d, tiering.ErrClosed)
	cancel()
	d.Subscribe(func(string, tiering.Number, tiering.Entry) {})()
}

func reopen(t *testing.T, s Subject) {
	if s.Reopen == nil {
		t.Skip("the adapter cannot be reopened")
	}
	cs := []tiering.Change{
		set(number(1), tiering.VIP), set(number(2), tiering.Mid), set(number(2), tiering.Blacklist), set(number(3), tiering.Mid),
		forget(number(3)), grade("8001", tiering.Ordinary),
	}
	cs[0].Note, cs[0].Flags, cs[0].Ends = "why", 7, now+1
	want := map[tiering.Number]tiering.Entry{}
	for _, c := range cs {
		want[c.Number] = must(t, s.Directory, site, c)
	}
	d := s.Reopen()
	t.Cleanup(func() { _ = d.Close() })
	for n, e := range want {
		find(t, d, site, n, e)
	}
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1, tiering.Blacklist: 1, tiering.Ordinary: 1})
}

func unreadableLookup(t *testing.T, s Subject) {
	if s.Corrupt == nil {
		t.Skip("the adapter cannot be corrupted")
	}
	d := s.Directory
	must(t, d, site, set(li, tiering.VIP))
	good := must(t, d, site, set(han, tiering.VIP))
	s.Corrupt(site, li)
	e, known, err := d.Lookup(context.Background(), site, li)
	if !errors.Is(err, tiering.ErrCorrupt) || known || e != (tiering.Entry{}) {
		t.Fatalf("%+v, %v, %v; want ErrCorrupt", e, known, err)
	}
	if text := err.Error(); strings.Contains(text, string(li)) || !strings.Contains(text, li.Masked()) {
		t.Fatalf("the error %q does not name the number masked", text)
	}
	find(t, d, site, li, tiering.Entry{})
	find(t, d, site, han, good)
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1})
	find(t, d, site, li, must(t, d, site, set(li, tiering.Mid)))
}

func unreadableWalk(t *testing.T, s Subject) {
	if s.Corrupt == nil {
		t.Skip("the adapter cannot be corrupted")
	}
	d := s.Directory
	for i := range 10 {
		must(t, d, site, set(number(i), tiering.Mid))
	}
	s.Corrupt(site, number(0))
	s.Corrupt(site, number(5))
	found, faults := map[tiering.Number]bool{}, 0
	for cursor := tiering.Cursor(""); ; {
		items, next, err := d.Walk(context.Background(), site, cursor, 3)
		if err != nil && !errors.Is(err, tiering.ErrCorrupt) {
			t.Fatal(err)
		} else if err != nil {
			faults++
		}
		for _, item := range items {
			found[item.Number] = true
		}
		if cursor = next; next == "" {
			break
		}
	}
	if len(found) != 8 || found[number(0)] || found[number(5)] || faults == 0 {
		t.Fatalf("%d pages had faults, found were %v", faults, found)
	}
	counted(t, d, site, map[tiering.Tier]int64{tiering.Mid: 8})
}

func unreadableSet(t *testing.T, s Subject) {
	if s.Corrupt == nil {
		t.Skip("the adapter cannot be corrupted")
	}
	d := s.Directory
	must(t, d, site, set(li, tiering.Blacklist))
	s.Corrupt(site, li)
	e := must(t, d, site, grade(li, tiering.VIP))
	if got := e.At(now).Tier; got != tiering.VIP {
		t.Fatalf("set over an unreadable entry, the caller is %v", got)
	}
	find(t, d, site, li, e)
	counted(t, d, site, map[tiering.Tier]int64{tiering.VIP: 1})
}

// unreadableErased: what was set aside of a caller goes, and nobody else's.
func unreadableErased(t *testing.T, s Subject) {
	q, ok := s.Directory.(tiering.Quarantine)
	if s.Corrupt == nil || !ok {
		t.Skip("the adapter sets nothing aside")
	}
	d, ctx := s.Directory, context.Background()
	aside := func(n tiering.Number, times int) {
		t.Helper()
		for range times {
			c := set(n, tiering.VIP)
			c.Note = strings.Repeat("n", tiering.MaxNoteBytes)
			must(t, d, site, c)
			s.Corrupt(site, n)
			if _, _, err := d.Lookup(ctx, site, n); !errors.Is(err, tiering.ErrCorrupt) {
				t.Fatal(err)
			}
		}
	}
	erase := func(n tiering.Number, want int) {
		t.Helper()
		if got, err := q.EraseAside(ctx, site, n); err != nil || got != want {
			t.Fatalf("%d values of %s were removed, %v; want %d", got, n, err, want)
		}
	}
	aside(li, 2)
	aside(han, 1)
	aside("8001", 1)
	now := must(t, d, site, set(li, tiering.Mid))
	erase(li, 2)
	find(t, d, site, li, now)
	erase(li, 0)
	erase("8001", 1)
	must(t, d, site, forget(han)) // which does the same
	erase(han, 0)
	s.Corrupt(site, li)
	must(t, d, site, forget(li)) // before anybody has found out
	erase(li, 0)
	if _, err := q.EraseAside(ctx, site, "x"); !errors.Is(err, tiering.ErrNumber) {
		t.Errorf("a wrong number: %v", err)
	}
	if _, err := q.EraseAside(ctx, "a b", li); !errors.Is(err, tiering.ErrSite) {
		t.Errorf("a wrong site: %v", err)
	}
	counted(t, d, site, nil)
}

func storeAway(t *testing.T, s Subject) {
	if s.Cut == nil {
		t.Skip("the adapter's store cannot go away")
	}
	before := must(t, s.Directory, site, set(li, tiering.VIP))
	d, mend := s.Cut()
	everyMethod(context.Background(), t, d, tiering.ErrUnavailable)
	mend()
	var err error
	for deadline := time.Now().Add(time.Minute); ; { // it may give up soon
		if _, _, err = d.Lookup(context.Background(), site, li); !errors.Is(err, tiering.ErrUnavailable) || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Fatalf("it does not come back: %v", err)
	}
	find(t, s.Directory, site, li, before)
	find(t, s.Directory, site, han, must(t, s.Directory, site, set(han, tiering.Mid)))
}
