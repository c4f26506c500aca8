package rpc_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// heard is what a daemon tells its metrics.
type heard struct {
	mu     sync.Mutex
	counts map[string]int
}

func (h *heard) add(n int, words ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts == nil {
		h.counts = map[string]int{}
	}
	h.counts[strings.Join(words, " ")] += n
}

func (h *heard) want(t *testing.T, words string, n int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.counts[words] != n {
		t.Errorf("told of %q %d times, want %d; all: %v", words, h.counts[words], n, h.counts)
	}
}

func (h *heard) listen(_ *queue.Site, o *rpc.Options) {
	o.Tell = rpc.Tell{
		Limit:    func(limit, role string) { h.add(1, limit, role) },
		Flood:    func(site, sw, reason string) { h.add(1, site, sw, reason) },
		VIPClaim: func(site, sw string, n int) { h.add(n, site, sw, "claim") },
	}
}

const (
	vipNumber = "+8613800138001"
	full      = pb.Attestation_ATTESTATION_FULL
)

// attested asks for attestation, with one switch that is trusted and others that
// are not.
func attested(_ *queue.Site, o *rpc.Options) {
	o.VIPRequiresAttestation = true
	o.Switches = map[string]rpc.Switch{"good": {Trust: tiering.AttestationFull}, "*": {Trust: tiering.AttestationPartial}}
}

func (r *rig) makeVIP(number string) {
	r.t.Helper()
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: number, Tier: pb.Tier_TIER_VIP}))(r.t)
}

func (r *rig) from(sw, call, caller string, a pb.Attestation) *pb.Call {
	r.t.Helper()
	req := &pb.CallArrivedRequest{SwitchId: sw, CallId: call, Caller: caller, Attestation: a}
	return must(r.sw.CallArrived(r.ctx(), req))(r.t).GetCall()
}

func wantTier(t *testing.T, what string, c *pb.Call, tier pb.Tier, unattested bool) {
	t.Helper()
	if c.GetTier() != tier || c.GetUnattestedVip() != unattested {
		t.Errorf("%s: served as %v, unattested %v; want %v, %v", what, c.GetTier(), c.GetUnattestedVip(), tier, unattested)
	}
}

func TestAForgedVIPIsServedAsOrdinaryWhicheverWayItComes(t *testing.T) {
	const vip, plain = pb.Tier_TIER_VIP, pb.Tier_TIER_ORDINARY
	var h heard
	r := newRig(t, attested, h.listen)
	r.makeVIP(vipNumber)

	wantTier(t, "vouched for by a switch that is trusted", r.from("good", "g1", vipNumber, full), vip, false)
	wantTier(t, "by that switch, not vouched for", r.from("good", "g2", vipNumber, pb.Attestation_ATTESTATION_PARTIAL), plain, true)
	wantTier(t, "nothing said", r.from("good", "g3", vipNumber, pb.Attestation_ATTESTATION_UNSPECIFIED), plain, true)
	forged := r.from("bad", "b1", vipNumber, full)
	wantTier(t, "vouched for by a switch that is not trusted", forged, plain, true)
	if forged.GetAttestation() != pb.Attestation_ATTESTATION_PARTIAL {
		t.Errorf("its word is worth %v", forged.GetAttestation())
	}
	wantTier(t, "told twice", r.from("bad", "b1", vipNumber, full), plain, true)
	why := must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: "b1"}))(t).GetReasons()
	if text := strings.Join(why, "\n"); !strings.Contains(text, "did not vouch") || !strings.Contains(text, "switch bad") || !strings.Contains(text, "partial") {
		t.Errorf("explained as:\n%s", text)
	}
	h.want(t, "main good claim", 2)
	h.want(t, "main * claim", 1)

	// A stream of the switch.
	stream := must(r.sw.Connect(r.ctx()))(t)
	if err := stream.Send(&pb.ConnectRequest{SwitchId: "bad", RequestId: "r1", Message: &pb.ConnectRequest_Arrived{
		Arrived: &pb.CallArrivedRequest{CallId: "b2", Caller: vipNumber, Attestation: full},
	}}); err != nil {
		t.Fatal(err)
	}
	m := recvUntil(t, "the result", stream.Recv, func(m *pb.ConnectResponse) bool { return m.GetResult() != nil })
	wantTier(t, "over a stream", m.GetResult().GetCall(), plain, true)
	h.want(t, "main * claim", 2)

	// What a switch says it still has.
	live := []*pb.LiveCall{{CallId: "b1"}, {CallId: "b2"}, {CallId: "b3", Caller: vipNumber, Attestation: full}}
	for range 2 { // the second time it is known
		must(r.sw.Reconcile(r.ctx(), &pb.ReconcileRequest{SwitchId: "bad", Calls: live}))(t)
		wantTier(t, "reconciled", r.call("b3"), plain, true)
		h.want(t, "main * claim", 3)
	}

	// A lookup that answers late.
	answer := r.tiers.hold()
	wantTier(t, "not known yet", r.from("bad", "b4", vipNumber, full), plain, false)
	wantTier(t, "not known yet", r.from("good", "g4", vipNumber, full), plain, false)
	answer()
	for _, id := range []string{"b4", "g4"} {
		r.until("the late answer for "+id, func(e *queue.Event) bool { return e.Type == queue.EventCallReranked && e.Call == id })
	}
	wantTier(t, "known late", r.call("b4"), plain, true)
	wantTier(t, "known late, vouched for", r.call("g4"), vip, false)

	// The back office makes a VIP of a number whose calls wait already.
	const late = "+8613800138002"
	r.from("bad", "b5", late, full)
	r.from("good", "g5", late, full)
	r.makeVIP(late)
	wantTier(t, "made a VIP while waiting", r.call("b5"), plain, true)
	wantTier(t, "made a VIP while waiting, vouched for", r.call("g5"), vip, false)

	// A supervisor knows better.
	must(r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "b5", Tier: vip}))(t)
	wantTier(t, "made a VIP by hand", r.call("b5"), vip, false)
}

