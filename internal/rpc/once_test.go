package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// tierOf is the caller's tier now.
func (r *rig) tierOf(caller string) pb.Tier {
	r.t.Helper()
	return must(r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: caller}))(r.t).GetTier()
}

// wantReused fails unless the error says that the id was used for something else.
func wantReused(t *testing.T, err error, id string) {
	t.Helper()
	wantCode(t, err, codes.AlreadyExists, "")
	if text := status.Convert(err).Message(); !strings.Contains(text, "request_id") || !strings.Contains(text, `"`+id+`"`) {
		t.Errorf("the refusal %q does not name the request_id", text)
	}
}

// TestALateRetryLeavesTheBlacklist: what somebody else has changed since the first
// attempt stays, and the retry hears what the first attempt was answered.
func TestALateRetryLeavesTheBlacklist(t *testing.T) {
	log, dir, recording := recording(t)
	r := newRig(t, recording)
	r.arrive("c1", "13800138000")
	set := &pb.TierServiceSetRequest{RequestId: "job-1", Caller: "13800138000", Tier: pb.Tier_TIER_VIP, Note: "board"}
	first := must(r.tier.Set(r.ctx(), set))(t)
	if first.GetTier() != pb.Tier_TIER_VIP || first.GetReranked() != 1 {
		t.Fatalf("%v", first)
	}
	black := &pb.TierServiceBlacklistRequest{RequestId: "job-2", Caller: "13800138000", Reason: "threats"}
	on := must(r.tier.Blacklist(r.ctx(), black))(t)
	if again := must(r.tier.Set(r.ctx(), set))(t); !proto.Equal(again, first) {
		t.Errorf("the retry is answered %v, and the first attempt was %v", again, first)
	}
	if tier := r.tierOf("13800138000"); tier != pb.Tier_TIER_BLACKLIST || r.call("c1").GetTier() != tier {
		t.Errorf("the retry made the caller %v, and the waiting call %v", tier, r.call("c1").GetTier())
	}
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{RequestId: "job-3", Caller: "13800138000", Remove: true}))(t)
	if again := must(r.tier.Blacklist(r.ctx(), black))(t); !proto.Equal(again, on) || r.tierOf("13800138000") != pb.Tier_TIER_VIP {
		t.Errorf("the retry is answered %v and makes the caller %v", again, r.tierOf("13800138000"))
	}
	r.stop()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if got := recorded(t, dir); len(got) != 3 {
		t.Errorf("the record has %d changes, and 3 were made: %v", len(got), got)
	}
}

// TestARequestIDIsForOneRequest: with other contents it is refused, and nothing
// changes.
func TestARequestIDIsForOneRequest(t *testing.T) {
	r := newRig(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{RequestId: "r", Caller: "13800138000", Tier: pb.Tier_TIER_MID}))(t)
	for _, other := range []*pb.TierServiceSetRequest{
		{RequestId: "r", Caller: "13800138001", Tier: pb.Tier_TIER_MID}, {RequestId: "r", Caller: "13800138000", Tier: pb.Tier_TIER_VIP},
		{RequestId: "r", Caller: "13800138000", Tier: pb.Tier_TIER_MID, Note: "why"},
	} {
		_, err := r.tier.Set(r.ctx(), other)
		wantReused(t, err, "r")
	}
	if a, b := r.tierOf("13800138000"), r.tierOf("13800138001"); a != pb.Tier_TIER_MID || b != pb.Tier_TIER_ORDINARY {
		t.Errorf("%v, %v", a, b)
	}
	// Of another kind it is another request, as everywhere.
	must(r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{RequestId: "r", Caller: "13800138001", Reason: "threats"}))(t)
	_, err := r.tier.Blacklist(r.ctx(), &pb.TierServiceBlacklistRequest{RequestId: "r", Caller: "13800138001", Remove: true})
	wantReused(t, err, "r")

	must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: "r", Caller: "13800138000", Score: 4}))(t)
	_, err = r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: "r", Caller: "13800138000", Score: 1})
	wantReused(t, err, "r")
	_, err = r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: "r", Caller: "13800138001", Score: 4})
	wantReused(t, err, "r")

	must(r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{RequestId: "r", Caller: "13800138002"}))(t)
	_, err = r.sup.EraseCaller(r.ctx(), &pb.EraseCallerRequest{RequestId: "r", Caller: "13800138000"})
	wantReused(t, err, "r")
	if tier := r.tierOf("13800138000"); tier != pb.Tier_TIER_MID {
		t.Errorf("a refused erasure left %v", tier)
	}
}

