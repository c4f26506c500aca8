package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/report"
	"greenlane/metrics"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

const (
	answered  = pb.EventType_EVENT_TYPE_CALL_ANSWERED
	abandoned = pb.EventType_EVENT_TYPE_CALL_ABANDONED
	nothing   = pb.EventType_EVENT_TYPE_UNSPECIFIED
	mid       = pb.Tier_TIER_MID
	vip       = pb.Tier_TIER_VIP
)

// morning is a small log with one of everything.
func morning() *site {
	s := new(site)
	s.call("08:59:50", "09:00:05", mid, answered)  // before the range
	s.call("09:00:00", "09:00:20", mid, answered)  // exactly the threshold
	s.call("09:00:01", "09:00:22", mid, answered)  // late
	s.call("09:10:00", "09:10:04", mid, abandoned) // short
	s.call("09:11:00", "09:11:10", mid, abandoned)
	s.call("09:29:59", "09:31:00", vip, abandoned) // ends in the next interval
	s.call("10:00:00", "10:00:01", vip, answered)
	s.call("11:00:00", "11:00:01", vip, answered) // the end is not included
	return s.inOrder()
}

func lineOf(t *testing.T, iv report.Interval, tier tiering.Tier) report.Line {
	t.Helper()
	for _, l := range iv.Lines {
		if l.Queue == "billing" && l.Tier == tier {
			return l
		}
	}
	t.Fatalf("%v has no line of %s", iv.From, tier)
	return report.Line{}
}

func TestCallsCountWhereTheyJoined(t *testing.T) {
	r := morning().report(t)
	if len(r.Intervals) != 4 || len(r.Missing) != 0 {
		t.Fatalf("%d intervals, missing %v", len(r.Intervals), r.Missing)
	}
	l := lineOf(t, r.Intervals[0], tiering.Mid)
	want := queue.Counts{AnsweredInTime: 1, AnsweredLate: 1, AbandonedShort: 1, AbandonedInTime: 1, AnsweredWait: 41_000, AbandonedWait: 14_000}
	if l.Counts != want || l.Joined != 4 || l.Waiting != 0 || l.Longest != 21*time.Second || l.Target != 0.85 {
		t.Errorf("mid from nine: %+v", l)
	}
	l = lineOf(t, r.Intervals[0], tiering.VIP)
	if l.Counts != (queue.Counts{AbandonedLate: 1, AbandonedWait: 61_000}) {
		t.Errorf("vip from nine: %+v", l)
	}
	if len(r.Intervals[1].Lines) != 0 || r.Intervals[1].State != report.Complete {
		t.Errorf("half past nine, when nobody joined: %+v", r.Intervals[1])
	}
	if n := report.Sum(r.Lines, false); n.Joined != 6 {
		t.Errorf("%d joined in the range", n.Joined)
	}
}

func TestACallCountsUnderItsLastQueueAndTier(t *testing.T) {
	s := new(site)
	j := timestamppb.New(at("09:00:00"))
	s.call("09:00:00", "", mid, nothing)
	s.write("09:00:25", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_LATE, Queue: "billing", Tier: mid, JoinedAt: j, Late: true})
	s.write("09:00:30", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_RERANKED, Queue: "billing", FromTier: mid, Tier: vip, JoinedAt: j, Late: true})
	s.write("09:00:40", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_MOVED, FromQueue: "billing", Queue: "orders", Tier: vip, JoinedAt: j, Late: true})
	s.now = at("10:00:00")
	r := s.report(t)
	iv := r.Intervals[0]
	if iv.State != report.Running || len(iv.Lines) != 2 {
		t.Fatalf("%+v", iv)
	}
	if l := iv.Lines[1]; l.Queue != "orders" || l.Tier != tiering.VIP || l.Waiting != 1 || l.Counts.LateWaiting != 1 {
		t.Errorf("where it waits: %+v", l)
	}
	if l := iv.Lines[0]; l.Queue != "billing" || l.Joined != 1 || l.Waiting != 0 || l.Counts.LateWaiting != 0 {
		t.Errorf("where it joined: %+v", l)
	}
	if r.Intervals[2].State != report.Running { // from ten on, which is to come
		t.Errorf("what is to come is %s", r.Intervals[2].State)
	}
}

