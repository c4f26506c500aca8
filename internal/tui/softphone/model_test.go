package softphone

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the recorded screens")

// TestMain: the recorded screens are those of an agent in UTC.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// told is a line that notes what it is told.
type told struct {
	commands []*command
	opened   int
}

func (l *told) do(_ context.Context, c *command) { l.commands = append(l.commands, c) }
func (l *told) open()                            { l.opened++ }

// noLookups is a daemon that tells an agent nothing.
type noLookups struct{}

func (noLookups) limits() tea.Cmd               { return nil }
func (noLookups) atHand(*pb.Agent) tea.Cmd      { return nil }
func (noLookups) before(string, string) tea.Cmd { return nil }

// bench is a softphone on virtual time and without a daemon.
type bench struct {
	*model
	t    *testing.T
	line *told
	at   time.Time
	quit bool
	bell int
}

func newBench(t *testing.T, width, height int, change ...func(*Options)) *bench {
	opt := Options{Site: "main", Agent: "7001", Queues: []*pb.AgentQueue{{Queue: "billing", Level: 1}, {Queue: "sales", Level: 2}}, Timeout: time.Second}
	for _, f := range change {
		f(&opt)
	}
	b := &bench{t: t, line: &told{}, at: morning}
	b.model = newModel(t.Context(), opt, b.line, noLookups{}, tui.NewClock(func() time.Time { return b.at }))
	b.tick = nil // time is the test's
	b.send(tea.WindowSizeMsg{Width: width, Height: height})
	return b
}

// send gives the model a message, and looks through what it wants for the bell and
// the end.
func (b *bench) send(msg tea.Msg) {
	_, cmd := b.Update(msg)
	b.follow(cmd)
}

func (b *bench) follow(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case tea.BatchMsg:
		for _, c := range msg {
			b.follow(c)
		}
	case tea.QuitMsg:
		b.quit = true
	case tea.RawMsg:
		if msg.Msg == "\a" {
			b.bell++
		}
	}
}

func (b *bench) keys(all ...string) {
	for _, k := range all {
		switch k {
		case "enter":
			b.send(tea.KeyPressMsg{Code: tea.KeyEnter})
		case "esc":
			b.send(tea.KeyPressMsg{Code: tea.KeyEscape})
		case "ctrl+c":
			b.send(tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl})
		default:
			for _, r := range k {
				b.send(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
		}
	}
}

func (b *bench) welcome(a *pb.Agent) {
	b.send(&pb.SessionResponse{Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{Agent: a, Now: timestamppb.New(b.at)}}})
}

func (b *bench) is(a *pb.Agent) {
	b.send(&pb.SessionResponse{Message: &pb.SessionResponse_Agent{Agent: a}})
}

func (b *bench) offered(o *pb.Offer) {
	b.send(&pb.SessionResponse{Message: &pb.SessionResponse_Offer{Offer: o}})
	b.is(has1(o))
}

// last is the command that was given last.
func (b *bench) last() command {
	b.t.Helper()
	if len(b.line.commands) == 0 {
		b.t.Fatal("nothing was asked for")
	}
	return *b.line.commands[len(b.line.commands)-1]
}

// answer is the daemon's answer to the command that was given last.
func (b *bench) answer(r *pb.SessionResult) {
	b.send(done{cmd: b.line.commands[len(b.line.commands)-1], SessionResult: r})
}

func (b *bench) text() string {
	lines := b.screen()
	for i, l := range lines {
		lines[i] = strings.TrimRight(ansi.Strip(l), " ")
	}
	return strings.Join(lines, "\n") + "\n"
}

func (b *bench) shows(texts ...string) {
	b.t.Helper()
	for _, s := range texts {
		if !strings.Contains(b.text(), s) {
			b.t.Errorf("%q is not on the screen:\n%s", s, b.text())
		}
	}
}

func (b *bench) hides(texts ...string) {
	b.t.Helper()
	for _, s := range texts {
		if strings.Contains(b.text(), s) {
			b.t.Errorf("%q is on the screen:\n%s", s, b.text())
		}
	}
}