// TestAnErasureRepeatedLateErasesNothing: who was graded again since stays so.
func TestAnErasureRepeatedLateErasesNothing(t *testing.T) {
	r := newRig(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_VIP}))(t)
	erase := &pb.EraseCallerRequest{RequestId: "e", Caller: "13800138000"}
	first := must(r.sup.EraseCaller(r.ctx(), erase))(t)
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID}))(t)
	if again := must(r.sup.EraseCaller(r.ctx(), erase))(t); !first.GetTier() || !proto.Equal(again, first) || r.tierOf("13800138000") != pb.Tier_TIER_MID {
		t.Errorf("%v, then %v, and the caller is %v", first, again, r.tierOf("13800138000"))
	}
}

// TestARatingIsCountedOnceHoweverManyCameSince: the caller's own memory of requests
// is short.
func TestARatingIsCountedOnceHoweverManyCameSince(t *testing.T) {
	r := newRig(t)
	req := &pb.TierServiceRateRequest{RequestId: "r", Caller: "13800138000", Score: 5, Month: r.month(0)}
	must(r.tier.Rate(r.ctx(), req))(t)
	for i := range 20 {
		must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: fmt.Sprint("other-", i), Caller: "13800138001", Score: 1}))(t)
		must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: fmt.Sprint("same-", i), Caller: "13800138000", Score: 5, Month: r.month(0)}))(t)
	}
	again := must(r.tier.Rate(r.ctx(), req))(t)
	months := again.GetStanding().GetMonths()
	if !again.GetRepeated() || again.GetStanding().GetCaller() != "+8613800138000" || months[len(months)-1].GetRatings() != 21 {
		t.Errorf("%v", again)
	}
}

// memory is a directory's memory of requests, which may fail.
type memory struct {
	tiering.Requests
	mu     sync.Mutex
	broken bool
	ages   []tiering.KeepRequests
}

func (l *memory) Remember(ctx context.Context, site string, q tiering.Request, answer []byte, now instant.Instant, keep tiering.KeepRequests) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ages = append(l.ages, keep)
	if l.broken {
		return tiering.ErrUnavailable
	}
	if strings.Contains(string(answer), "138") || strings.Contains(string(answer), "board") {
		return tiering.ErrCorrupt
	}
	return l.Requests.Remember(ctx, site, q, answer, now, keep)
}

func (l *memory) fail(broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = broken
}

// TestOKMeansRemembered: what can't be remembered is not OK, and is kept as long as
// the site keeps requests.
func TestOKMeansRemembered(t *testing.T) {
	l := &memory{}
	r := newRig(t, func(s *queue.Site, o *optsT) {
		s.Keep.RequestsAge, s.Keep.Requests = 2*time.Hour, 777
		o.Requests = l
	})
	l.Requests = r.dir.(tiering.Requests)
	l.fail(true)
	set := &pb.TierServiceSetRequest{RequestId: "r", Caller: "13800138000", Tier: pb.Tier_TIER_VIP, Note: "board"}
	_, err := r.tier.Set(r.ctx(), set)
	wantCode(t, err, codes.Unavailable, "")
	must(r.tier.Set(r.ctx(), &pb.TierServiceSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID}))(t) // without an id nothing is remembered
	l.fail(false)
	must(r.tier.Set(r.ctx(), set))(t)
	must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: "r", Caller: "13800138000", Score: 5}))(t) // keeps no number
	want := tiering.KeepRequests{Age: 2 * time.Hour, Most: 777}
	if len(l.ages) != 3 || l.ages[0] != want {
		t.Errorf("%v", l.ages)
	}
}

// answered is a memory in which every request has been answered.
type answered struct{ tiering.Requests }

func (answered) Recall(context.Context, string, tiering.Request, instant.Instant) ([]byte, bool, error) {
	wire, err := proto.Marshal(&pb.TierServiceSetResponse{Tier: pb.Tier_TIER_MID, Reranked: 3})
	return wire, true, err
}

// TestARetryAfterItsTimesIsAnswered: a time that was to come when the request was
// made may have passed when it is repeated.
func TestARetryAfterItsTimesIsAnswered(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *optsT) { o.Requests = answered{} })
	set := &pb.TierServiceSetRequest{RequestId: "r", Caller: "13800138000", Tier: pb.Tier_TIER_VIP, ExpiresAt: &timestamppb.Timestamp{Seconds: 1}}
	if res := must(r.tier.Set(r.ctx(), set))(t); res.GetTier() != pb.Tier_TIER_MID || res.GetReranked() != 3 || r.tierOf("13800138000") != pb.Tier_TIER_ORDINARY {
		t.Errorf("%v", res)
	}
	set.RequestId = ""
	_, err := r.tier.Set(r.ctx(), set)
	wantCode(t, err, codes.InvalidArgument, "expires_at")
	set.RequestId = strings.Repeat("r", 129)
	_, err = r.tier.Set(r.ctx(), set)
	wantCode(t, err, codes.InvalidArgument, "request_id")
}
