package app_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/app"
	"greenlane/internal/config"
	"greenlane/internal/redistest"
	pb "greenlane/proto/greenlane/v1"
)

func onRedis(server *redistest.Server) func(*config.Config) {
	return func(c *config.Config) {
		c.Engine, c.Redis.Addresses = config.EngineRedis, []string{server.Addr()}
	}
}

// TestTwoDaemonsOnOneRedis has a call come in at one daemon and its agent poll
// at another; then Redis goes away and comes back.
func TestTwoDaemonsOnOneRedis(t *testing.T) {
	server := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	one, two := start(t, configOf(t, onRedis(server)), app.Options{}), start(t, configOf(t, onRedis(server)), app.Options{})
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
	for _, result := range []string{"ok", "error"} {
		if want := `greenlaned_store_round_trip_duration_seconds_count{command="commands",result="` + result + `",site="main"}`; !strings.Contains(figures, want) {
			t.Errorf("/metrics has no %s", want)
		}
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