// TestWhatWasTrimmedIsMissing, not zero: intervals that lie before the first
// event that is kept say so, and so does every format.
func TestWhatWasTrimmedIsMissing(t *testing.T) {
	s := morning()
	for i, e := range s.log {
		if e.GetAt().AsTime().Equal(at("09:31:00")) {
			s.trimmed = uint64(i) // that event is the first one kept
		}
	}
	r := s.report(t)
	if r.Intervals[0].State != report.Missing || r.Intervals[1].State != report.Partial || r.Intervals[2].State != report.Complete {
		t.Fatalf("%s, %s, %s", r.Intervals[0].State, r.Intervals[1].State, r.Intervals[2].State)
	}
	if len(r.Intervals[0].Lines) != 0 || len(r.Missing) != 1 || !r.Missing[0].From.Equal(nine) || !r.Missing[0].To.Equal(at("09:31:00")) {
		t.Errorf("missing %v, lines %v", r.Missing, r.Intervals[0].Lines)
	}
	for name, write := range report.Formats {
		var out strings.Builder
		if err := write(r, &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.ToLower(out.String()), "missing") {
			t.Errorf("%s does not say what is missing:\n%s", name, out.String())
		}
	}
}

func TestALogOfWhichNothingIsKept(t *testing.T) {
	s := &site{trimmed: 500, now: at("23:00:00")}
	r := s.report(t)
	for _, iv := range r.Intervals {
		if iv.State != report.Missing {
			t.Errorf("%v is %s", iv.From, iv.State)
		}
	}
	if r := new(site).report(t); r.Intervals[0].State != report.Complete || len(r.Missing) != 0 {
		t.Errorf("a site that nobody ever called: %s, missing %v", r.Intervals[0].State, r.Missing)
	}
}

// TestReadingGoesOn after a stream broke off: nothing is lost or counted twice.
func TestReadingGoesOn(t *testing.T) {
	whole := morning().report(t)
	s := morning()
	s.breakAfter = 3
	r := s.report(t)
	if s.streams < 5 {
		t.Errorf("%d streams", s.streams)
	}
	if fmt.Sprint(r.Intervals) != fmt.Sprint(whole.Intervals) {
		t.Errorf("%v\n%v", r.Intervals, whole.Intervals)
	}
}

