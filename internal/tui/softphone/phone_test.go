package softphone

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// desk is a phone on virtual time.
type desk struct {
	*Phone
	t     *testing.T
	now   time.Time // of this machine, which is three minutes slow
	clock *tui.Clock
}

var morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const slow = 3 * time.Minute

func newDesk(t *testing.T) *desk {
	d := &desk{Phone: &Phone{site: "main", id: "7001", agent: &pb.Agent{}}, t: t, now: morning.Add(-slow)}
	d.clock = tui.NewClock(func() time.Time { return d.now })
	return d
}

// open opens a session in which the agent is in a state.
func (d *desk) open(a *pb.Agent) {
	d.hear(&pb.SessionResponse{Message: &pb.SessionResponse_Welcome{Welcome: &pb.SessionWelcome{
		Agent: a, HeartbeatEvery: durationpb.New(3 * time.Second), Now: timestamppb.New(d.now.Add(slow)),
	}}}, d.clock)
}

func (d *desk) hears(m any) { d.hear(m, d.clock) }

func (d *desk) offered(o *pb.Offer) {
	d.hears(&pb.SessionResponse{Message: &pb.SessionResponse_Offer{Offer: o}})
	d.hears(&pb.SessionResponse{Message: &pb.SessionResponse_Agent{Agent: has1(o)}})
}

func (d *desk) rescinds(id, reason string) {
	d.hears(&pb.SessionResponse{Message: &pb.SessionResponse_Rescind{Rescind: &pb.OfferRescinded{OfferId: id, Reason: reason}}})
}

func (d *desk) is(a *pb.Agent) {
	d.hears(&pb.SessionResponse{Message: &pb.SessionResponse_Agent{Agent: a}})
}

func (d *desk) says(want string) {
	d.t.Helper()
	if d.notice.text != want {
		d.t.Errorf("the notice is %q, want %q", d.notice.text, want)
	}
}

func (d *desk) screenHas(offer string) {
	d.t.Helper()
	if got := d.offer.GetOfferId(); got != offer {
		d.t.Errorf("on the screen is offer %q, want %q", got, offer)
	}
}

func (d *desk) lastWas(id, what string) {
	d.t.Helper()
	e := d.lastOf(id)
	if e == nil || e.what != what {
		d.t.Errorf("the past has %+v of %s, want %q", e, id, what)
	}
}

func ready() *pb.Agent {
	return &pb.Agent{AgentId: "7001", State: pb.AgentState_AGENT_STATE_READY, Since: timestamppb.New(morning), Available: true}
}

func has1(o *pb.Offer) *pb.Agent {
	return &pb.Agent{
		AgentId: "7001", State: pb.AgentState_AGENT_STATE_OFFERED, OfferId: o.GetOfferId(), CallId: o.GetCall().GetCallId(),
		CallbackId: o.GetCallback().GetCallbackId(), Since: o.GetOfferedAt(),
	}
}

func talks(call, callback string) *pb.Agent {
	return &pb.Agent{AgentId: "7001", State: pb.AgentState_AGENT_STATE_TALKING, CallId: call, CallbackId: callback, Since: timestamppb.New(morning)}
}

// offerOf is an offer of a call that has waited for a time.
func offerOf(id, call string, tier pb.Tier, at time.Time, waited time.Duration) *pb.Offer {
	return &pb.Offer{
		OfferId: id, AgentId: "7001", OfferedAt: timestamppb.New(at), ExpiresAt: timestamppb.New(at.Add(20 * time.Second)), Why: "longest_idle",
		Call: &pb.Call{
			CallId: call, Caller: "+8613800138000", Queue: "billing", Tier: tier, State: pb.CallState_CALL_STATE_OFFERED,
			JoinedAt: timestamppb.New(at.Add(-waited)), Wait: durationpb.New(waited),
		},
	}
}