func (b *bench) matches(name string) {
	b.t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(b.text()), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.text() != string(want) {
		b.t.Errorf("the screen is not %s:\n%s", file, b.text())
	}
	for _, l := range b.screen() {
		if ansi.StringWidth(l) > b.width {
			b.t.Errorf("a line is wider than %d: %q", b.width, l)
		}
	}
	if n := len(b.screen()); n != b.height {
		b.t.Errorf("the screen has %d lines, want %d", n, b.height)
	}
}

func TestTheWaitCounts(t *testing.T) {
	b := newBench(t, 80, 24)
	b.welcome(ready())
	b.send(limits{"billing": 20 * time.Second})
	o := offerOf("o1", "c1", pb.Tier_TIER_VIP, morning, 13*time.Second)
	o.Call.Attributes = map[string]string{"menu": "2", "note\x1b[31m": "a\nb"}
	o.Call.Dialed = "95555"
	b.offered(o)
	b.send(history{of: "c1", known: true, lines: []pastLine{{morning.Add(-24 * time.Hour), "billing: hung up after 0:31"}}})
	b.shows("has waited  0:13 of 20 s", "answer within  0:20")
	b.hides("LATE", "\x1b[31m")
	b.matches("offer-80")
	b.at = b.at.Add(7 * time.Second) // exactly the threshold is in time
	b.shows("has waited  0:20 of 20 s", "answer within  0:13")
	b.hides("LATE")
	b.at = b.at.Add(time.Second)
	b.shows("has waited  0:21 of 20 s", "▲ LATE", "answer within  0:12")
	b.matches("offer-late-80")
	b.send(tea.WindowSizeMsg{Width: 40, Height: 20})
	b.matches("offer-late-40")
	b.send(tea.WindowSizeMsg{Width: 40, Height: 12})
	b.shows("[VIP]", "+86 138 0013 8000", "▲ LATE", "answer within  0:12", "a accept")
	b.at = b.at.Add(12 * time.Second)
	b.send(lookMsg{})
	b.hides("INCOMING")
	b.shows("Offer withdrawn: not answered in time")
	if b.bell != 1 {
		t.Errorf("it rang %d times", b.bell)
	}
}

func TestKeysAtTheDesk(t *testing.T) {
	b := newBench(t, 80, 24)
	b.keys("a", "d", "c", "r")
	if len(b.line.commands) != 0 {
		t.Fatalf("without a session there was %+v", b.last())
	}
	b.welcome(ready())
	b.keys("n")
	b.shows("Why are you not ready?", "2 lunch")
	b.keys("2")
	if c := b.last(); c.kind != pause || c.reason != "lunch" {
		t.Errorf("asked for %+v", c)
	}
	b.keys("n", "2") // one at a time
	if len(b.line.commands) != 1 {
		t.Errorf("there are %d commands", len(b.line.commands))
	}
	b.answer(&pb.SessionResult{})
	b.is(&pb.Agent{State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "lunch", Since: timestamppb.New(morning)})
	b.at = b.at.Add(75 * time.Second)
	b.shows("■ not ready 1:15", "Not ready: lunch", "for 1:15")
	b.keys("n", "0", "王 calls", "enter")
	if c := b.last(); c.kind != pause || c.reason != "王 calls" {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{})
	b.keys("r")
	if c := b.last(); c.kind != setReady {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{})
	b.is(ready())

	b.offered(offerOf("o1", "c1", pb.Tier_TIER_MID, b.at, 0))
	b.keys("d")
	b.shows("Decline, because", "answer within  0:20")
	b.keys("2")
	if c := b.last(); c.kind != decline || c.offer != "o1" || c.reason != "wrong skill" {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{})
	b.hides("INCOMING")
	b.offered(offerOf("o2", "c2", pb.Tier_TIER_MID, b.at, 0))
	b.keys("a", "a", "enter")
	if c := b.last(); c.kind != accept || c.offer != "o2" || len(b.line.commands) != 5 {
		t.Errorf("asked for %+v, %d commands", c, len(b.line.commands))
	}
	b.shows("accepting…")
	b.answer(&pb.SessionResult{Call: &pb.Call{CallId: "c2", Caller: "+8613800138000", Queue: "billing", Tier: pb.Tier_TIER_MID, State: pb.CallState_CALL_STATE_ANSWERED,
		Wait: durationpb.New(25 * time.Second), Late: true, AnsweredAt: timestamppb.New(b.at)}})
	b.shows("TALKING", "waited 0:25 ▲ late", "for 0:00")
	b.keys("n", "3")
	if c := b.last(); c.kind != pause || c.reason != "meeting" {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{})
	after := talks("c2", "")
	after.NotReadyAfter = true
	b.is(after)
	b.shows("not ready after it", "r stay ready")
	b.keys("c")
	if c := b.last(); c.kind != complete || c.call != "c2" {
		t.Errorf("asked for %+v", c)
	}
}

