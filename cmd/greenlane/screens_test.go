package main

import (
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/load"
	"greenlane/internal/load/daemon"
	pb "greenlane/proto/greenlane/v1"
)

// screenConfig has callbacks that are due at once, for calls that are given up at
// once, and times so long that no wait is late on a slow machine either.
const screenConfig = `
sites:
  - name: main
    short_abandon: 0s
    owner_lease: 60s
    ack_timeout: 1m
    sign_in_grace: 1h
    callback: {window_from: "00:00", window_to: "24:00", delay: 1ms, retry_delay: 1h}
    queues:
      - {name: default, threshold: 10m, offer_timeout: 9m}
      - {name: billing, threshold: 10m, offer_timeout: 9m}
`

// centre is a real daemon, and the switch that reports calls to it.
type centre struct {
	t      *testing.T
	daemon *daemon.Daemon
	calls  pb.SwitchServiceClient
	tiers  pb.TierServiceClient
	sup    pb.SupervisorServiceClient
	agents pb.AgentServiceClient
	addr   string
}

func openCentre(t *testing.T) *centre {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real programs")
	}
	d, err := daemon.New(daemon.Options{Binary: os.Args[0], Env: []string{role + "=daemon"}, Config: screenConfig})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Error(err)
		}
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := load.Dial(d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &centre{
		t: t, daemon: d, addr: d.Addr(), calls: pb.NewSwitchServiceClient(conn), tiers: pb.NewTierServiceClient(conn),
		sup: pb.NewSupervisorServiceClient(conn), agents: pb.NewAgentServiceClient(conn),
	}
}