func TestAFloodIsRefusedWithItsReasonAndCounted(t *testing.T) {
	var h heard
	r := newRig(t, attested, h.listen, func(_ *queue.Site, o *rpc.Options) {
		o.Arrivals = rpc.ArrivalLimits{PerNumber: 3, PerSwitch: 10, VIPShare: 0.2}
	})
	r.makeVIP(vipNumber)
	const same = "+8613800138009"
	for i := range 3 {
		for range 5 { // told again and again
			if c := r.from("bad", fmt.Sprint("n", i), same, 0); c.GetState() != pb.CallState_CALL_STATE_WAITING {
				t.Fatalf("call %d of a number: %v %s", i, c.GetState(), c.GetReason())
			}
		}
	}
	refused := r.from("bad", "n3", same, 0)
	if refused.GetState() != pb.CallState_CALL_STATE_REFUSED || refused.GetReason() != queue.ReasonNumberFlood {
		t.Fatalf("the fourth call of a number: %v %s", refused.GetState(), refused.GetReason())
	}
	// The switch has brought 3 of the 8 that everybody may.
	for i := range 100 {
		c := r.from("bad", fmt.Sprint("f", i), fmt.Sprintf("+86139%08d", i), full)
		if in := c.GetState() == pb.CallState_CALL_STATE_WAITING; in != (i < 5) {
			t.Fatalf("call %d of the flood: %v %s", i, c.GetState(), c.GetReason())
		}
	}
	wantFlood := func(what string, c *pb.Call) {
		t.Helper()
		if c.GetState() != pb.CallState_CALL_STATE_REFUSED || c.GetReason() != queue.ReasonSwitchFlood {
			t.Errorf("%s: %v %s", what, c.GetState(), c.GetReason())
		}
	}
	wantFlood("a forged VIP of the flood", r.from("bad", "v1", vipNumber, full))
	wantFlood("of a switch by another name", r.from("bad-2", "v2", "+8613900000999", 0))
	if c := r.from("bad", "f2", "+8613900000002", full); c.GetState() != pb.CallState_CALL_STATE_WAITING {
		t.Errorf("a call that waits, told again: %v", c.GetState())
	}
	wantTier(t, "a VIP at another switch", r.from("good", "v3", vipNumber, full), pb.Tier_TIER_VIP, false)
	counts := must(r.engine.Cohorts(r.ctx(), 0, r.engine.Now().Add(1)))(t)
	n, events := int64(0), 0
	for _, c := range counts {
		n += c.Counts.Refused
	}
	if n != 98 {
		t.Errorf("%d calls are counted as refused, want 98", n)
	}
	var after uint64
	for {
		list, err := r.engine.Events(r.ctx(), after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if list[i].Type == queue.EventCallRefused {
				events++
			}
		}
		if after = list[len(list)-1].Seq; after == must(r.engine.LastEvent(r.ctx()))(t) {
			break
		}
	}
	if events != 98 {
		t.Errorf("%d events of refusals, want 98", events)
	}
	h.want(t, "main * "+queue.ReasonNumberFlood, 1)
	h.want(t, "main * "+queue.ReasonSwitchFlood, 97)
	why := must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: "v1"}))(t).GetReasons()
	if !strings.Contains(strings.Join(why, "\n"), "more calls of its switch") {
		t.Errorf("explained as %q", why)
	}
}

func TestAFloodOfForgedCallsDoesNotLockItsVIPOut(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *rpc.Options) {
		o.VIPRequiresAttestation = true
		o.Switches = map[string]rpc.Switch{"carrier-a": {Trust: tiering.AttestationFull}, "rogue": {Trust: tiering.AttestationNone}}
		o.Arrivals = rpc.ArrivalLimits{PerNumber: 6, PerSwitch: 60_000, VIPShare: 0.2}
	})
	r.makeVIP(vipNumber)
	for i := range 7 {
		c := r.from("rogue", fmt.Sprint("r", i), vipNumber, full)
		if in := c.GetState() == pb.CallState_CALL_STATE_WAITING; in != (i < 6) {
			t.Fatalf("forged call %d: %v %s", i, c.GetState(), c.GetReason())
		}
	}
	c := r.from("carrier-a", "genuine", vipNumber, full)
	if c.GetState() != pb.CallState_CALL_STATE_WAITING {
		t.Errorf("the genuine call: %v %s", c.GetState(), c.GetReason())
	}
	wantTier(t, "the genuine call", c, pb.Tier_TIER_VIP, false)
}

// A switch that comes back with what it holds was let in before.
func TestReconcileIsNoFlood(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *rpc.Options) { o.Arrivals = rpc.ArrivalLimits{PerNumber: 1, PerSwitch: 1} })
	req := &pb.ReconcileRequest{SwitchId: "sw", AsOf: timestamppb.New(r.engine.Now().Time())}
	for i := range 50 {
		req.Calls = append(req.Calls, &pb.LiveCall{CallId: fmt.Sprint("c", i), Caller: "+8613800138000"})
	}
	if res := must(r.sw.Reconcile(r.ctx(), req))(t); res.GetAdded() != 50 {
		t.Errorf("%d of 50 were added", res.GetAdded())
	}
}
