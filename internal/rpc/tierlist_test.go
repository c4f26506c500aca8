package rpc_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/identity"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// batch sends items and returns the answer.
func (r *rig) batch(items ...*pb.TierServiceBatchSetRequest) *pb.TierServiceBatchSetResponse {
	r.t.Helper()
	stream := must(r.tier.BatchSet(r.ctx()))(r.t)
	for _, item := range items {
		if err := stream.Send(item); err != nil {
			r.t.Fatal(err)
		}
	}
	return must(stream.CloseAndRecv())(r.t)
}

func someCallers(n int) (items []*pb.TierServiceBatchSetRequest) {
	for i := range n {
		items = append(items, &pb.TierServiceBatchSetRequest{
			Caller: fmt.Sprintf("138%08d", i), Tier: pb.Tier(i%4 + 1), Note: "n", Flags: uint32(i % 256),
		})
	}
	return items
}

func TestListCountAndBlacklist(t *testing.T) {
	r := newRig(t)
	items := someCallers(250)
	if res := r.batch(items...); res.GetApplied() != 250 {
		t.Fatalf("%v", res)
	}
	ends := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Second))
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800000000", Reason: "threats", Until: ends}))(t)
	count := must(r.tier.Count(r.ctx(), &pb.TierServiceCountRequest{}))(t)
	if count.GetVip() != 62 || count.GetMid() != 63 || count.GetOrdinary() != 62 || count.GetBlacklist() != 63 {
		t.Errorf("%v", count)
	}
	var all []*pb.TierEntry
	for token := ""; ; {
		page := must(r.tier.List(r.ctx(), &pb.TierServiceListRequest{PageSize: 100, PageToken: token}))(t)
		all = append(all, page.GetEntries()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	first := all[slices.IndexFunc(all, func(e *pb.TierEntry) bool { return e.GetCaller() == "+8613800000000" })]
	if len(all) != 250 || first.GetGrade() != pb.Tier_TIER_VIP || !first.GetBlacklisted() || first.GetNote() != "threats" ||
		!first.GetBlacklistedUntil().AsTime().Equal(ends.AsTime()) || first.GetGradedAt() == nil {
		t.Errorf("%d callers, %v", len(all), first)
	}
	var black []*pb.BlacklistedCaller
	for token := ""; ; {
		page := must(r.tier.ListBlacklist(r.ctx(), &pb.TierServiceListBlacklistRequest{PageSize: 10, PageToken: token}))(t)
		black = append(black, page.GetCallers()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(black) != 63 || black[0].GetCaller() != "+8613800000000" || black[0].GetReason() != "threats" ||
		black[0].GetGrade() != pb.Tier_TIER_VIP || !black[0].GetUntil().AsTime().Equal(ends.AsTime()) || black[0].GetSince() == nil {
		t.Errorf("%d callers, %v", len(black), black[0])
	}
	_, err := r.tier.List(r.ctx(), &pb.TierServiceListRequest{PageToken: "none"})
	wantCode(t, err, codes.InvalidArgument, "page_token")
	_, err = r.tier.ListBlacklist(r.ctx(), &pb.TierServiceListBlacklistRequest{PageToken: "none"})
	wantCode(t, err, codes.InvalidArgument, "page_token")
}

// TestBatchSetDry: nothing is changed, and what would be is what then is.
func TestBatchSetDry(t *testing.T) {
	r := newRig(t)
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138002", Reason: "r"}))(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138001", Tier: pb.Tier_TIER_MID}))(t)
	r.arrive("c1", "13800138001")
	items := []*pb.TierServiceBatchSetRequest{
		{Caller: "13800138001", Tier: pb.Tier_TIER_VIP, DryRun: true},
		{Caller: "13800138002", Tier: pb.Tier_TIER_VIP},
		{Caller: "13800138003", Tier: pb.Tier_TIER_VIP},
		{Caller: "13800138003", Tier: pb.Tier_TIER_ORDINARY},
		{Caller: "13800138003", Tier: pb.Tier_TIER_ORDINARY, Flags: 256},
	}
	before := must(r.tier.Count(r.ctx(), &pb.TierServiceCountRequest{}))(t)
	dry := r.batch(items...)
	if after := must(r.tier.Count(r.ctx(), &pb.TierServiceCountRequest{}))(t); after.String() != before.String() || dry.GetReranked() != 0 {
		t.Errorf("a dry run made %v of %v", after, before)
	}
	if c := r.call("c1"); c.GetTier() != pb.Tier_TIER_MID {
		t.Errorf("a dry run ranked %v", c)
	}
	items[0].DryRun, items[0].OnlyFailures = false, true
	wet := r.batch(items...)
	moves := func(res *pb.TierServiceBatchSetResponse) (out string) {
		for _, m := range res.GetMoves() {
			out += fmt.Sprintf("%d>%d:%d ", m.GetFrom(), m.GetTo(), m.GetCallers())
		}
		return out
	}
	if moves(dry) != "0>1:1 1>3:1 2>1:1 4>4:1 " || moves(wet) != moves(dry) || dry.GetApplied() != 4 || wet.GetApplied() != 4 {
		t.Errorf("%q, %q", moves(dry), moves(wet))
	}
	if len(dry.GetResults()) != 5 || len(wet.GetResults()) != 1 || wet.GetResults()[0].GetIndex() != 4 || wet.GetReranked() != 1 {
		t.Errorf("%v\n%v", dry, wet)
	}
}

