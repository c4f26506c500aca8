package rpc_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

func limitedTo(use rpc.RoleLimits) setting {
	return func(_ *queue.Site, o *rpc.Options) { o.Limits.Open = use }
}

// wantLimit checks a refusal: that it names the limit, in words and for programs.
func wantLimit(t *testing.T, err error, limit string, retry bool) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != codes.ResourceExhausted {
		t.Fatalf("got %v, want ResourceExhausted for %s", err, limit)
	}
	var info, quota, after bool
	for _, d := range st.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			info = d.GetReason() == "LIMIT_REACHED" && d.GetMetadata()["limit"] == limit && d.GetMetadata()["role"] == "open"
		case *errdetails.QuotaFailure:
			quota = len(d.GetViolations()) == 1 && strings.HasPrefix(d.GetViolations()[0].GetDescription(), limit+": ")
		case *errdetails.RetryInfo:
			after = d.GetRetryDelay().AsDuration() > 0
		}
	}
	if !info || !quota || after != retry {
		t.Errorf("%v: names the limit %v, quota %v, says when to retry %v (want %v)", st.Details(), info, quota, after, retry)
	}
}

func TestAsManyStreamsAsAllowedAndNotOneMore(t *testing.T) {
	var h heard
	r := newRig(t, h.listen, limitedTo(rpc.RoleLimits{Streams: 3}))
	for _, id := range []string{"a1", "a2", "a3", "a4"} {
		r.signIn(id)
	}
	ctx, cancel := context.WithCancel(r.ctx())
	defer cancel()
	watch := must(r.sup.Watch(ctx, &pb.WatchRequest{}))(t)
	must(watch.Recv())(t)
	listen := must(r.agent.Listen(ctx, &pb.ListenRequest{AgentId: "a1"}))(t)
	must(listen.Recv())(t)
	polled := make(chan error, 1)
	go func() {
		_, err := r.agent.NextCall(ctx, &pb.NextCallRequest{AgentId: "a2", Wait: durationpb.New(patience)})
		polled <- err
	}()
	r.attached("a2")

	_, err := must(r.sup.StreamEvents(r.ctx(), &pb.StreamEventsRequest{}))(t).Recv()
	wantLimit(t, err, "streams", true)
	_, err = r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: "a3", Wait: durationpb.New(time.Second)})
	wantLimit(t, err, "streams", true)
	r.signIn("a4") // what is no stream is not concerned
	h.want(t, "streams open", 2)

	r.arrive("c1", "") // the poll, or the session, gets it
	cancel()
	<-polled
	must(r.sup.GetSnapshot(r.ctx(), &pb.GetSnapshotRequest{}))(t)
	for { // as soon as one has ended, another may begin
		_, err := r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: "a3", Wait: durationpb.New(0)})
		if err == nil {
			return
		}
		wantLimit(t, err, "streams", true)
	}
}

func TestAsManyRequestsAsAllowedAndNotOneMore(t *testing.T) {
	var h heard
	r := newRig(t, h.listen, limitedTo(rpc.RoleLimits{Rate: 1.0 / 3600, Burst: 5}))
	for range 5 {
		must(r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{}))(t)
	}
	for range 2 {
		_, err := r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{})
		wantLimit(t, err, "rate", true)
	}
	_, err := must(r.sup.Watch(r.ctx(), &pb.WatchRequest{}))(t).Recv()
	wantLimit(t, err, "rate", true)
	h.want(t, "rate open", 3)
}

// What a switch says on its stream is never refused for coming too fast: it waits.
func TestMessagesOnAStreamWaitForTheirTurn(t *testing.T) {
	const calls, burst, every = 12, 4, 20 * time.Millisecond
	r := newRig(t, limitedTo(rpc.RoleLimits{Rate: float64(time.Second / every), Burst: burst}))
	stream := must(r.sw.Connect(r.ctx()))(t)
	began := time.Now()
	for i := range calls {
		if err := stream.Send(&pb.ConnectRequest{SwitchId: "sw", Message: &pb.ConnectRequest_Arrived{
			Arrived: &pb.CallArrivedRequest{CallId: fmt.Sprint("c", i)},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	for range calls {
		m := recvUntil(t, "a result", stream.Recv, func(m *pb.ConnectResponse) bool { return m.GetResult() != nil })
		if m.GetResult().GetCode() != 0 {
			t.Fatalf("refused: %v", m.GetResult())
		}
	}
	// The stream itself took the place of its first message.
	if took := time.Since(began); took < (calls-burst-1)*every {
		t.Errorf("%d messages in %v: nothing held them back", calls, took)
	}
}

func TestAMessageOfTheSizeAllowedAndNotAByteMore(t *testing.T) {
	var h heard
	r := newRig(t, h.listen, limitedTo(rpc.RoleLimits{Message: 1000}))
	// The caller's field: one byte of tag, two of length.
	of := func(bytes int) *pb.TierServiceBatchSetRequest {
		return &pb.TierServiceBatchSetRequest{Caller: strings.Repeat("1", bytes-3)}
	}
	_, err := r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: strings.Repeat("1", 997)})
	wantCode(t, err, codes.InvalidArgument, "caller")
	_, err = r.tier.Lookup(r.ctx(), &pb.TierServiceLookupRequest{Caller: strings.Repeat("1", 998)})
	wantLimit(t, err, "message", false)
	stream := must(r.tier.BatchSet(r.ctx()))(t)
	for _, bytes := range []int{1000, 1001} {
		if err := stream.Send(of(bytes)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	wantLimit(t, err, "message", false)
	h.want(t, "message open", 2)
}

func TestHeadersOfTheSizeAllowedAndNotAByteMore(t *testing.T) {
	const most = 2000
	var h heard
	r := newRig(t, h.listen, limitedTo(rpc.RoleLimits{Headers: most}))
	ask := func(filler int) error {
		ctx := metadata.AppendToOutgoingContext(r.ctx(), "x-filler", strings.Repeat("x", filler))
		_, err := r.sup.ListAgents(ctx, &pb.ListAgentsRequest{})
		return err
	}
	// The library adds headers of its own; a refusal says how many bytes came.
	var came, allowed int
	if _, err := fmt.Sscanf(status.Convert(ask(most)).Message(), "the metadata of the request is %d bytes: at most %d are allowed", &came, &allowed); err != nil || allowed != most {
		t.Fatal(came, allowed, err)
	}
	own := came - most
	if err := ask(most - own); err != nil {
		t.Errorf("%d bytes: %v", most, err)
	}
	wantLimit(t, ask(most-own+1), "headers", false)
	h.want(t, "headers open", 2)
}
