package embedded

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
	"greenlane/tiering"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		childMain(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// testClock is a clock that the test moves.
type testClock struct {
	mu sync.Mutex
	t  time.Time
}

func newTestClock() *testClock {
	return &testClock{t: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)} // 10:00 in Shanghai
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *testClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// testSite has two queues and forgets fast, so that trimming happens in tests.
func testSite() queue.Site {
	s := queue.DefaultSite("main")
	billing := queue.DefaultQueue("billing")
	billing.Capacity = 12
	billing.Overflow = queue.Overflow{After: 90 * time.Second, To: "default"}
	s.Queues = append(s.Queues, billing)
	s.Keep.Calls, s.Keep.Requests, s.Keep.Callbacks, s.Keep.Events = 100, 100, 100, 1000
	return s
}

func open(t testing.TB, dir string, opts Options) *Engine {
	t.Helper()
	return openSite(t, dir, testSite(), opts)
}

func openSite(t testing.TB, dir string, site queue.Site, opts Options) *Engine {
	t.Helper()
	e, err := Open(dir, site, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, e) })
	return e
}

func shut(t testing.TB, e *Engine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func mustDo(t testing.TB, e *Engine, cmd queue.Command) queue.Result {
	t.Helper()
	res, err := e.Do(context.Background(), cmd)
	if err != nil {
		t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	return res
}

// arrive is a call with an id that no other has.
func arrive(id string) *queue.Arrive {
	return &queue.Arrive{Request: queue.Request{ID: "r-" + id}, Call: id, Switch: "sw1", Tier: tiering.Ordinary}
}

// dump is a state as the file would hold it: key, with its bucket, to value.
type dump map[string]string

// dumpState encodes every record of a state but the instant of the last
// command, which a command that changes nothing moves in memory only, and what
// a queue has learnt while that is still what the configuration says.
func dumpState(t testing.TB, site *queue.Site, st *queue.State) dump {
	t.Helper()
	fresh := map[string]int64{}
	for _, q := range site.Queues {
		fresh[q.Name] = q.HandleTime.Milliseconds()
	}
	c := &queue.Changes{
		Meta: st.Meta, Calls: st.Calls, Agents: st.Agents, Offers: st.Offers, Callbacks: st.Callbacks,
		Cohorts: st.Cohorts, Totals: st.Totals, Requests: st.Requests, Owners: st.Owners, Switches: st.Switches,
	}
	c.Meta.Now = 0
	for _, q := range st.Queues {
		if q.HandleTime != fresh[q.Name] {
			c.Queues = append(c.Queues, q)
		}
	}
	var w writes
	if err := w.changes(c); err != nil {
		t.Fatal(err)
	}
	d := dump{}
	for _, op := range parsed(t, &w) {
		d[string(bucketNames[op.bucket])+" "+string(op.key)] = string(op.value)
	}
	return d
}

// parsed is what w holds, whether or not it has room for a journal's header.
func parsed(t testing.TB, w *writes) []write {
	t.Helper()
	list, err := parseWrites(nil, w.buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// dumpFile reads the same from the file, after a checkpoint.
func dumpFile(t testing.TB, site *queue.Site, e *Engine) dump {
	t.Helper()
	if err := e.checkpoint(); err != nil {
		t.Fatal(err)
	}
	st, _, err := e.store.load()
	if err != nil {
		t.Fatal(err)
	}
	return dumpState(t, site, st)
}

// dumpEngine asks the engine's machine.
func dumpEngine(t testing.TB, e *Engine, site *queue.Site) dump {
	t.Helper()
	d, err := askState(e, func(st *queue.State) dump { return dumpState(t, site, st) })
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dumpRestored restores a machine from the file in dir, before any timer is fired.
func dumpRestored(t testing.TB, dir string, site queue.Site) dump {
	t.Helper()
	opts, err := Options{NoSync: true}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStore(dir, site.Name, &opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	st, _, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	m, err := queue.RestoreMachine(site, st)
	if err != nil {
		t.Fatal(err)
	}
	return dumpState(t, &site, m.State())
}

func (d dump) equal(t testing.TB, want dump, what string) {
	t.Helper()
	for k, v := range want {
		if got, ok := d[k]; !ok {
			t.Errorf("%s: %s is missing", what, keyText(k))
		} else if got != v {
			t.Errorf("%s: %s is %x, want %x", what, keyText(k), got, v)
		}
	}
	for k := range d {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s should not be there", what, keyText(k))
		}
	}
}

func keyText(k string) string {
	for i := range len(k) {
		if k[i] == ' ' && len(k) == i+9 {
			return fmt.Sprintf("%s %d", k[:i], binary.BigEndian.Uint64([]byte(k[i+1:])))
		}
	}
	return fmt.Sprintf("%q", k)
}

// random makes commands of every kind over few names, so that they meet.
type random struct {
	r      *rand.Rand
	clock  *testClock
	n      int
	calls  []string
	offers uint64
}

func newRandom(seed uint64, clock *testClock) *random {
	return &random{r: rand.New(rand.NewPCG(seed, 1)), clock: clock}
}

func pick[T any](g *random, from ...T) T { return from[g.r.IntN(len(from))] }

func (g *random) call() string {
	if len(g.calls) == 0 {
		return "none"
	}
	return g.calls[max(0, len(g.calls)-1-g.r.IntN(40))]
}

func (g *random) request() queue.Request {
	g.n++
	if g.r.IntN(3) == 0 {
		return queue.Request{}
	}
	return queue.Request{ID: fmt.Sprint("q", g.n), Print: uint64(g.n)}
}

func (g *random) agent() string { return pick(g, "anna", "bert", "cleo", "dora") }

func (g *random) offer() uint64 { return g.offers - min(g.offers, uint64(g.r.IntN(3))) }

func (g *random) number() tiering.Number {
	return tiering.Number(fmt.Sprintf("+86138%08d", g.r.IntN(60)))
}

// next returns a command, and moves the clock at times.
func (g *random) next() queue.Command {
	switch g.r.IntN(20) {
	case 0:
		g.clock.move(pick(g, time.Second, 8*time.Second, 25*time.Second))
	case 1:
		if g.r.IntN(40) == 0 {
			g.clock.move(pick(g, 20*time.Minute, 26*time.Hour, 50*time.Hour))
		}
	}
	switch n := g.r.IntN(100); {
	case n < 28:
		id := fmt.Sprint("call", len(g.calls))
		g.calls = append(g.calls, id)
		return g.arrival(id)
	case n < 40:
		return &queue.Accept{Request: g.request(), Agent: pick(g, "", g.agent()), Offer: g.offer()}
	case n < 50:
		return &queue.Complete{Request: g.request(), Agent: g.agent(), Call: g.call()}
	case n < 58:
		return &queue.Attach{Request: g.request(), Agent: g.agent(), Owner: pick(g, "d1", "d2"), Token: "t", Presence: pick(g, queue.PresentPoll, queue.PresentStream), Wait: 20 * time.Second}
	case n < 66:
		return &queue.RenewOwner{Owner: pick(g, "d1", "d2")}
	case n < 72:
		return &queue.Abandon{Request: g.request(), Call: pick(g, g.call(), fmt.Sprint("call", len(g.calls)+1)), Switch: "sw1"}
	case n < 78:
		return &queue.SignIn{Request: g.request(), Agent: g.agent(), Endpoint: "sip:x", WrapUp: pick(g, 0, -1, 3*time.Second), RingBySwitch: g.r.IntN(4) == 0, Services: []queue.Service{{Queue: "default", Level: 1}, {Queue: "billing", Level: 2}}}
	default:
		return g.rare(n)
	}
}

func (g *random) arrival(id string) *queue.Arrive {
	return &queue.Arrive{
		Request: g.request(), Call: id, Switch: pick(g, "sw1", "sw1", "sw2"), Caller: pick(g, g.number(), tiering.Withheld),
		Queue: pick(g, "", "billing"), Tier: pick(g, tiering.Tiers[:]...), Provisional: g.r.IntN(8) == 0,
		PreferredAgent: pick(g, "", "", "anna"), Attributes: []queue.Attribute{{Key: "k", Value: "\xff not UTF-8"}},
	}
}

func (g *random) rare(n int) queue.Command {
	cb := fmt.Sprint("cb-", g.r.IntN(30))
	switch n {
	case 78, 79:
		return &queue.SignOut{Request: g.request(), Agent: g.agent(), Force: g.r.IntN(2) == 0}
	case 80, 81:
		return &queue.SetState{Request: g.request(), Agent: g.agent(), State: pick(g, queue.AgentReady, queue.AgentNotReady), Reason: "lunch"}
	case 82, 83:
		return &queue.Decline{Request: g.request(), Agent: pick(g, "", g.agent()), Offer: g.offer(), Reason: "busy", NotReady: g.r.IntN(3) == 0}
	case 84:
		return &queue.Acknowledge{Request: g.request(), Agent: g.agent(), Offer: g.offer()}
	case 85:
		return &queue.Detach{Request: g.request(), Agent: g.agent(), Token: "t", Undelivered: g.r.IntN(2) == 0}
	case 86, 87:
		return &queue.AttachSwitch{Request: g.request(), Switch: pick(g, "sw1", "sw2"), Owner: pick(g, "d1", "d2"), Token: "s"}
	case 88:
		return &queue.DetachSwitch{Request: g.request(), Switch: pick(g, "sw1", "sw2"), Token: "s"}
	case 89:
		return &queue.End{Request: g.request(), Call: g.call(), Switch: "sw1"}
	case 90:
		return &queue.MoveCall{Request: g.request(), Call: g.call(), Queue: pick(g, "default", "billing"), By: "sue"}
	case 91:
		return &queue.Rerank{Request: g.request(), Caller: g.number(), Tier: pick(g, tiering.Tiers[:]...)}
	case 92:
		return &queue.CreateCallback{Request: g.request(), Caller: g.number(), Queue: "default", Tier: tiering.Mid, Note: "n"}
	case 93:
		return &queue.ClaimCallback{Request: g.request(), Callback: cb, Claimant: "sue"}
	case 94:
		return &queue.ReportCallback{Request: g.request(), Callback: cb, Claimant: "sue", Result: pick(g, callback.Results[:]...)}
	case 95:
		return &queue.CancelCallback{Request: g.request(), Callback: cb, Reason: "no need"}
	case 96:
		return g.reconcile()
	default:
		return &queue.Tick{}
	}
}

func (g *random) reconcile() *queue.Reconcile {
	r := &queue.Reconcile{Request: g.request(), Switch: "sw1"}
	for range g.r.IntN(4) {
		r.Calls = append(r.Calls, queue.Live{Arrive: *g.arrival(g.call())})
	}
	r.Calls = append(r.Calls, queue.Live{Arrive: queue.Arrive{Call: "bad"}, Err: &queue.Error{Kind: queue.ErrInvalid, Field: "caller", Detail: "no"}})
	return r
}

// do sends a command and learns which offers there are.
func (g *random) do(t testing.TB, e *Engine, cmd queue.Command) {
	t.Helper()
	res, err := e.Do(context.Background(), cmd)
	if errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrClosed) {
		t.Fatalf("%s: %v", cmd.Kind(), err)
	}
	if res.Offer != nil {
		g.offers = max(g.offers, res.Offer.Epoch)
	}
	if res.Call != nil {
		g.offers = max(g.offers, res.Call.Offer)
	}
}

// image reads the file in dir as far as it is in use; the rest is room to grow.
func image(t testing.TB, dir string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "main.db"))
	if err != nil {
		t.Fatal(err)
	}
	newest, ok := newestMeta(data)
	if !ok {
		t.Fatal("the test reads no meta page")
	}
	return data[:newest.pages*uint64(newest.pageSize)]
}

func writeSite(t testing.TB, dir string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.db"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// files are a site's, by name: what a power failure would leave of them.
type files map[string][]byte

// readSite copies the files in dir, of which nobody may write any meanwhile.
func readSite(t testing.TB, dir string) files {
	t.Helper()
	out := files{"main.db": image(t, dir)}
	for _, path := range journalPaths(filepath.Join(dir, "main.db")) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(path)] = data
	}
	return out
}

// write makes a directory with these files.
func (f files) write(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range f {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// askState asks the decider for something of the machine's state.
func askState[T any](e *Engine, f func(st *queue.State) T) (T, error) {
	return decider.Ask(context.Background(), e.Port, func(m *queue.Machine, _ instant.Instant) (T, error) { return f(m.State()), nil })
}
