package web

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/feed"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/queuetest"
	"greenlane/tiering"
)

const patience = time.Minute

// counted counts what is asked of an engine.
type counted struct {
	*queuetest.Memory
	snapshots atomic.Int64
	away      atomic.Bool
	refused   chan struct{} // has a value when a question was refused
}

func (c *counted) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	c.snapshots.Add(1)
	if c.away.Load() {
		select {
		case c.refused <- struct{}{}:
		default:
		}
		return nil, queue.ErrUnavailable
	}
	return c.Memory.Snapshot(ctx)
}

type rig struct {
	t        *testing.T
	engine   *counted
	clock    *queuetest.Clock
	server   *Server
	http     *httptest.Server
	stopping chan struct{}
	calls    int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	site := queue.DefaultSite("main")
	site.ShortAbandon = 0
	clock := queuetest.NewClock(time.Date(2026, 3, 2, 9, 7, 0, 0, site.Zone))
	memory, err := queuetest.NewMemory(site, clock)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, engine: &counted{Memory: memory, refused: make(chan struct{}, 1)}, clock: clock, stopping: make(chan struct{})}
	f := feed.New(r.engine, feed.Options{})
	if err := f.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	r.server, err = New(Options{
		Sites: []Site{{Config: site, Engine: r.engine, Feed: f}}, API: api, APIPrefix: "/test.", Version: "v1", Stopping: r.stopping,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.http = httptest.NewServer(r.server)
	t.Cleanup(func() {
		r.stop()
		r.http.Close()
		r.server.Wait()
		f.Stop()
		if err := r.engine.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) stop() {
	select {
	case <-r.stopping:
	default:
		close(r.stopping)
	}
}

func (r *rig) arrive() {
	r.t.Helper()
	r.calls++
	_, err := r.engine.Do(context.Background(), &queue.Arrive{Call: fmt.Sprint("c", r.calls), Switch: "s", Queue: "default", Tier: tiering.Ordinary})
	if err != nil {
		r.t.Fatal(err)
	}
}

// wall is an open wallboard.
type wall struct {
	t   *testing.T
	res *http.Response
	raw io.Reader
	in  *bufio.Reader
}

func (r *rig) open(encoding string) *wall {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.http.URL+"/wallboard/stream", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", encoding)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || res.StatusCode != http.StatusOK {
		r.t.Fatal(res, err)
	}
	w := &wall{t: r.t, res: res, raw: res.Body}
	r.t.Cleanup(func() { res.Body.Close() })
	if res.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(res.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		w.raw = z
	}
	w.in = bufio.NewReader(w.raw)
	return w
}

// next returns the next event.
func (w *wall) next() (event, data string, err error) {
	for {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return "", "", err
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "":
			return event, data, nil
		case strings.HasPrefix(line, "event: "):
			event = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: "):
			data = strings.TrimPrefix(line, "data: ")
		}
	}
}

// until reads snapshots until one is wanted.
func (w *wall) until(wanted func(*figures) bool) *figures {
	w.t.Helper()
	for {
		event, data, err := w.next()
		if err != nil {
			w.t.Fatal(err)
		}
		if event != "snapshot" {
			continue
		}
		f := new(figures)
		if err := json.Unmarshal([]byte(data), f); err != nil {
			w.t.Fatalf("%v in %s", err, data)
		}
		if wanted(f) {
			return f
		}
	}
}

func waiting(n int) func(*figures) bool {
	return func(f *figures) bool { return f.Queues[0].Tiers[2].Waiting == n }
}

func TestAStreamBeginsWithWhatThereIsAndTellsWhatChanges(t *testing.T) {
	for _, encoding := range []string{"identity", "gzip"} {
		t.Run(encoding, func(t *testing.T) {
			r := newRig(t)
			r.arrive()
			r.clock.Advance(7 * time.Second)
			w := r.open(encoding)
			event, data, err := w.next()
			if want := fmt.Sprintf(`"now":%d`, instant.Of(r.clock.Now())); err != nil || event != "hello" || !strings.Contains(data, want) || !strings.Contains(data, `"version":"v1"`) {
				t.Fatalf("%s %s %v", event, data, err)
			}
			f := w.until(waiting(1))
			tier := f.Queues[0].Tiers[2]
			if tier.Tier != "ordinary" || f.At.Sub(tier.Oldest) != 7*time.Second || *tier.Target != 0.85 || tier.Level != nil {
				t.Errorf("%+v", tier)
			}
			r.arrive()
			if f := w.until(waiting(2)); f.Tiers[2].Waiting != 2 || f.Seq == 0 {
				t.Errorf("%+v", f)
			}
			// When the daemon stops, the stream ends as its encoding asks for.
			r.stop()
			if rest, err := io.ReadAll(w.in); err != nil {
				t.Errorf("ended with %v after %q", err, rest)
			}
		})
	}
}

// TestWallboardsShareTheirFigures: whatever the number of wallboards and changes,
// the engine is asked a few times.
func TestWallboardsShareTheirFigures(t *testing.T) {
	r := newRig(t)
	walls := make([]*wall, 50)
	for i := range walls {
		walls[i] = r.open("gzip")
		walls[i].until(func(*figures) bool { return true })
	}
	before := r.engine.snapshots.Load()
	began := time.Now()
	for range 500 {
		r.arrive()
	}
	for _, w := range walls {
		w.until(waiting(500))
	}
	asked, most := r.engine.snapshots.Load()-before, int64(time.Since(began)/leastPause)+2
	if asked == 0 || asked > most {
		t.Errorf("the engine was asked %d times for 50 wallboards and 500 changes, more than %d", asked, most)
	}
}

func TestNobodyReadsNothingIsAsked(t *testing.T) {
	r := newRig(t)
	w := r.open("gzip")
	w.until(func(*figures) bool { return true })
	w.res.Body.Close()
	r.server.Wait() // the worker ends by itself
	before := r.engine.snapshots.Load()
	r.arrive()
	if n := r.engine.snapshots.Load() - before; n != 0 || r.server.Readers() != 0 {
		t.Errorf("asked %d times for %d readers", n, r.server.Readers())
	}
	r.open("gzip").until(waiting(1)) // and it begins anew
}

func TestAnEngineThatIsAwayComesBack(t *testing.T) {
	r := newRig(t)
	w := r.open("gzip")
	w.until(func(*figures) bool { return true })
	r.engine.away.Store(true)
	r.arrive()
	select {
	case <-r.engine.refused:
	case <-time.After(patience):
		t.Fatal("the engine was not asked")
	}
	r.engine.away.Store(false)
	w.until(waiting(1))
}

// TestAReaderThatIsBehindGetsTheLatest, and costs two frames whatever it misses.
func TestAReaderThatIsBehindGetsTheLatest(t *testing.T) {
	r := &reader{news: make(chan struct{}, 1)}
	var last *frame
	for i := range 100 {
		f, err := newFrame("snapshot", i)
		if err != nil {
			t.Fatal(err)
		}
		r.give(kindFigures, f)
		last = f
	}
	<-r.news
	if next := r.take(); next[kindFigures] != last || next[kindDay] != nil {
		t.Errorf("%v", next)
	}
	select {
	case <-r.news:
		t.Error("there is nothing more to take")
	default:
	}
}

func TestASiteIsChosen(t *testing.T) {
	r := newRig(t)
	if res := get(t, r.server, "/wallboard/stream?site=elsewhere"); res.StatusCode != http.StatusNotFound {
		t.Errorf("%s", res.Status)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a server without sites")
	}
}

func TestTheDaysCurve(t *testing.T) {
	site := queue.DefaultSite("main")
	start := instant.Of(time.Date(2026, 3, 2, 0, 0, 0, 0, site.Zone))
	at := func(d time.Duration) instant.Instant { return start.Add(d) }
	cohort := func(tier tiering.Tier, d time.Duration, c queue.Counts) queue.Cohort {
		return queue.Cohort{Queue: "default", Tier: tier, Start: at(d), Counts: c}
	}
	d := dayOf(&site, []queue.Cohort{
		cohort(tiering.Mid, 9*time.Hour, queue.Counts{AnsweredInTime: 3}),
		cohort(tiering.Ordinary, 9*time.Hour+10*time.Minute, queue.Counts{AnsweredLate: 1}),
		cohort(tiering.Ordinary, 9*time.Hour+15*time.Minute, queue.Counts{AbandonedLate: 2}),
		cohort(tiering.Blacklist, 9*time.Hour, queue.Counts{AbandonedLate: 9}), // outside every target
		{Queue: "gone", Tier: tiering.Mid, Start: at(9 * time.Hour), Counts: queue.Counts{AnsweredInTime: 5}},
	}, start, at(9*time.Hour+20*time.Minute))
	c := d.Queues["default"]
	if len(c.Calls) != 38 || len(d.Site.Level) != 38 || len(d.Queues) != 1 {
		t.Fatalf("%+v", d)
	}
	if c.Calls[36] != 4 || *c.Level[36] != 0.75 || c.Calls[37] != 2 || *c.Level[37] != 0 || c.Calls[35] != 0 || c.Level[35] != nil {
		t.Errorf("%v %v", c.Calls, c.Level)
	}
	if d.Site.Calls[36] != 4 || d.Step != (15*time.Minute).Milliseconds() {
		t.Errorf("%+v", d.Site)
	}
}
