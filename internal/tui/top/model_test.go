package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the recorded screens")

var morning = time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC) // nine o'clock in Shanghai

func seconds(n int) *durationpb.Duration {
	return durationpb.New(time.Duration(n) * time.Second)
}

func level(v float64) *float64 { return &v }

// snapshot is a site at some minute of the morning.
func snapshot(at time.Time, sequence uint64) *pb.GetSnapshotResponse {
	tier := func(t pb.Tier, target *float64, answered, inTime, abandoned, waiting, late int32, oldest int) *pb.TierSnapshot {
		out := &pb.TierSnapshot{Tier: t, Target: target, Answered: answered, AnsweredInTime: inTime, Abandoned: abandoned, Waiting: waiting, LateWaiting: late}
		if waiting > 0 {
			out.OldestWait = seconds(oldest)
		}
		if n := answered + abandoned; n > 0 {
			out.ServiceLevel = level(float64(inTime) / float64(n))
		}
		return out
	}
	agent := func(id string, s pb.AgentState, since int, change ...func(*pb.Agent)) *pb.Agent {
		a := &pb.Agent{AgentId: id, State: s, Since: timestamppb.New(at.Add(-time.Duration(since) * time.Second)), Available: true, Queues: []*pb.AgentQueue{{Queue: "billing", Level: 1}}}
		for _, f := range change {
			f(a)
		}
		return a
	}
	return &pb.GetSnapshotResponse{
		Site: "main", Zone: "Asia/Shanghai", TakenAt: timestamppb.New(at), Sequence: sequence, Formula: "answered in time / (answered + abandoned)",
		Queues: []*pb.QueueSnapshot{
			{Queue: "billing", Open: true, Threshold: seconds(20), Waiting: 5, OldestWait: seconds(95), Agents: &pb.AgentCounts{Idle: 1, Talking: 2, NotReady: 1}, CallbacksDue: 1,
				Tiers: []*pb.TierSnapshot{
					tier(pb.Tier_TIER_VIP, level(0.9), 10, 9, 0, 1, 0, 14), tier(pb.Tier_TIER_MID, level(0.85), 100, 84, 0, 1, 0, 3),
					tier(pb.Tier_TIER_ORDINARY, level(0.85), 400, 390, 10, 2, 1, 21), tier(pb.Tier_TIER_BLACKLIST, nil, 5, 1, 5, 1, 1, 95),
				}},
			{Queue: "sales", Open: false, Threshold: seconds(20), Agents: &pb.AgentCounts{},
				Tiers: []*pb.TierSnapshot{
					tier(pb.Tier_TIER_VIP, level(0.9), 0, 0, 0, 0, 0, 0), tier(pb.Tier_TIER_MID, level(0.85), 0, 0, 0, 0, 0, 0),
					tier(pb.Tier_TIER_ORDINARY, level(0.85), 10, 2, 0, 0, 0, 0), tier(pb.Tier_TIER_BLACKLIST, nil, 0, 0, 0, 0, 0, 0),
				}},
		},
		Agents: []*pb.Agent{
			agent("7001", pb.AgentState_AGENT_STATE_TALKING, 130, func(a *pb.Agent) { a.CallId = "c9" }),
			agent("7002", pb.AgentState_AGENT_STATE_READY, 15),
			agent("7003", pb.AgentState_AGENT_STATE_NOT_READY, 3700, func(a *pb.Agent) { a.Reason = "lunch" }),
			agent("7004", pb.AgentState_AGENT_STATE_READY, 4, func(a *pb.Agent) { a.Available = false }),
			agent("7005", pb.AgentState_AGENT_STATE_WRAP_UP, 4, func(a *pb.Agent) { a.WrapUpUntil = timestamppb.New(at.Add(26 * time.Second)) }),
		},
		Callbacks: &pb.CallbackSummary{Due: 1, Pending: 2, NextDeadline: timestamppb.New(at.Add(90 * time.Minute)), Totals: &pb.CallbackTotals{Missed: 1}},
	}
}

// asked notes what is asked for, and answers when the test says so.
type asked struct{ pages []page }