func (c *centre) tier(caller string, tier pb.Tier) {
	c.t.Helper()
	if _, err := c.tiers.Set(c.t.Context(), &pb.TierServiceSetRequest{Caller: caller, Tier: tier}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) arrives(id, caller, queue string, attributes map[string]string) {
	c.t.Helper()
	_, err := c.calls.CallArrived(c.t.Context(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: id, Caller: caller, Queue: queue, Attributes: attributes})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) hangsUp(id string) {
	c.t.Helper()
	if _, err := c.calls.CallAbandoned(c.t.Context(), &pb.CallAbandonedRequest{SwitchId: "sw", CallId: id}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) ends(id string) {
	c.t.Helper()
	if _, err := c.calls.CallEnded(c.t.Context(), &pb.CallEndedRequest{SwitchId: "sw", CallId: id}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *centre) call(id string) *pb.Call {
	c.t.Helper()
	res, err := c.sup.Explain(c.t.Context(), &pb.ExplainRequest{CallId: id})
	if err != nil {
		c.t.Fatal(err)
	}
	return res.GetCall()
}

// agent is how the daemon sees an agent, signed out or not.
func (c *centre) agent(id string) *pb.Agent {
	c.t.Helper()
	res, err := c.sup.ListAgents(c.t.Context(), &pb.ListAgentsRequest{States: []pb.AgentState{
		pb.AgentState_AGENT_STATE_READY, pb.AgentState_AGENT_STATE_NOT_READY, pb.AgentState_AGENT_STATE_OFFERED,
		pb.AgentState_AGENT_STATE_TALKING, pb.AgentState_AGENT_STATE_WRAP_UP, pb.AgentState_AGENT_STATE_SIGNED_OUT,
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, a := range res.GetAgents() {
		if a.GetAgentId() == id {
			return a
		}
	}
	return nil
}

const (
	vip      = "13800138000"
	mid      = "13800138001"
	ordinary = "13800138002"
)

// TestSoftphone is an agent's morning: a pause, a VIP who takes the place of
// another offer, a call, a wrap-up, a callback, and the daemon killed in the
// middle of it.
func TestSoftphone(t *testing.T) {
	c := openCentre(t)
	c.tier(vip, pb.Tier_TIER_VIP)
	c.tier(mid, pb.Tier_TIER_MID)
	x := start(t, 80, 24, nil, "softphone", "--addr", c.addr, "--agent", "7001", "--queues", "default:1,billing:2", "--wrap-up", "5m", "--not-ready")

	x.shows("■ not ready", "Not ready")
	x.matches("softphone-not-ready")
	x.press("?")
	x.shows("accept the offer")
	x.matches("softphone-help")
	x.press("?r")
	x.shows("● ready", "Waiting for the next call")
	x.press("n")
	x.shows("Why are you not ready?")
	x.matches("softphone-reasons")
	x.press("2")
	x.shows("Not ready: lunch")
	x.press("r")
	x.shows("● ready")

	c.arrives("c1", ordinary, "billing", map[string]string{"menu": "2", "language": "中文"})
	x.shows("INCOMING CALL", "[ordinary]", "+86 138 0013 8002", "menu: 2", "No earlier calls")
	x.matches("softphone-offer")
	if a := c.agent("7001"); a.GetState() != pb.AgentState_AGENT_STATE_OFFERED {
		t.Errorf("the agent is %v", a.GetState())
	}

	// The green channel: the VIP takes the place of the other caller, at once.
	c.arrives("c2", vip, "default", nil)
	x.shows("[VIP]", "+86 138 0013 8000", "Offer withdrawn: a VIP needs you", "No earlier calls")
	x.matches("softphone-preempted")
	x.press("a")
	x.shows("TALKING", "[VIP]", "now")
	if got := c.call("c2"); got.GetState() != pb.CallState_CALL_STATE_ANSWERED || got.GetAgentId() != "7001" {
		t.Errorf("the VIP's call is %v at %q", got.GetState(), got.GetAgentId())
	}
	x.press("q")
	x.shows("Sign out in the middle of a call?")
	x.press("n")
	x.shows("TALKING")
	x.press("c")
	x.shows("Wrap-up", "you ended it")
	x.matches("softphone-wrap-up")

	// The ordinary caller kept the place, and hangs up while being offered.
	x.press("r")
	x.shows("INCOMING CALL", "[ordinary]")
	c.hangsUp("c1")
	x.shows("Offer withdrawn: the caller hung up", "Waiting for the next call")

	// A mid-tier caller who hung up is called back.
	x.press("n1")
	x.shows("Not ready: break")
	c.arrives("c3", mid, "default", nil)
	c.hangsUp("c3")
	x.press("r")
	x.shows("CALLBACK TO MAKE", "[mid]")
	x.press("\r")
	x.shows("CALL THIS NUMBER NOW", "What came of it?", "This caller before")
	x.press("t")
	x.shows("note:")
	x.press("ask for 王\r")
	x.shows("note: ask for 王")
	x.matches("softphone-callback")
	x.press("2")
	x.shows("Noted. It will be tried again", "callback", "no answer")

	// Declined, for a reason.
	x.press("r")
	x.shows("Waiting for the next call")
	c.arrives("c4", ordinary, "default", nil)
	x.shows("INCOMING CALL")
	x.press("d")
	x.shows("Decline, because")
	x.press("3")
	x.shows("1 declined")
	x.shows("INCOMING CALL") // nobody else is there

	// The daemon is killed with the offer on the screen.
	if err := c.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	x.shows("▲ reconnecting", "No connection")
	x.press("a") // which must do nothing
	if _, err := c.daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.shows("INCOMING CALL", "◆ ringing")
	if got := c.call("c4"); got.GetState() != pb.CallState_CALL_STATE_OFFERED {
		t.Errorf("the call is %v after a key that was pressed without a connection", got.GetState())
	}
	x.press("a")
	x.shows("TALKING")

	// On a small window the same call fits.
	x.resize(40, 20)
	x.until("forty columns", func(s string) bool {
		return strings.Contains(s, " 7001") && !strings.Contains(s, "GREENLANE") && strings.Contains(s, "c end the call")
	})
	x.matches("softphone-narrow")
	x.resize(80, 24)
	x.shows("GREENLANE", "TALKING")

	// The switch ends the call; then the agent goes home.
	c.ends("c4")
	x.shows("The call is over", "Wrap-up")
	x.press("q")
	if code := x.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if a := c.agent("7001"); a.GetState() != pb.AgentState_AGENT_STATE_SIGNED_OUT {
		t.Errorf("the agent is %v after leaving", a.GetState())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.bells < 5 {
		t.Errorf("it rang %d times for 6 offers", x.bells)
	}
	if !strings.Contains(x.raw.String(), "\x1b[") || !strings.HasSuffix(strings.TrimSpace(x.raw.String()), "h") && x.screen.IsAltScreen() {
		t.Error("the terminal was not given back")
	}
}

// TestSoftphoneElsewhere: another softphone takes the agent over, and this one
// takes it back.
func TestSoftphoneElsewhere(t *testing.T) {
	c := openCentre(t)
	args := []string{"softphone", "--addr", c.addr, "--agent", "7001", "--queues", "default"}
	first := start(t, 80, 24, []string{"NO_COLOR=1"}, args...)
	first.shows("● ready")
	second := start(t, 80, 24, []string{"LANG=C"}, args...) // whose terminal knows ASCII alone
	second.shows("* ready")
	first.shows("open in another softphone")
	first.matches("softphone-elsewhere")
	first.press("s")
	first.shows("● ready")
	second.shows("open in another softphone")
	second.press("q")
	if code := second.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if a := c.agent("7001"); a.GetState() != pb.AgentState_AGENT_STATE_READY {
		t.Errorf("the agent is %v after the other softphone left", a.GetState())
	}
	// A supervisor signs the agent out.
	if _, err := c.agents.SignOut(t.Context(), &pb.SignOutRequest{AgentId: "7001"}); err != nil {
		t.Fatal(err)
	}
	first.shows("You are signed out")
	first.press("s")
	first.shows("● ready")
	first.interrupt()
	if code := first.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if a := c.agent("7001"); a.GetState() != pb.AgentState_AGENT_STATE_SIGNED_OUT {
		t.Errorf("the agent is %v after a SIGTERM", a.GetState())
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	if strings.Contains(first.raw.String(), "\x1b[3") {
		t.Error("there are colours in spite of NO_COLOR")
	}
}

// TestTop is a supervisor's look around, down to one call, while calls come and
// the daemon is killed.
func TestTop(t *testing.T) {
	c := openCentre(t)
	c.tier(vip, pb.Tier_TIER_VIP)
	c.tier(mid, pb.Tier_TIER_MID)
	sign := func(id string, queues ...*pb.AgentQueue) {
		t.Helper()
		if _, err := c.agents.SignIn(t.Context(), &pb.SignInRequest{AgentId: id, Queues: queues}); err != nil {
			t.Fatal(err)
		}
	}
	sign("7001", &pb.AgentQueue{Queue: "default", Level: 1}, &pb.AgentQueue{Queue: "billing", Level: 2})
	sign("7002", &pb.AgentQueue{Queue: "billing", Level: 1})
	c.arrives("c1", mid, "default", nil)
	c.hangsUp("c1") // earns a callback
	c.arrives("c2", ordinary, "default", nil)
	c.arrives("c3", vip, "default", nil)
	c.arrives("c4", "13800138003", "billing", nil)
	res, err := c.agents.NextCall(t.Context(), &pb.NextCallRequest{AgentId: "7002", Wait: durationpb.New(0)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.agents.Accept(t.Context(), &pb.AcceptRequest{AgentId: "7002", OfferId: res.GetOffer().GetOfferId()}); err != nil {
		t.Fatal(err)
	}

	x := start(t, 80, 24, nil, "top", "--addr", c.addr)
	x.shows("2 waiting", "1 talking", "1 due", "all queues")
	x.matches("top-queues")
	x.press("s")
	x.shows("order: waiting")
	x.press("/bill")
	x.until("one queue", func(s string) bool { return strings.Contains(s, "billing") && !strings.Contains(s, ">all queues") })
	x.press("\r")
	x.shows("filter: bill")
	x.press("\x1b")
	x.shows(" all queues", "order: waiting")

	// Down: the queue, the call and why it stands there, and back.
	x.press("g\r")
	x.shows("› all queues", "c3", "c2")
	x.matches("top-calls")
	x.press("j\r")
	x.shows("› call c2", "It waits in queue default as ordinary")
	x.press("\x1b")
	x.shows("› all queues", "c3")
	c.arrives("c5", vip, "default", nil) // pushed into the open list, in its place
	x.until("the new call second", func(s string) bool {
		return strings.Index(s, "c3") > 0 && strings.Index(s, "c5") > strings.Index(s, "c3") && strings.Index(s, "c2") > strings.Index(s, "c5")
	})
	x.press("\x1b")
	x.shows("order: waiting")
	x.press("2")
	x.shows("AGENT", "7001", "7002", "c4")
	x.matches("top-agents")
	x.press("s\r")
	x.shows("› agent", "serves")
	x.press("\x1b")
	x.shows("order: longest")
	x.press("3")
	x.shows("DEADLINE", "+86 138 0013 8001", "due")
	x.matches("top-callbacks")
	x.press("\r")
	x.shows("promised because", "abandoned")

	// The daemon is killed: what is shown is marked as old, and catches up.
	x.press("1")
	x.shows("all queues")
	if err := c.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	x.shows("▲ as of", "No connection")
	if _, err := c.daemon.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.shows("● live", "3 waiting")
	x.press("p")
	x.shows("‖ paused")
	c.hangsUp("c2")
	x.press("?")
	x.shows("let the screen stand still", "‖ paused", "3 waiting")
	x.press("?p")
	x.shows("● live", "2 waiting")
	x.resize(40, 20)
	x.until("forty columns", func(s string) bool { return !strings.Contains(s, "GREENLANE") && strings.Contains(s, "2 waiting") })
	x.matches("top-narrow")
	x.press("q")
	if code := x.ended(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestWithoutATerminal: a script gets an error that says what there is for it, and
// no control characters.
func TestWithoutATerminal(t *testing.T) {
	for _, args := range [][]string{{"top"}, {"softphone", "--agent", "a", "--queues", "q"}} {
		_, err := execute(args...)
		if !isUsage(err) || !strings.Contains(err.Error(), "no terminal") || !strings.Contains(err.Error(), "for scripts") {
			t.Errorf("greenlane %s: %v", strings.Join(args, " "), err)
		}
	}
}
