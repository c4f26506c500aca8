package tieringtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"greenlane/tiering"
)

// RunRatings runs the suite of tiering.Ratings. open returns an empty one, and
// reopen what another process would see of its store.
func RunRatings(t *testing.T, open func(t *testing.T) (r tiering.Ratings, reopen func() tiering.Ratings)) {
	const month = tiering.Month(2026*12 + 10)
	rate := func(t *testing.T, r tiering.Ratings, site string, n tiering.Number, id string, score int) tiering.Satisfaction {
		t.Helper()
		s, err := r.UpdateRatings(context.Background(), site, n, func(s tiering.Satisfaction) tiering.Satisfaction {
			s, _ = s.Rate(tiering.Rating{ID: tiering.RatingID(id), Score: score, Month: month}, month)
			return s
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	all := func(t *testing.T, r tiering.Ratings, site string, limit int) map[tiering.Number]tiering.Satisfaction {
		t.Helper()
		found := map[tiering.Number]tiering.Satisfaction{}
		for cursor, pages := tiering.Cursor(""), 0; ; pages++ {
			page, next, err := r.WalkRatings(context.Background(), site, cursor, limit)
			if err != nil || pages > 10_000 {
				t.Fatal(err, pages)
			}
			for _, x := range page {
				found[x.Number] = x.Satisfaction
			}
			if cursor = next; next == "" {
				return found
			}
		}
	}
	t.Run("what is rated is kept, by site and number", func(t *testing.T) {
		r, reopen := open(t)
		if got := all(t, r, site, 10); len(got) != 0 {
			t.Fatalf("an empty store has %v", got)
		}
		rate(t, r, site, li, "a", 5)
		two := rate(t, r, site, li, "b", 2)
		rate(t, r, other, li, "a", 1)
		far := rate(t, r, site, "8001", "", 3)
		if again := rate(t, r, site, li, "b", 2); again != two {
			t.Errorf("a repetition made %+v of %+v", again, two)
		}
		if two.Months[0] != (tiering.MonthRatings{Month: month, Sum: 7, Count: 2}) {
			t.Errorf("%+v", two)
		}
		for range 2 {
			if got := all(t, r, site, 1); len(got) != 2 || got[li] != two || got["8001"] != far {
				t.Errorf("%+v", got)
			}
			if got := all(t, r, other, 1); len(got) != 1 || got[li].Months[0].Sum != 1 {
				t.Errorf("%+v", got)
			}
			r = reopen()
		}
	})
	t.Run("zero removes", func(t *testing.T) {
		r, _ := open(t)
		rate(t, r, site, li, "a", 5)
		for range 2 {
			s, err := r.UpdateRatings(context.Background(), site, li, func(tiering.Satisfaction) tiering.Satisfaction { return tiering.Satisfaction{} })
			if got := all(t, r, site, 10); err != nil || s != (tiering.Satisfaction{}) || len(got) != 0 {
				t.Errorf("%+v, %v, %+v", s, err, got)
			}
		}
	})
	t.Run("walk: every one, whatever the page", func(t *testing.T) {
		r, _ := open(t)
		for i := range 300 {
			rate(t, r, site, number(i), fmt.Sprint(i), i%5+1)
		}
		for _, limit := range []int{0, 7, 100_000} {
			if got := all(t, r, site, limit); len(got) != 300 {
				t.Errorf("limit %d: %d callers", limit, len(got))
			}
		}
		if _, _, err := r.WalkRatings(context.Background(), site, "no cursor", 10); !errors.Is(err, tiering.ErrCursor) {
			t.Errorf("a wrong cursor: %v", err)
		}
	})
	t.Run("many at once lose nothing", func(t *testing.T) {
		r, _ := open(t)
		var raters sync.WaitGroup
		for g := range 4 {
			raters.Go(func() {
				for i := range 8 {
					_, err := r.UpdateRatings(context.Background(), site, li, func(s tiering.Satisfaction) tiering.Satisfaction {
						s, _ = s.Rate(tiering.Rating{ID: tiering.RatingID(fmt.Sprint(g, " ", i)), Score: 3, Month: month}, month)
						return s
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		raters.Wait()
		if got := all(t, r, site, 10)[li].Months[0]; got.Count != 32 || got.Sum != 96 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("wrong arguments", func(t *testing.T) {
		r, _ := open(t)
		keep := func(s tiering.Satisfaction) tiering.Satisfaction { return s }
		if _, err := r.UpdateRatings(context.Background(), "no site", li, keep); !errors.Is(err, tiering.ErrSite) {
			t.Error(err)
		}
		if _, err := r.UpdateRatings(context.Background(), site, "x", keep); !errors.Is(err, tiering.ErrNumber) {
			t.Error(err)
		}
		if _, _, err := r.WalkRatings(context.Background(), "no site", "", 1); !errors.Is(err, tiering.ErrSite) {
			t.Error(err)
		}
		done, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := r.UpdateRatings(done, site, li, keep); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