func (a *asked) fetch(p page, _ *pb.GetSnapshotResponse) tea.Cmd {
	a.pages = append(a.pages, p)
	return nil
}

// wall is a live view on virtual time and without a daemon.
type wall struct {
	*model
	t    *testing.T
	at   time.Time // of this machine, which is an hour fast
	asks *asked
	quit bool
}

const fast = time.Hour

func newWall(t *testing.T, width, height int, change ...func(*Options)) *wall {
	opt := Options{Site: "main", Order: ByName}
	for _, f := range change {
		f(&opt)
	}
	w := &wall{t: t, at: morning.Add(fast), asks: &asked{}}
	w.model = newModel(opt, w.asks, tui.NewClock(func() time.Time { return w.at }))
	w.tick = nil
	w.send(tea.WindowSizeMsg{Width: width, Height: height})
	return w
}

func (w *wall) send(msg tea.Msg) {
	_, cmd := w.Update(msg)
	w.follow(cmd)
}

func (w *wall) follow(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			w.follow(c)
		}
	case tea.QuitMsg:
		w.quit = true
	}
}

func (w *wall) keys(all ...string) {
	named := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "down": tea.KeyDown, "end": tea.KeyEnd}
	for _, k := range all {
		if code, ok := named[k]; ok {
			w.send(tea.KeyPressMsg{Code: code})
			continue
		}
		for _, r := range k {
			w.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// passes lets time pass.
func (w *wall) passes(d time.Duration) {
	w.at = w.at.Add(d)
	w.send(tickMsg{})
}

// answer answers what was asked for last.
func (w *wall) answer(f fetched) {
	w.t.Helper()
	if len(w.asks.pages) == 0 {
		w.t.Fatal("nothing was asked for")
	}
	f.page = w.asks.pages[len(w.asks.pages)-1]
	f.sequence, f.at = w.snap.GetSequence(), w.snap.GetTakenAt().AsTime()
	w.send(f)
}

func (w *wall) text() string {
	lines := w.screen()
	for i, l := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (w *wall) shows(texts ...string) {
	w.t.Helper()
	for _, s := range texts {
		if !strings.Contains(w.text(), s) {
			w.t.Errorf("%q is not on the screen:\n%s", s, w.text())
		}
	}
}

func (w *wall) hides(texts ...string) {
	w.t.Helper()
	for _, s := range texts {
		if strings.Contains(w.text(), s) {
			w.t.Errorf("%q is on the screen:\n%s", s, w.text())
		}
	}
}

func (w *wall) matches(name string) {
	w.t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(w.text()), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.text() != string(want) {
		w.t.Errorf("the screen is not %s:\n%s", file, w.text())
	}
	for _, l := range w.screen() {
		if ansi.StringWidth(l) > w.width {
			w.t.Errorf("a line is wider than %d: %q", w.width, l)
		}
	}
	if n := len(w.screen()); n != w.height {
		w.t.Errorf("the screen has %d lines, want %d", n, w.height)
	}
}

func TestQueues(t *testing.T) {
	w := newWall(t, 80, 24)
	w.shows("Connecting")
	w.send(snapshot(morning, 1))
	w.matches("queues-80")
	w.shows("● live 09:00:00", "✓ 90.0 %", "▼ 84.0 %", "sales (closed)", "1 missed in all", "next deadline in 1:30:00")

	// Between two snapshots the waits count on, by the daemon's clock: the VIP's
	// passes the threshold, which is in time when it is exactly reached.
	w.passes(6 * time.Second)
	w.shows("0:20", "next deadline in 1:29:54")
	w.hides("▲ 0:20")
	w.passes(time.Second)
	w.shows("▲ 0:21", "▲ 1:42", "● live 09:00:07")

	w.keys("t")
	w.hides("  sales VIP")
	w.keys("t")
	if n := strings.Count(w.text(), "VIP"); n != 0 {
		t.Errorf("VIPs stand in %d lines", n)
	}
	w.keys("t")
	w.send(tea.WindowSizeMsg{Width: 120, Height: 40})
	w.matches("queues-120")
	w.send(tea.WindowSizeMsg{Width: 40, Height: 16})
	w.matches("queues-40")
}

func TestOrders(t *testing.T) {
	a := &pb.QueueSnapshot{Queue: "a", Waiting: 1, OldestWait: seconds(90), Tiers: []*pb.TierSnapshot{{LateWaiting: 1, Target: level(0.9), ServiceLevel: level(0.95)}}}
	b := &pb.QueueSnapshot{Queue: "b", Waiting: 9, OldestWait: seconds(5), Tiers: []*pb.TierSnapshot{{Target: level(0.9), ServiceLevel: level(0.5)}}}
	c := &pb.QueueSnapshot{Queue: "c", Waiting: 2, OldestWait: seconds(30), Tiers: []*pb.TierSnapshot{{LateWaiting: 2, Target: level(0.85), ServiceLevel: level(0.8)}, {ServiceLevel: level(0)}}}
	for order, want := range map[Order]string{ByName: "abc", ByWaiting: "bca", ByOldest: "acb", ByLate: "cab", ByLevel: "bca"} {
		all := []*pb.QueueSnapshot{c, b, a}
		Sort(all, order)
		got := ""
		for _, q := range all {
			got += q.GetQueue()
		}
		if got != want {
			t.Errorf("by %s: %s, want %s", order, got, want)
		}
	}
	sum := All([]*pb.QueueSnapshot{a, b, c})
	if sum.GetWaiting() != 12 || sum.GetOldestWait().AsDuration() != 90*time.Second || Late(sum) != 3 {
		t.Errorf("the sum is %v", sum)
	}
	s := snapshot(morning, 1)
	for _, tier := range All(s.GetQueues()).GetTiers() {
		if tier.GetTier() == pb.Tier_TIER_ORDINARY && tier.GetServiceLevel() != 392.0/420 {
			t.Errorf("the level of the sums is %v", tier.GetServiceLevel())
		}
	}
	if got := s.GetQueues()[0].GetTiers()[0].GetWaiting(); got != 1 {
		t.Errorf("adding up changed what was added: %d", got)
	}
}

func TestAgentsAndFilter(t *testing.T) {
	w := newWall(t, 80, 24)
	w.send(snapshot(morning, 1))
	w.keys("tab")
	w.matches("agents-80")
	w.passes(time.Second)
	w.shows("0:16", "1:01:41")
	w.keys("/lun")
	w.shows("7003")
	w.hides("7001", "7002")
	w.keys("enter")
	w.shows("filter: lun")
	w.keys("enter")
	w.shows("› agent 7003", "lunch", "not ready for 1:01:41")
	w.keys("esc", "esc")
	w.shows("7001", "order: state")
	w.keys("s")
	w.shows("order: longest")
	w.keys("g", "enter")
	w.shows("› agent 7003")
	w.keys("esc", "/7001", "enter", "enter", "enter")
	w.shows("› call c9")
	if p := w.asks.pages[len(w.asks.pages)-1]; p != (page{kind: callPage, id: "c9"}) {
		t.Errorf("asked for %+v", p)
	}
	only := newWall(t, 80, 24, func(o *Options) { o.Queues = []string{"sales"} })
	only.send(snapshot(morning, 1))
	only.hides("billing", "all queues")
	only.keys("2")
	only.shows("No agent is signed in.")
}

func TestDownToACallAndBack(t *testing.T) {
	w := newWall(t, 80, 24)
	w.send(snapshot(morning, 1))
	w.keys("G", "k", "k", "k", "k", "k", "k", "k", "k", "k", "enter") // billing
	w.shows("› billing", "Asking…")
	if len(w.asks.pages) != 1 || w.asks.pages[0] != (page{kind: queuePage, id: "billing"}) {
		t.Fatalf("asked for %+v", w.asks.pages)
	}
	call := func(id string, tier pb.Tier, wait time.Duration) *pb.Call {
		return &pb.Call{CallId: id, Caller: "+8613800138000", Queue: "billing", Tier: tier, State: pb.CallState_CALL_STATE_WAITING, JoinedAt: timestamppb.New(morning.Add(-wait))}
	}
	ringing := call("c2", pb.Tier_TIER_MID, 3*time.Second)
	ringing.State, ringing.AgentId = pb.CallState_CALL_STATE_OFFERED, "7002"
	unsure := call("c3", pb.Tier_TIER_ORDINARY, 21*time.Second)
	unsure.Provisional = true
	w.answer(fetched{calls: []*pb.Call{call("c1", pb.Tier_TIER_VIP, 14*time.Second), ringing, unsure, call("c4", pb.Tier_TIER_BLACKLIST, 95*time.Second)}})
	w.matches("calls-80")
	// The list is read again when the log moves on, and not before.
	w.passes(time.Second)
	w.send(snapshot(morning.Add(time.Second), 1))
	if len(w.asks.pages) != 1 {
		t.Errorf("asked %d times", len(w.asks.pages))
	}
	w.send(snapshot(morning.Add(2*time.Second), 2))
	w.send(snapshot(morning.Add(3*time.Second), 3)) // one at a time
	if len(w.asks.pages) != 2 {
		t.Errorf("asked %d times", len(w.asks.pages))
	}
	w.answer(fetched{calls: []*pb.Call{ringing, unsure}})
	w.shows("c2", "c3")
	w.hides("c1")
	w.keys("down", "enter")
	w.shows("› call c3", "Asking…")
	w.answer(fetched{explained: &pb.ExplainResponse{Call: unsure, Reasons: []string{"It waits in queue billing\x1b[2J.", strings.Repeat("long ", 40)}, EstimatedWait: seconds(30)}})
	w.shows("It waits in queue billing?[2J.", "waits for 0:24, estimated wait left 0:30")
	w.send(snapshot(morning.Add(9*time.Second), 3)) // its sentences tell waits
	if p := w.asks.pages[len(w.asks.pages)-1]; len(w.asks.pages) != 4 || p.id != "c3" {
		t.Errorf("asked for %+v", w.asks.pages)
	}
	w.answer(fetched{err: status.Error(codes.NotFound, "call: \"c3\" is unknown")})
	w.shows(`call: "c3" is unknown`)
	w.keys("esc")
	w.shows("› billing", "Asking…")
	// An answer to what is no longer shown is not shown either.
	w.send(fetched{page: page{kind: callPage, id: "c3"}, err: errors.New("came too late")})
	w.hides("came too late")
	w.keys("esc", "q")
	if !w.quit || w.end != nil {
		t.Errorf("quit %v, %v", w.quit, w.end)
	}
}

func TestCallbacks(t *testing.T) {
	w := newWall(t, 80, 24, func(o *Options) { o.Mask = true })
	w.send(snapshot(morning, 1))
	w.keys("3")
	w.answer(fetched{callbacks: []*pb.Callback{
		{CallbackId: "b1", Caller: "+8613800138001", Queue: "billing", Tier: pb.Tier_TIER_MID, State: pb.CallbackState_CALLBACK_STATE_DUE, CallId: "c1", Reason: "abandoned",
			DueAt: timestamppb.New(morning.Add(-time.Minute)), Deadline: timestamppb.New(morning.Add(90 * time.Minute)), EscalatedAt: timestamppb.New(morning)},
		{CallbackId: "b2", Caller: "+8613800138002", Queue: "sales", Tier: pb.Tier_TIER_MID, State: pb.CallbackState_CALLBACK_STATE_CLAIMED, ClaimedBy: "anna", Attempts: 1,
			DueAt: timestamppb.New(morning), Deadline: timestamppb.New(morning.Add(20 * time.Hour))},
		{CallbackId: "b3", Caller: "+8613800138003", Queue: "sales", Tier: pb.Tier_TIER_MID, State: pb.CallbackState_CALLBACK_STATE_PENDING,
			DueAt: timestamppb.New(morning.Add(10 * time.Minute)), Deadline: timestamppb.New(morning.Add(20 * time.Hour))},
	}})
	w.matches("callbacks-80")
	w.hides("13800138001")
	w.keys("enter")
	w.shows("› callback b1", "abandoned", "▲ 1:30:00")
	w.keys("enter")
	w.shows("› call c1")
}

func TestPauseAndLoss(t *testing.T) {
	w := newWall(t, 80, 24)
	w.send(lost{status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: refused"`), 3 * time.Second})
	w.shows("◌ connecting", "No connection, next try in 0:03: the daemon was not reached: refused")
	w.send(snapshot(morning, 1))
	w.keys("p")
	w.passes(10 * time.Second)
	later := snapshot(morning.Add(10*time.Second), 2)
	later.Queues[0].Waiting = 77
	w.send(later)
	w.shows("‖ paused at 09:00:00", "0:14", "5 waiting")
	w.keys("p")
	w.shows("● live 09:00:10", "77 waiting")

	// Nobody tells how things go on: what is shown is marked as old and does not
	// pretend to count.
	w.send(lost{status.Error(codes.Unavailable, "going away"), 2 * time.Second})
	w.passes(5 * time.Second)
	w.shows("▲ as of 09:00:10, 0:05 old", "No connection")
	w.matches("lost-80")
	w.send(snapshot(morning.Add(16*time.Second), 3))
	w.shows("● live 09:00:16")
	w.send(refused{status.Error(codes.NotFound, "site: \"main\" is unknown")})
	if !w.quit || status.Code(w.end) != codes.NotFound {
		t.Errorf("quit %v, %v", w.quit, w.end)
	}
}

// TestAnyScreen: in whatever order keys and sizes come, the screen keeps its size.
func TestAnyScreen(t *testing.T) {
	w := newWall(t, 80, 24)
	s := snapshot(morning, 1)
	for i := range 300 {
		s.Agents = append(s.Agents, &pb.Agent{AgentId: fmt.Sprint("長い名前", i), State: pb.AgentState_AGENT_STATE_READY, Available: i%2 == 0})
	}
	w.send(s)
	sizes := [][2]int{{80, 24}, {30, 10}, {29, 9}, {1, 1}, {200, 60}, {40, 12}, {72, 18}}
	keys := []string{"down", "tab", "G", "enter", "s", "/", "x", "enter", "esc", "t", "?", "p", "k", "2", "enter", "esc", "1", "end", "enter", "esc"}
	for i := range 400 {
		size := sizes[i%len(sizes)]
		w.send(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		w.keys(keys[i%len(keys)])
		lines := w.screen()
		if len(lines) > size[1] {
			t.Fatalf("step %d: %d lines on a screen of %d", i, len(lines), size[1])
		}
		for _, l := range lines {
			if ansi.StringWidth(l) > size[0] {
				t.Fatalf("step %d: a line is wider than %d: %q", i, size[0], l)
			}
		}
	}
}

// feed is a daemon that gives one snapshot per stream, and then an error.
type feed struct {
	pb.UnimplementedSupervisorServiceServer
	errs chan error
	asks chan *pb.WatchRequest
}

func (f *feed) Watch(req *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	f.asks <- req
	if err := stream.Send(&pb.WatchResponse{Snapshot: snapshot(morning, 1)}); err != nil {
		return err
	}
	return <-f.errs
}

func TestTheWatchIsOpenedAgain(t *testing.T) {
	f := &feed{errs: make(chan error), asks: make(chan *pb.WatchRequest, 10)}
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	pb.RegisterSupervisorServiceServer(server, f)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:///daemon", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer serving.Wait()
	defer server.Stop()
	defer conn.Close()
	told := make(chan any)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		watch(t.Context(), Options{Conn: conn, Site: "north", Interval: 2 * time.Second}, func(m any) { told <- m })
	}()
	if s, ok := (<-told).(*pb.GetSnapshotResponse); !ok || s.GetSite() != "main" {
		t.Errorf("told %v", s)
	}
	if req := <-f.asks; req.GetSite() != "north" || req.GetMinInterval().AsDuration() != 2*time.Second || req.GetOmitAgents() {
		t.Errorf("asked for %v", req)
	}
	f.errs <- status.Error(codes.ResourceExhausted, "too slow")
	if l, ok := (<-told).(lost); !ok || l.in <= 0 {
		t.Errorf("told %+v", l)
	}
	<-told
	f.errs <- status.Error(codes.PermissionDenied, "no")
	if r, ok := (<-told).(refused); !ok || status.Code(r.err) != codes.PermissionDenied {
		t.Errorf("told %+v", r)
	}
	<-ended // it does not ask again
}