func TestAMenuGivesWayToAnOffer(t *testing.T) {
	b := newBench(t, 80, 24)
	b.welcome(ready())
	b.keys("n", "0", "ab")
	b.offered(offerOf("o1", "c1", pb.Tier_TIER_VIP, morning, 0))
	b.shows("INCOMING CALL", "[VIP]")
	b.keys("a", "enter") // which were meant for the reason
	if len(b.line.commands) != 0 {
		t.Errorf("asked for %+v", b.last())
	}
	b.at = b.at.Add(deaf)
	b.keys("d")
	b.send(&pb.SessionResponse{Message: &pb.SessionResponse_Rescind{Rescind: &pb.OfferRescinded{OfferId: "o1", Reason: "caller_hung_up"}}})
	b.hides("Decline, because", "INCOMING")
	b.shows("the caller hung up")
	b.keys("1") // of a menu that has gone
	if len(b.line.commands) != 0 {
		t.Errorf("asked for %+v", b.last())
	}
}

func TestTheCallbackCard(t *testing.T) {
	b := newBench(t, 80, 24)
	b.welcome(talks("", "cb1"))
	b.shows("CALL THIS NUMBER NOW", "callback cb1")
	b.send(found{callback: &pb.Callback{CallbackId: "cb1", Caller: "*********8001", Queue: "billing", Tier: pb.Tier_TIER_MID, Attempts: 1,
		LastResult: pb.CallbackResult_CALLBACK_RESULT_BUSY, Deadline: timestamppb.New(morning.Add(5 * time.Hour)), Note: "after 5"}})
	b.keys("t", "asked for 王", "enter")
	b.matches("callback-80")
	b.keys("3")
	if c := b.last(); c.kind != report || c.callback != "cb1" || c.result != pb.CallbackResult_CALLBACK_RESULT_BUSY || c.note != "asked for 王" {
		t.Errorf("asked for %+v", c)
	}
}

func TestLeaving(t *testing.T) {
	b := newBench(t, 80, 24)
	b.welcome(ready())
	b.keys("q")
	if c := b.last(); c.kind != signOut || c.force {
		t.Errorf("asked for %+v", c)
	}
	b.shows("Signing out…")
	b.answer(&pb.SessionResult{})
	if !b.quit || b.end != nil {
		t.Errorf("quit %v, %v", b.quit, b.end)
	}

	b = newBench(t, 80, 24)
	b.welcome(talks("c1", ""))
	b.keys("q")
	b.shows("Sign out in the middle of a call?")
	b.keys("n", "ctrl+c", "ctrl+c")
	if c := b.last(); c.kind != signOut || !c.force {
		t.Errorf("asked for %+v", c)
	}
	b.at = b.at.Add(quitWithin + time.Millisecond)
	b.send(lookMsg{})
	if !b.quit || !errors.Is(b.end, ErrNotSignedOut) {
		t.Errorf("quit %v, %v", b.quit, b.end)
	}

	b = newBench(t, 80, 24)
	b.send(ended{status.Error(codes.NotFound, "queue nope is unknown"), false})
	if !b.quit || status.Code(b.end) != codes.NotFound {
		t.Errorf("quit %v, %v", b.quit, b.end)
	}
}

func TestTakenOverAndSignedOut(t *testing.T) {
	b := newBench(t, 80, 24)
	b.welcome(ready())
	b.send(ended{status.Error(codes.Aborted, "taken over"), true})
	b.shows("▲ elsewhere", "another softphone")
	b.keys("a", "n", "s")
	if b.line.opened != 1 || len(b.line.commands) != 0 {
		t.Errorf("opened %d times, %d commands", b.line.opened, len(b.line.commands))
	}
	b.welcome(ready())
	b.send(ended{status.Error(codes.FailedPrecondition, "the agent has signed out"), false})
	b.shows("You are signed out", "the agent has signed out")
	b.keys("q") // nothing to sign out of
	if !b.quit || len(b.line.commands) != 0 {
		t.Errorf("quit %v, %d commands", b.quit, len(b.line.commands))
	}
}

