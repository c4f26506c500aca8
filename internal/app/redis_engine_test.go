package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/redistest"
	pb "greenlane/proto/greenlane/v1"
)

func onRedis(server *redistest.Server) func(*config.Config) {
	return func(c *config.Config) {
		c.Engine, c.Redis.Addresses = config.EngineRedis, []string{server.Addr()}
	}
}

// TestADaemonStartsWhileRedisIsFull: what is there can still be answered and ended.
func TestADaemonStartsWhileRedisIsFull(t *testing.T) {
	server := redistest.Start(t, redistest.Options{AOF: true})
	arrive(t, apptest.Start(t, configOf(t, onRedis(server)), app.Options{}), "c1", "")
	if err := server.Client().ConfigSet(ctx(t), "maxmemory", "1mb").Err(); err != nil {
		t.Fatal(err)
	}
	switches := pb.NewSwitchServiceClient(dial(t, apptest.Start(t, configOf(t, onRedis(server)), app.Options{}), insecure.NewCredentials()))
	if _, err := switches.CallArrived(ctx(t), &pb.CallArrivedRequest{CallId: "c2", SwitchId: "s"}); status.Code(err) != codes.Unavailable {
		t.Errorf("a full Redis takes calls: %v", err)
	}
	if _, err := switches.CallAbandoned(ctx(t), &pb.CallAbandonedRequest{CallId: "c1", SwitchId: "s"}); err != nil {
		t.Errorf("a full Redis can't be emptied: %v", err)
	}
}

// TestTwoDaemonsOnOneRedis has a call come in at one daemon and its agent poll
// at another; then Redis goes away and comes back.
func TestTwoDaemonsOnOneRedis(t *testing.T) {
	server := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	one, two := apptest.Start(t, configOf(t, onRedis(server)), app.Options{}), apptest.Start(t, configOf(t, onRedis(server)), app.Options{})
	switches := pb.NewSwitchServiceClient(dial(t, one, insecure.NewCredentials()))
	agents := pb.NewAgentServiceClient(dial(t, two, insecure.NewCredentials()))

	if _, err := agents.SignIn(ctx(t), &pb.SignInRequest{AgentId: "a1", Queues: []*pb.AgentQueue{{Queue: "default"}}}); err != nil {
		t.Fatal(err)
	}
	next := make(chan *pb.Offer, 1)
	go func() {
		res, err := agents.NextCall(ctx(t), &pb.NextCallRequest{AgentId: "a1", Wait: durationpb.New(patience)})
		if err != nil {
			t.Error(err)
		}
		next <- res.GetOffer()
	}()
	arrive := func(id string) error {
		_, err := switches.CallArrived(ctx(t), &pb.CallArrivedRequest{RequestId: id, CallId: id, SwitchId: "s1"})
		return err
	}
	if err := arrive("c1"); err != nil {
		t.Fatal(err)
	}
	offer := <-next
	if offer.GetCall().GetCallId() != "c1" {
		t.Fatalf("offered %v", offer)
	}
	if _, err := agents.Accept(ctx(t), &pb.AcceptRequest{AgentId: "a1", OfferId: offer.GetOfferId()}); err != nil {
		t.Fatal(err)
	}

	server.Kill()
	if err := arrive("c2"); status.Code(err) != codes.Unavailable {
		t.Errorf("without a Redis: %v", err)
	}
	if code, _ := get(t, one, "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("without a Redis it is ready: %d", code)
	}
	server.Restart()
	retry(t, func() bool { return arrive("c2") == nil })
	retry(t, func() bool { code, _ := get(t, one, "/readyz"); return code == http.StatusOK })
	res, err := agents.Complete(ctx(t), &pb.CompleteRequest{AgentId: "a1", CallId: "c1"})
	if err != nil {
		t.Errorf("complete: %v, %v", res, err)
	}
	_, figures := get(t, one, "/metrics")
	if !strings.Contains(figures, `greenlaned_clock_offset_seconds{site="main"}`) {
		t.Error("/metrics does not tell how far the clock is from Redis's")
	}
	for _, result := range []string{"ok", "error"} {
		if want := `greenlaned_store_round_trip_duration_seconds_count{command="commands",result="` + result + `",site="main"}`; !strings.Contains(figures, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}

// TestARedisThatIsEmptied: whoever has a stream learns that what it knows is gone, signs
// in or tells of its calls anew, and these are there with their original arrival.
func TestARedisThatIsEmptied(t *testing.T) {
	server := redistest.Start(t, redistest.Options{})
	a := apptest.Start(t, configOf(t, onRedis(server)), app.Options{})
	conn := dial(t, a, insecure.NewCredentials())
	agents, switches := pb.NewAgentServiceClient(conn), pb.NewSwitchServiceClient(conn)
	signIn := &pb.SignInRequest{AgentId: "a1", Queues: []*pb.AgentQueue{{Queue: "default"}}}
	open := func() grpc.BidiStreamingClient[pb.SessionRequest, pb.SessionResponse] {
		session, err := agents.Session(ctx(t))
		if err == nil {
			err = session.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{AgentId: "a1", SignIn: signIn}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if res, err := session.Recv(); err != nil || res.GetWelcome() == nil {
			t.Fatalf("%v, %v", res, err)
		}
		return session
	}
	session := open()
	orders, err := switches.Connect(ctx(t))
	if err == nil {
		err = orders.Send(&pb.ConnectRequest{SwitchId: "s1", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if res, err := orders.Recv(); err != nil || res.GetWelcome() == nil {
		t.Fatalf("%v, %v", res, err)
	}

	if err := server.Client().FlushAll(ctx(t)).Err(); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = session.Recv()
	}
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("the session ends with %v", err)
	}
	for err = nil; err == nil; {
		_, err = orders.Recv()
	}
	if status.Code(err) != codes.OutOfRange {
		t.Errorf("the switch's stream ends with %v", err)
	}
	arrived := timestamppb.New(time.Now().Add(-time.Minute).Truncate(time.Millisecond))
	res, err := switches.Reconcile(ctx(t), &pb.ReconcileRequest{SwitchId: "s1", Calls: []*pb.LiveCall{{CallId: "c1", ArrivedAt: arrived}}})
	if err != nil || res.GetAdded() != 1 {
		t.Fatalf("%v, %v", res, err)
	}
	session = open()
	offered, err := session.Recv()
	if call := offered.GetOffer().GetCall(); err != nil || call.GetCallId() != "c1" || !call.GetJoinedAt().AsTime().Equal(arrived.AsTime()) {
		t.Errorf("offered %v, %v", offered, err)
	}
}

// retry asks until the answer is yes.
func retry(t *testing.T, ok func() bool) {
	t.Helper()
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for !ok() {
		if limit.Err() != nil {
			t.Fatal("it does not come back")
		}
	}
}