// TestBatchSetRanksByTheLastItem: of two items of one caller the later counts,
// also for calls that wait.
func TestBatchSetRanksByTheLastItem(t *testing.T) {
	r := newRig(t)
	for i := range 50 {
		r.arrive(fmt.Sprint("c", i), fmt.Sprintf("138%08d", i))
	}
	items := someCallers(50)
	for i := range 50 {
		items = append(items, &pb.TierServiceBatchSetRequest{Caller: fmt.Sprintf("138%08d", i), Tier: pb.Tier_TIER_MID})
	}
	r.batch(items...)
	for i := range 50 {
		want := pb.Tier_TIER_MID
		if i%4 == 3 {
			want = pb.Tier_TIER_BLACKLIST
		}
		if c := r.call(fmt.Sprint("c", i)); c.GetTier() != want {
			t.Errorf("call %d is %v, want %v", i, c.GetTier(), want)
		}
	}
}

func TestScoreByNames(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.Grading = tiering.SixFactor() })
	all := map[string]float64{"payment_record": 100, "years_with_us": 100, "order_frequency": 100, "growth": 100, "order_amount": 100, "profit_contribution": 50}
	score := func(req *pb.TierServiceScoreRequest) *pb.TierServiceScoreResponse {
		t.Helper()
		return must(r.tier.Score(r.ctx(), req))(t)
	}
	if res := score(&pb.TierServiceScoreRequest{Figures: all}); res.GetScore() != 90 || res.GetTier() != pb.Tier_TIER_VIP {
		t.Errorf("%v", res)
	}
	if res := score(&pb.TierServiceScoreRequest{OrderAmount: 100, Figures: map[string]float64{"growth": 100}}); res.GetScore() != 35 {
		t.Errorf("%v", res)
	}
	if res := score(&pb.TierServiceScoreRequest{Preset: "three-factor", OrderAmount: 100}); res.GetScore() != 30 {
		t.Errorf("%v", res)
	}
	for _, c := range []struct {
		field string
		req   *pb.TierServiceScoreRequest
	}{
		{"figures", &pb.TierServiceScoreRequest{Figures: map[string]float64{"colour": 1}}},
		{"figures", &pb.TierServiceScoreRequest{OrderAmount: 1, Figures: map[string]float64{"order_amount": 1}}},
		{"growth", &pb.TierServiceScoreRequest{Figures: map[string]float64{"growth": 101}}},
		{"growth", &pb.TierServiceScoreRequest{Figures: map[string]float64{"growth": math.NaN()}}},
		{"figures", &pb.TierServiceScoreRequest{Preset: "three-factor", Figures: map[string]float64{"growth": 1}}},
	} {
		_, err := r.tier.Score(r.ctx(), c.req)
		wantCode(t, err, codes.InvalidArgument, c.field)
	}
	g := must(r.tier.GetGrading(r.ctx(), &pb.TierServiceGetGradingRequest{}))(t)
	if g.GetName() != "six-factor" || len(g.GetFactors()) != 6 || g.GetVipFrom() != 75 || g.GetMidFrom() != 60 || g.GetNumberRegion() != "CN" {
		t.Errorf("%v", g)
	}
	if g = must(r.tier.GetGrading(r.ctx(), &pb.TierServiceGetGradingRequest{Preset: "three-factor"}))(t); len(g.GetFactors()) != 3 || g.GetFactors()[2].GetWeight() != 0.6 {
		t.Errorf("%v", g)
	}
}

// TestListsOfCallersAreMasked but for the back office, which works with numbers.
func TestListsOfCallersAreMasked(t *testing.T) {
	l := newLocked(t)
	back := pb.NewTierServiceClient(l.as(l.token(identity.BackOffice, "crm"), nil))
	sup := pb.NewTierServiceClient(l.as(l.token(identity.Supervisor, "boss"), nil))
	must(back.Blacklist(l.ctx(), &pb.TierServiceBlacklistRequest{Caller: "13800138000", Reason: "threats"}))(t)
	for before, score := range []int32{1, 3, 5} { // lower each month
		month := l.month(before)
		must(back.Rate(l.ctx(), &pb.TierServiceRateRequest{Caller: "13800138000", Month: month, Score: score}))(t)
	}
	for name, c := range map[string]struct {
		tiers pb.TierServiceClient
		want  string
	}{"back office": {back, "+8613800138000"}, "supervisor": {sup, "+86*******8000"}} {
		black := must(c.tiers.ListBlacklist(l.ctx(), &pb.TierServiceListBlacklistRequest{}))(t)
		if got := black.GetCallers(); len(got) != 1 || got[0].GetCaller() != c.want {
			t.Errorf("%s: the blacklist shows %v, want %s", name, got, c.want)
		}
		stream := must(c.tiers.ListCare(l.ctx(), &pb.TierServiceListCareRequest{}))(t)
		if got := must(stream.Recv())(t).GetItem().GetCaller(); got != c.want {
			t.Errorf("%s: the care list shows %s, want %s", name, got, c.want)
		}
	}
}