func TestAutoAnswers(t *testing.T) {
	chance := 0.05
	b := newBench(t, 80, 24, func(o *Options) {
		o.Auto = &Auto{Handle: 30 * time.Second, Decline: 0.1, Result: pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER, Chance: func() float64 { return chance }}
	})
	b.welcome(ready())
	b.offered(offerOf("o1", "c1", pb.Tier_TIER_MID, b.at, 0))
	if c := b.last(); c.kind != decline || c.offer != "o1" {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{})
	chance = 0.1
	b.offered(offerOf("o2", "c2", pb.Tier_TIER_MID, b.at, 0))
	if c := b.last(); c.kind != accept || c.offer != "o2" {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{Call: &pb.Call{CallId: "c2", State: pb.CallState_CALL_STATE_ANSWERED}})
	b.at = b.at.Add(30*time.Second - time.Millisecond)
	b.send(lookMsg{})
	if c := b.last(); c.kind != accept {
		t.Errorf("asked for %+v before the time", c)
	}
	b.at = b.at.Add(time.Millisecond)
	b.send(lookMsg{})
	if c := b.last(); c.kind != complete || c.call != "c2" {
		t.Errorf("asked for %+v", c)
	}
	n := len(b.line.commands)
	b.answer(&pb.SessionResult{}) // the daemon has not said yet that the agent wraps up
	b.send(lookMsg{})
	if len(b.line.commands) != n {
		t.Errorf("asked for %+v twice", b.last())
	}
	b.is(talks("", "cb1"))
	b.at = b.at.Add(30 * time.Second)
	b.send(lookMsg{})
	if c := b.last(); c.kind != report || c.result != pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER {
		t.Errorf("asked for %+v", c)
	}
	b.answer(&pb.SessionResult{Callback: &pb.Callback{CallbackId: "cb1", State: pb.CallbackState_CALLBACK_STATE_FAILED}})
	b.is(&pb.Agent{State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "lunch"}) // chosen by somebody
	n = len(b.line.commands)
	b.send(lookMsg{})
	if len(b.line.commands) != n {
		t.Errorf("asked for %+v", b.last())
	}
	b.is(&pb.Agent{State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "no_answer"})
	if c := b.last(); c.kind != setReady {
		t.Errorf("asked for %+v", c)
	}
}

// FuzzScreen: whatever comes from outside, the screen keeps its size.
func FuzzScreen(f *testing.F) {
	f.Add("7001", "+8613800138000", "billing", "王", "lunch", 80, 24)
	f.Add("\x1b[2J", "", "q\n", strings.Repeat("長", 300), "\x00", 31, 11)
	f.Fuzz(func(t *testing.T, agent, caller, queue, attribute, reason string, width, height int) {
		if width < 1 || width > 300 || height < 1 || height > 200 {
			t.Skip()
		}
		b := newBench(t, width, height, func(o *Options) { o.Agent = agent })
		o := offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 0)
		o.Call.Caller, o.Call.Queue, o.Call.Attributes, o.Why = caller, queue, map[string]string{attribute: attribute}, reason
		b.phone.hear(&pb.SessionResponse{Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{Agent: ready(), Now: timestamppb.New(b.at)}}}, b.clock)
		check := func() {
			lines := b.screen()
			if len(lines) > height {
				t.Errorf("%d lines on a screen of %d", len(lines), height)
			}
			for _, l := range lines {
				if w := ansi.StringWidth(l); w > width {
					t.Errorf("%d columns on a screen of %d: %q", w, width, l)
				}
				if strings.ContainsAny(ansi.Strip(l), "\x1b\x00\n\r") {
					t.Errorf("a line can move the cursor: %q", l)
				}
			}
		}
		check()
		b.phone.offer = o
		check()
		b.phone.rescinded(&pb.OfferRescinded{OfferId: "o1", Reason: reason}, b.at)
		b.phone.agent = &pb.Agent{State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: reason}
		check()
		b.phone.agent, b.phone.call = talks("c1", ""), o.GetCall()
		check()
	})
}
