package rpc_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/instant"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// month is the name of the month so many before this one, by the site's clock.
func (r *rig) month(before int) string {
	site := queue.DefaultSite("main")
	return (tiering.MonthOf(r.engine.Now(), site.Zone) - tiering.Month(before)).String()
}

func (r *rig) rate(caller, month string, score int32) *pb.TierServiceRateResponse {
	r.t.Helper()
	return must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{Caller: caller, Month: month, Score: score}))(r.t)
}

func (r *rig) care(req *pb.TierServiceListCareRequest) (all []string, err error) {
	r.t.Helper()
	stream := must(r.tier.ListCare(r.ctx(), req))(r.t)
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		item := res.GetItem()
		all = append(all, fmt.Sprintf("%d %s", item.GetClass(), item.GetCaller()[len("+86138001380"):]))
	}
}

func openAllDay(s *queue.Site, _ *optsT) {
	s.Callback.WindowFrom, s.Callback.WindowTo = 0, 24*time.Hour
}

// rateSome puts two callers into each class, the later classes first.
func (r *rig) rateSome() {
	for i, scores := range [][3]int32{{1, 1, 1}, {2, 2, 2}, {4, 4, 3}, {5, 1, 1}, {5, 4, 3}, {4, 3, 2}, {5, 3, 1}, {3, 4, 5}} {
		for ago, score := range scores {
			r.rate(fmt.Sprintf("138001380%02d", i), r.month(2-ago), score)
		}
	}
}

func TestCareListIsInTheOrderOfItsClasses(t *testing.T) {
	r := newRig(t)
	r.rateSome()
	for want, req := range map[string]*pb.TierServiceListCareRequest{
		"[1 05 1 06 2 04 3 02 3 03 4 00 4 01]": {},
		"[1 05 1 06]":                          {Limit: 2},
		"[2 04 3 02 3 03]":                     {Classes: []pb.CareClass{3, 2}},
		"[1 04 1 05 1 06 3 02 3 03 4 00 4 01]": {Dissatisfied: 3},
		"[1 06 2 04 2 05 3 02 3 03 4 00]":      {Dissatisfied: 1.5},
	} {
		got, err := r.care(req)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%v: %v, %v, want %s", req, got, err, want)
		}
	}
	for field, req := range map[string]*pb.TierServiceListCareRequest{
		"classes[0]": {Classes: []pb.CareClass{5}}, "dissatisfied": {Dissatisfied: 0.5}, "limit": {Limit: -1}, "site": {Site: "a b"},
	} {
		_, err := r.care(req)
		wantCode(t, err, codes.InvalidArgument, field)
	}
	if _, err := r.care(&pb.TierServiceListCareRequest{Dissatisfied: math.NaN()}); codeOf(err) != codes.InvalidArgument {
		t.Errorf("%v", err)
	}
}

