package rpc_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/audit"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// recording lets a rig keep an audit record, signed and keyed.
func recording(t *testing.T) (log *audit.Log, dir string, set setting) {
	t.Helper()
	key, err := audit.NewKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if log, err = audit.Open(audit.Options{Dir: dir, Key: key}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log, dir, func(_ *queue.Site, o *optsT) { o.Audit = log }
}

// recorded verifies the record and returns its changes in short: action, object,
// before, after and code.
func recorded(t *testing.T, dir string) (out []string) {
	t.Helper()
	if r, err := audit.Verify(dir, audit.Verification{}); err != nil || r.Fault != nil {
		t.Fatal(err, r)
	}
	err := audit.Read(dir, audit.Filter{}, func(e *audit.Entry) error {
		if e.Kind != audit.Intent {
			return nil
		}
		if e.Site != "main" || e.Who == nil || e.Who.By != "open" || !strings.HasPrefix(e.Who.Peer, "127.0.0.1:") {
			t.Errorf("%s at %s is by %+v", e.Action, e.Site, e.Who)
		}
		object := ""
		if o := e.Object; o != nil {
			object = o.Call + o.Agent + o.Queue + o.Caller
			if o.Callback != "" {
				object += "callback"
			}
			if (o.Caller == "") != (o.CallerKey == "") {
				t.Errorf("%s: the caller is %q and keyed %q", e.Action, o.Caller, o.CallerKey)
			}
		}
		before, after := values(e.Outcome.Before), values(e.Outcome.After)
		out = append(out, strings.Join([]string{e.Action, object, before + ">" + after, e.RequestID, e.Code()}, " "))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// values are those that differ from run to run left out.
func values(v map[string]string) string {
	var out []string
	for key, value := range v {
		if key != "callback" && key != "due" && key != "ends" && value != "" {
			out = append(out, key+"="+value)
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func TestEveryChangeByHandIsRecorded(t *testing.T) {
	log, dir, set := recording(t)
	r := newRig(t, set, func(s *queue.Site, _ *optsT) { s.Callback.WindowFrom, s.Callback.WindowTo = 0, 24*time.Hour })
	due := timestamppb.New(time.Now().Add(time.Hour))
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "138 0013 8000", Tier: pb.Tier_TIER_MID, Note: "13800138000", RequestId: "r1"}))(t)
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "threats, from 138-0013-8000 too"}))(t)
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Remove: true}))(t)
	r.signIn("7001")
	r.arrive("c1", "13800138000")
	must(r.agent.SetState(r.ctx(), &pb.SetStateRequest{AgentId: "7001", State: pb.AgentState_AGENT_STATE_NOT_READY}))(t) // its own: not recorded
	must(r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "c1", Tier: pb.Tier_TIER_VIP, RequestId: "r2"}))(t)
	must(r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "c1", Tier: pb.Tier_TIER_VIP, RequestId: "r2"}))(t)
	must(r.sup.MoveCall(r.ctx(), &pb.MoveCallRequest{CallId: "c1", Queue: "billing"}))(t)
	if _, err := r.sup.MoveCall(r.ctx(), &pb.MoveCallRequest{CallId: "c9", Queue: "billing"}); codeOf(err) != codes.NotFound {
		t.Fatal(err)
	}
	if _, err := r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000"}); codeOf(err) != codes.InvalidArgument {
		t.Fatal(err) // What is no change is not recorded.
	}
	cb := must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138000", Queue: "default", Note: "13800138000"}))(t).GetCallback()
	must(r.back.Reschedule(r.ctx(), &pb.CallbackServiceRescheduleRequest{CallbackId: cb.GetCallbackId(), DueAt: due}))(t)
	must(r.back.Claim(r.ctx(), &pb.CallbackServiceClaimRequest{CallbackId: cb.GetCallbackId(), Claimant: "7001", RequestId: "r3"}))(t)
	must(r.back.Report(r.ctx(), &pb.CallbackServiceReportRequest{
		CallbackId: cb.GetCallbackId(), Claimant: "7001", Result: pb.CallbackResult_CALLBACK_RESULT_BUSY, Note: "13800138000",
	}))(t)
	must(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: cb.GetCallbackId(), Reason: "8613800138000 rang"}))(t)
	must(r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "7001", Force: true}))(t)
	r.stop()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	const caller = "+86*******8000"
	want := []string{
		"tier.set " + caller + " known=false,tier=ordinary>known=true,tier=mid r1 OK",
		"blacklist.add " + caller + " known=true,tier=mid>known=true,tier=blacklist  OK",
		"blacklist.remove " + caller + " known=true,tier=blacklist>known=true,tier=mid  OK",
		"call.set_tier c1 queue=default,state=waiting,tier=mid>queue=default,state=waiting,tier=vip r2 OK",
		"call.set_tier c1 queue=default,state=waiting,tier=vip>duplicate=true,queue=default,state=waiting,tier=vip r2 OK",
		"call.move c1 queue=default,state=waiting,tier=vip>queue=billing,state=waiting,tier=vip  OK",
		"call.move c9 >  NotFound",
		"callback.create default" + caller + " >caller=" + caller + ",state=pending  OK",
		"callback.reschedule callback >caller=" + caller + ",state=pending  OK",
		"callback.claim callback >caller=" + caller + ",state=claimed r3 OK",
		"callback.report callback >caller=" + caller + ",state=pending  OK",
		"callback.cancel callback >caller=" + caller + ",state=cancelled  OK",
		"agent.sign_out 7001 reason=not_ready,state=not_ready>state=signed_out  OK",
	}
	got := recorded(t, dir)
	for i := range max(len(got), len(want)) {
		g, w := "", ""
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("record %d:\n got %q\nwant %q", i, g, w)
		}
	}
	noNumber(t, dir)
}