func TestADaemonThatStaysAwayIsAnError(t *testing.T) {
	s := morning()
	s.now = at("23:00:00")
	conn := s.serve(t)
	known, err := report.Look(t.Context(), conn, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := report.Make(ctx, conn, known, report.Options{From: nine, To: at("11:00:00"), Interval: time.Hour}); err == nil {
		t.Error("no error")
	}
}

// TestTrimmedWhileReading: the hole is told, and what lies around it counts.
func TestTrimmedWhileReading(t *testing.T) {
	s := morning()
	for i, e := range s.log {
		switch {
		case e.GetAt().AsTime().Equal(at("09:00:22")):
			s.trimAt = uint64(i + 1)
		case e.GetAt().AsTime().Equal(at("10:00:00")):
			s.trimTo = uint64(i)
		}
	}
	r := s.report(t)
	if len(r.Missing) != 1 || !r.Missing[0].From.Equal(at("09:00:22")) || !r.Missing[0].To.Equal(at("10:00:00")) {
		t.Fatalf("missing %v", r.Missing)
	}
	if r.Intervals[0].State != report.Partial || r.Intervals[1].State != report.Missing || r.Intervals[2].State != report.Complete {
		t.Errorf("%s, %s, %s", r.Intervals[0].State, r.Intervals[1].State, r.Intervals[2].State)
	}
	if l := lineOf(t, r.Intervals[0], tiering.Mid); l.Counts.AnsweredInTime != 1 || l.Counts.AnsweredLate != 1 {
		t.Errorf("before the hole: %+v", l)
	}
}

// TestOnlyTheRangeIsRead of a long log: not what lies before it, nor what comes
// when everything in it is settled.
func TestOnlyTheRangeIsRead(t *testing.T) {
	s := new(site)
	for h := range 22 {
		for m := range 60 {
			clock := fmt.Sprintf("%02d:%02d", h, m)
			s.call(clock+":00", clock+":05", mid, answered)
			s.write(clock+":30", &pb.Event{
				Type: pb.EventType_EVENT_TYPE_CALL_COMPLETED, Queue: "billing", Tier: mid, JoinedAt: timestamppb.New(at(clock + ":00")),
				Talk: durationpb.New(25 * time.Second),
			})
		}
	}
	r := s.report(t, func(o *report.Options) { o.Lead = 0 })
	sum := report.Sum(r.Lines, false)
	if sum.Joined != 120 || sum.Completed != 120 || sum.Talk != 120*25*time.Second {
		t.Errorf("%+v", sum)
	}
	// Three hours and one event of sixty minutes of three events each, of 22 hours.
	if r.Events < 500 || r.Events > 560 {
		t.Errorf("read %d of %d events", r.Events, len(s.log))
	}
}

func TestCallbacks(t *testing.T) {
	s := new(site)
	promise := func(clock, id string) {
		s.write(clock, &pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_CREATED, CallbackId: id, Queue: "billing", Tier: mid})
	}
	for i, id := range []string{"kept", "refused", "too-late", "missed", "withdrawn", "failed", "open", "retried"} {
		promise(fmt.Sprintf("09:0%d:00", i), id)
	}
	report1 := func(after time.Duration, id, result string) {
		s.write("09:30:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_REPORTED, CallbackId: id, Queue: "billing", Tier: mid, Reason: result})
		last := s.log[len(s.log)-1]
		last.At = timestamppb.New(last.GetAt().AsTime().Add(after))
	}
	report1(0, "retried", "no_answer")
	report1(1, "failed", "busy")
	report1(2, "refused", "refused")
	report1(23*time.Hour+30*time.Minute, "kept", "reached") // 24 h to the instant
	report1(24*time.Hour, "too-late", "reached")
	s.write("10:00:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_MISSED, CallbackId: "missed", Queue: "billing", Tier: mid})
	s.write("10:00:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED, CallbackId: "withdrawn", Queue: "billing", Tier: mid})
	s.failed = []string{"failed", "of-another-day"}
	s.inOrder().now = at("23:00:00").Add(48 * time.Hour)
	l := lineOf(t, s.report(t).Intervals[0], tiering.Mid)
	if l.Promised != 8 || l.Promises != (metrics.Promises{Kept: 2, Broken: 3}) || l.Withdrawn != 1 || l.Open() != 2 {
		t.Errorf("%+v, open %d", l, l.Open())
	}
}

// TestAgentsTime is split at the bounds of intervals, and begins before the
// range.
func TestAgentsTime(t *testing.T) {
	s := new(site)
	does := func(clock string, state pb.AgentState) {
		s.write(clock, &pb.Event{Type: pb.EventType_EVENT_TYPE_AGENT_STATE_CHANGED, AgentId: "anna", AgentState: state})
	}
	does("08:00:00", pb.AgentState_AGENT_STATE_READY)
	does("09:10:00", pb.AgentState_AGENT_STATE_TALKING)
	does("09:40:00", pb.AgentState_AGENT_STATE_WRAP_UP)
	does("09:45:00", pb.AgentState_AGENT_STATE_NOT_READY)
	does("10:10:00", pb.AgentState_AGENT_STATE_SIGNED_OUT)
	does("10:40:00", pb.AgentState_AGENT_STATE_READY)
	s.now = at("10:50:00")
	r := s.report(t)
	m := time.Minute
	for i, want := range []metrics.AgentTime{
		{Ready: 10 * m, Talking: 20 * m}, {Talking: 10 * m, WrapUp: 5 * m, NotReady: 15 * m}, {NotReady: 10 * m}, {Ready: 10 * m},
	} {
		if r.Intervals[i].Agents != want {
			t.Errorf("interval %d: %+v, want %+v", i, r.Intervals[i].Agents, want)
		}
	}
	if share, ok := metrics.Occupancy(&r.Agents); !ok || share != 35.0/55 {
		t.Errorf("occupancy %v", share)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		opt  report.Options
		want string
	}{
		{report.Options{From: nine, To: nine, Interval: time.Hour}, "--from"},
		{report.Options{From: nine, To: at("10:00:00"), Interval: time.Millisecond}, "--interval"},
		{report.Options{From: nine, To: nine.AddDate(1, 0, 0), Interval: time.Minute}, "20000 intervals"},
	} {
		if err := c.opt.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.opt, err)
		}
	}
	s := morning()
	s.now = at("23:00:00")
	conn := s.serve(t)
	known, err := report.Look(t.Context(), conn, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = report.Make(t.Context(), conn, known, report.Options{From: nine, To: at("10:00:00"), Interval: time.Hour, Queues: []string{"nosuch"}})
	if err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("a queue that is none: %v", err)
	}
}

func TestOneQueueOnly(t *testing.T) {
	s := morning()
	j := timestamppb.New(at("09:05:00"))
	s.write("12:00:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_REFUSED, Queue: "orders", Tier: mid, JoinedAt: j})
	r := s.report(t, func(o *report.Options) { o.Queues = []string{"orders"} })
	if len(r.Lines) != 1 || r.Lines[0].Counts.Refused != 1 || len(r.Queues) != 1 {
		t.Errorf("%+v", r.Lines)
	}
}