func TestARatingCountsOnce(t *testing.T) {
	r := newRig(t)
	req := &pb.TierServiceRateRequest{RequestId: "call-1", Caller: "13800138000", Score: 4, At: timestamppb.New(r.engine.Now().Time())}
	first := must(r.tier.Rate(r.ctx(), req))(t)
	again := must(r.tier.Rate(r.ctx(), req))(t)
	other := must(r.tier.Rate(r.ctx(), &pb.TierServiceRateRequest{RequestId: "call-2", Caller: "13800138000", Score: 1}))(t)
	now := func(res *pb.TierServiceRateResponse) *pb.MonthSatisfaction { return res.GetStanding().GetMonths()[2] }
	if first.GetRepeated() || !again.GetRepeated() || now(again).GetRatings() != 1 || now(other).GetRatings() != 2 || now(other).GetMean() != 2.5 {
		t.Errorf("%v\n%v\n%v", first, again, other)
	}
	if now(other).GetMonth() != r.month(0) {
		t.Errorf("the month now is %v", now(other))
	}
	for name, wrong := range map[string]*pb.TierServiceRateRequest{
		"to come": {Caller: "13800138000", Score: 3, Month: r.month(-1)}, "too old": {Caller: "13800138000", Score: 3, Month: r.month(4)},
		"at to come": {Caller: "13800138000", Score: 3, At: timestamppb.New(time.Now().AddDate(0, 2, 0))},
		"at too old": {Caller: "13800138000", Score: 3, At: timestamppb.New(time.Now().AddDate(-1, 0, 0))},
	} {
		_, err := r.tier.Rate(r.ctx(), wrong)
		if wantCode(t, err, codes.InvalidArgument, "month"); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestTheFirstClassIsCalledBack: once in a month, and never while a callback to
// the caller is open in that queue.
func TestTheFirstClassIsCalledBack(t *testing.T) {
	r := newRig(t, openAllDay, func(_ *queue.Site, o *optsT) { o.Care = rpc.Care{Callback: true, Queue: "billing"} })
	r.rateSome()
	list := func() []*pb.Callback {
		t.Helper()
		return must(r.back.List(r.ctx(), &pb.CallbackServiceListRequest{}))(t).GetCallbacks()
	}
	all := list()
	if len(all) != 2 || all[0].GetQueue() != "billing" || all[0].GetNote() == "" {
		t.Fatalf("%v", all)
	}
	// More low ratings in the same month, also after that one is over: no more.
	must(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: all[0].GetCallbackId()}))(t)
	if res := r.rate(all[0].GetCaller(), "", 1); res.GetCallbackId() != "" || res.GetStanding().GetCallbackMonth() != r.month(0) {
		t.Errorf("%v", res)
	}
	if len(list()) != 2 {
		t.Errorf("%v", list())
	}
	// Who is waiting to be called back anyway gets no second promise.
	must(r.back.Create(r.ctx(), &pb.CallbackServiceCreateRequest{Caller: "13900139000", Queue: "billing"}))(t)
	r.rate("13900139000", r.month(2), 5)
	r.rate("13900139000", r.month(1), 3)
	if res := r.rate("13900139000", "", 1); res.GetCallbackId() != "" || res.GetStanding().GetClass() != pb.CareClass_CARE_CLASS_FALLING_DISSATISFIED {
		t.Errorf("%v", res)
	}
	if len(list()) != 3 {
		t.Errorf("%v", list())
	}
}

// TestACareCallbackBrokenOff: the promise was made, and the note of it was not;
// the next rating finds the same promise.
func TestACareCallbackBrokenOff(t *testing.T) {
	r := newRig(t, openAllDay, func(_ *queue.Site, o *optsT) { o.Care.Callback = true })
	r.rate("13800138000", r.month(2), 5)
	r.rate("13800138000", r.month(1), 3)
	first := r.rate("13800138000", "", 1).GetCallbackId()
	_, err := r.dir.(tiering.Ratings).UpdateRatings(r.ctx(), "main", "+8613800138000", func(s tiering.Satisfaction) tiering.Satisfaction {
		s.Cared = 0
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	must(r.back.Cancel(r.ctx(), &pb.CallbackServiceCancelRequest{CallbackId: first}))(t)
	if second := r.rate("13800138000", "", 1).GetCallbackId(); first == "" || second != first {
		t.Errorf("%q, then %q", first, second)
	}
}

// TestRatingsThatEndedAreDropped: the first rating of a month drops in the
// background what no longer counts.
func TestRatingsThatEndedAreDropped(t *testing.T) {
	r := newRig(t)
	ratings := r.dir.(tiering.Ratings)
	long := tiering.MonthOf(instant.Of(time.Now()), time.UTC) - 12
	_, err := ratings.UpdateRatings(r.ctx(), "main", "+8613800138001", func(s tiering.Satisfaction) tiering.Satisfaction {
		s, _ = s.Rate(tiering.Rating{Score: 1, Month: long}, long)
		return s
	})
	if err != nil {
		t.Fatal(err)
	}
	r.rate("13800138000", "", 3)
	for ctx := r.ctx(); ; {
		page, _, err := ratings.WalkRatings(ctx, "main", "", 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 1 && page[0].Number == "+8613800138000" {
			return
		}
		runtime.Gosched()
	}
}