func TestAnOfferGoesTheMomentItIsNotTheAgents(t *testing.T) {
	d := newDesk(t)
	d.open(ready())
	d.offered(offerOf("o1", "c1", pb.Tier_TIER_ORDINARY, morning, 0))
	d.screenHas("o1")
	d.rescinds("o1", "preempted")
	d.screenHas("")
	d.says("Offer withdrawn: a VIP needs you")
	d.lastWas("o1", "a VIP needs you")
	d.offered(offerOf("o2", "c2", pb.Tier_TIER_VIP, morning, 0))
	d.screenHas("o2")
	// The session's view of the agent may be ahead of its events: the offer goes
	// then, and why is said when it is known.
	d.is(ready())
	d.screenHas("")
	d.rescinds("o2", "caller_hung_up")
	d.says("Offer withdrawn: the caller hung up")
	d.lastWas("o2", "the caller hung up")
	// A reason that this tool does not know is told as it stands.
	d.offered(offerOf("o3", "c3", pb.Tier_TIER_MID, morning, 0))
	d.rescinds("o3", "brand_new")
	d.says("Offer withdrawn: brand new")
	if len(d.past) != 3 {
		t.Errorf("the past has %d entries, want 3", len(d.past))
	}
}

func TestAnOfferExpiresByTheDaemonsClock(t *testing.T) {
	d := newDesk(t)
	d.open(ready())
	d.offered(offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 0))
	d.now = d.now.Add(20*time.Second - time.Millisecond)
	if d.expire(d.clock.Now()) {
		t.Fatal("it expired a millisecond early")
	}
	d.now = d.now.Add(time.Millisecond)
	if !d.expire(d.clock.Now()) {
		t.Fatal("it did not expire")
	}
	d.screenHas("")
	d.rescinds("o1", "expired") // the daemon says so, too
	if d.missed != 1 || len(d.past) != 1 {
		t.Errorf("%d missed, %d entries; want one", d.missed, len(d.past))
	}
	// One that is being accepted is left to the daemon.
	d.offered(offerOf("o2", "c2", pb.Tier_TIER_MID, d.clock.Now(), 0))
	d.busy = &command{kind: accept, offer: "o2"}
	d.now = d.now.Add(time.Minute)
	if d.expire(d.clock.Now()) {
		t.Error("an offer that is being accepted expired")
	}
}

func TestAnOfferInDoubt(t *testing.T) {
	for _, c := range []struct {
		name   string
		agent  func(o *pb.Offer) *pb.Agent
		shown  string
		called string
		then   func(d *desk)
		notice string
	}{
		{"it is still the agent's", has1, "o1", "", nil, ""},
		{"it has gone, and why is told later", func(*pb.Offer) *pb.Agent { return ready() }, "", "", func(d *desk) { d.rescinds("o1", "preempted") }, "Offer withdrawn: a VIP needs you"},
		{"it has gone, and why is never told", func(*pb.Offer) *pb.Agent { return ready() }, "", "", nil, "Offer withdrawn: the connection was lost"},
		{"its accept came through", func(o *pb.Offer) *pb.Agent { return talks("c1", "") }, "", "c1", nil, ""},
		{"another is there", func(*pb.Offer) *pb.Agent { return has1(&pb.Offer{OfferId: "o2"}) }, "o2", "",
			func(d *desk) { d.offered(offerOf("o2", "c2", pb.Tier_TIER_VIP, morning, 0)) }, "Offer withdrawn: the connection was lost"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			d.open(ready())
			o := offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 0)
			d.offered(o)
			d.hears(lost{errors.New("cut"), time.Second})
			d.screenHas("") // whose it is, nobody knows
			if d.link != Lost {
				t.Errorf("the link is %d", d.link)
			}
			d.hears(opening{})
			d.screenHas("")
			d.open(c.agent(o))
			if c.then != nil {
				c.then(d)
			}
			d.screenHas(c.shown)
			if got := d.call.GetCallId(); got != c.called {
				t.Errorf("talks on %q, want %q", got, c.called)
			}
			d.says(c.notice)
		})
	}
}