// noNumber fails when the caller's number can be read in the record.
func noNumber(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, spelling := range []string{"13800138000", "1380013", "138 0013", "138-0013"} {
			if bytes.Contains(text, []byte(spelling)) {
				t.Errorf("%s holds %q", f, spelling)
			}
		}
	}
}

// TestNothingChangesUnrecorded: a record that can't be written lets no change
// through, of whatever kind, and calls go on.
func TestNothingChangesUnrecorded(t *testing.T) {
	log, dir, set := recording(t)
	r := newRig(t, set)
	r.signIn("7001")
	r.arrive("c1", "13800138000")
	cb := must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13800138000", Queue: "default"}))(t).GetCallback()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	last, err := r.engine.LastEvent(r.ctx())
	if err != nil {
		t.Fatal(err)
	}
	batch := must(r.tier.BatchSet(r.ctx()))(t)
	if err := batch.Send(&pb.TierServiceBatchSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP}); err != nil {
		t.Fatal(err)
	}
	_, batchErr := batch.CloseAndRecv()
	_, setErr := r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP})
	_, blackErr := r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "r"})
	_, tierErr := r.sup.SetTier(r.ctx(), &pb.SetTierRequest{CallId: "c1", Tier: pb.Tier_TIER_VIP})
	_, moveErr := r.sup.MoveCall(r.ctx(), &pb.MoveCallRequest{CallId: "c1", Queue: "billing"})
	_, outErr := r.agent.SignOut(r.ctx(), &pb.SignOutRequest{AgentId: "7001", Force: true})
	_, cancelErr := r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: cb.GetCallbackId()})
	for what, err := range map[string]error{"batch": batchErr, "set": setErr, "blacklist": blackErr, "tier": tierErr, "move": moveErr, "sign-out": outErr, "cancel": cancelErr} {
		if codeOf(err) != codes.Unavailable || reasonOf(err) != "AUDIT_UNAVAILABLE" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if res := must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: "13800138000"}))(t); res.GetKnown() {
		t.Errorf("the directory has %v", res)
	}
	if after, err := r.engine.LastEvent(r.ctx()); err != nil || after != last {
		t.Errorf("%d events, before %d, %v", after, last, err)
	}
	r.arrive("c2", "13800138001")
	if got := recorded(t, dir); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestABatchIsRecordedCallerByCaller(t *testing.T) {
	_, dir, set := recording(t)
	r := newRig(t, set)
	stream := must(r.tier.BatchSet(r.ctx()))(t)
	const n = 2500
	for i := range n {
		item := &pb.TierServiceBatchSetRequest{Caller: fmt.Sprintf("1390013%04d", i), Tier: pb.Tier_TIER_VIP, RequestId: "batch"}
		if i == 7 {
			item.Caller = "no number"
		}
		if err := stream.Send(item); err != nil {
			t.Fatal(err)
		}
	}
	if res := must(stream.CloseAndRecv())(t); res.GetApplied() != n-1 {
		t.Fatal(res.GetApplied())
	}
	seen, applied := map[string]bool{}, map[string]int{}
	err := audit.Read(dir, audit.Filter{Action: "tier.batch"}, func(e *audit.Entry) error {
		applied[e.Outcome.After["applied"]+" of "+e.Want["callers"]+" "+e.RequestID+" "+e.Code()]++
		for _, item := range e.Items {
			if item.Tier != "vip" || !strings.HasPrefix(item.Caller, "+86*******") || seen[item.CallerKey] {
				t.Errorf("%+v", item)
			}
			seen[item.CallerKey] = true
		}
		return nil
	})
	if err != nil || len(seen) != n-1 || applied["2499 of 2499 batch OK"] != 1 {
		t.Errorf("%d callers, %v, %v", len(seen), applied, err)
	}
	key, err := audit.NewKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte("k"), ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	f := audit.Filter{}
	f.Caller, f.CallerKey = key.Caller("main", tiering.Number("+8613900131234"))
	found := 0
	if err := audit.Read(dir, f, func(*audit.Entry) error { found++; return nil }); err != nil || found != 1 {
		t.Errorf("one of its callers is found %d times, %v", found, err)
	}
}