func TestAcceptingInEveryOrder(t *testing.T) {
	o := offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 4*time.Second)
	answered := &pb.Call{CallId: "c1", Queue: "billing", Tier: pb.Tier_TIER_MID, State: pb.CallState_CALL_STATE_ANSWERED, Wait: durationpb.New(5 * time.Second), AnsweredAt: timestamppb.New(morning)}
	cmd := &command{kind: accept, offer: "o1"}
	result := done{cmd: cmd, SessionResult: &pb.SessionResult{Call: answered}}
	ended := &pb.SessionResponse{Message: &pb.SessionResponse_CallEnded{CallEnded: &pb.SessionCallEnded{
		Call: &pb.Call{CallId: "c1", Reason: "caller_hung_up", AnsweredAt: timestamppb.New(morning), EndedAt: timestamppb.New(morning.Add(time.Minute))},
	}}}
	for _, c := range []struct {
		name   string
		heard  []func(*desk)
		talks  bool
		notice string
	}{
		{"the answer first", []func(*desk){func(d *desk) { d.hears(result) }, func(d *desk) { d.is(talks("c1", "")) }}, true, ""},
		{"the agent first", []func(*desk){func(d *desk) { d.is(talks("c1", "")) }, func(d *desk) { d.hears(result) }}, true, ""},
		{"the answer last, after the end", []func(*desk){func(d *desk) { d.is(talks("c1", "")) }, func(d *desk) { d.hears(ended) }, func(d *desk) { d.is(ready()) }, func(d *desk) { d.hears(result) }}, false, ""},
		{"the end", []func(*desk){func(d *desk) { d.hears(result) }, func(d *desk) { d.hears(ended) }, func(d *desk) { d.is(ready()) }}, false, "The call is over: the caller hung up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			d.open(ready())
			d.offered(o)
			d.busy = cmd
			for _, hear := range c.heard {
				hear(d)
			}
			d.screenHas("")
			if d.talking() != c.talks || (d.call.GetCallId() == "c1") != c.talks {
				t.Errorf("talking %v on %q, want %v", d.talking(), d.call.GetCallId(), c.talks)
			}
			if d.busy != nil || d.answered != 1 {
				t.Errorf("busy %v, %d answered", d.busy, d.answered)
			}
			d.says(c.notice)
		})
	}
}

func TestRefusedCommands(t *testing.T) {
	d := newDesk(t)
	d.open(ready())
	d.offered(offerOf("o1", "c1", pb.Tier_TIER_MID, morning, 0))
	cmd := &command{kind: accept, offer: "o1"}
	d.busy = cmd
	d.hears(done{cmd: cmd, err: status.Error(codes.FailedPrecondition, "the offer was rescinded: preempted\x1b[2J")})
	d.screenHas("")
	d.says("That did not work: the offer was rescinded: preempted?[2J")
	d.rescinds("o1", "preempted")
	d.lastWas("o1", "a VIP needs you")
	if len(d.past) != 1 {
		t.Errorf("the past has %d entries, want 1", len(d.past))
	}
}

func TestCallbackResults(t *testing.T) {
	for state, want := range map[pb.CallbackState]string{
		pb.CallbackState_CALLBACK_STATE_DONE:    "Noted. Thank you",
		pb.CallbackState_CALLBACK_STATE_FAILED:  "Noted. That was the last attempt",
		pb.CallbackState_CALLBACK_STATE_PENDING: "Noted. It will be tried again from " + clockTime(morning.Add(time.Hour), morning),
	} {
		d := newDesk(t)
		d.open(ready())
		o := offerOf("o1", "", pb.Tier_TIER_MID, morning, 0)
		o.Call, o.Callback = nil, &pb.Callback{CallbackId: "cb1", Queue: "billing", Tier: pb.Tier_TIER_MID, Caller: "+8613800138001"}
		d.offered(o)
		d.hears(done{cmd: &command{kind: accept, offer: "o1"}, SessionResult: &pb.SessionResult{Callback: o.GetCallback()}})
		if !d.talking() || d.callback.GetCallbackId() != "cb1" {
			t.Fatalf("the agent is at %v", d.agent)
		}
		d.now = d.now.Add(90 * time.Second)
		d.hears(done{
			cmd:           &command{kind: report, callback: "cb1", result: pb.CallbackResult_CALLBACK_RESULT_BUSY},
			SessionResult: &pb.SessionResult{Callback: &pb.Callback{CallbackId: "cb1", State: state, DueAt: timestamppb.New(morning.Add(time.Hour))}},
		})
		d.says(want)
		if e := d.lastOf("cb1"); e.what != "busy" || e.talked != 90*time.Second || !e.callback {
			t.Errorf("the past has %+v", e)
		}
	}
}

func TestThePastIsBounded(t *testing.T) {
	d := newDesk(t)
	d.open(ready())
	for range keptPast + 50 {
		d.lose(offerOf("o", "c", pb.Tier_TIER_MID, morning, 0), "declined", morning)
	}
	if len(d.past) != keptPast {
		t.Errorf("%d entries are kept, want %d", len(d.past), keptPast)
	}
}
