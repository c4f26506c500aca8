package load

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/load/daemon"
	pb "greenlane/proto/greenlane/v1"
)

const lineConfig = `
sites:
  - name: main
    short_abandon: 0s
    callback: {window_from: "00:00", window_to: "24:00", delay: 1h}
    queues: [{name: default}]
`

// ack is one call as the daemon acknowledged it.
type ack struct {
	call        *pb.Call
	sent, acked time.Time
	callback    string // earned by hanging up
	gone        bool   // hung up
}

// queuer reports calls, one after the other, and keeps what was acknowledged.
type queuer struct {
	id      string
	api     pb.SwitchServiceClient
	retries retries
	acked   *atomic.Int64 // by all queuers together
	calls   []*ack
}

// queueUp reports n calls and hangs up every tenth.
func (q *queuer) queueUp(ctx context.Context, n int) error {
	for range n {
		i := len(q.calls)
		id := q.id + "-" + strconv.Itoa(i)
		a := &ack{sent: time.Now()}
		res, err := call(ctx, &q.retries, q.api.CallArrived, &pb.CallArrivedRequest{
			RequestId: id, SwitchId: q.id, CallId: id, Caller: lineCaller(i%4, q.id, i),
		})
		if err != nil {
			return fmt.Errorf("call %s: %w", id, err)
		}
		a.call, a.acked = res.GetCall(), time.Now()
		q.calls = append(q.calls, a)
		q.acked.Add(1)
		if i%10 != 9 {
			continue
		}
		gone := q.calls[i-4]
		hungUp, err := call(ctx, &q.retries, q.api.CallAbandoned, &pb.CallAbandonedRequest{
			RequestId: id + "/gone", SwitchId: q.id, CallId: gone.call.GetCallId(),
		})
		if err != nil {
			return fmt.Errorf("hanging up %s: %w", id, err)
		}
		gone.gone, gone.callback = true, hungUp.GetCallback().GetCallbackId()
		q.acked.Add(1)
	}
	return nil
}

// lineCaller returns the number of a caller of a tier: 0 is VIP, 3 blacklist.
func lineCaller(tier int, queuer string, i int) string {
	return fmt.Sprintf("+86139%d%s%06d", tier, queuer[len(queuer)-1:], i)
}

// TestKilledWhileCallersWait kills the daemon (-9) while calls queue up and
// nobody answers: afterwards the line is exactly what was acknowledged, in the
// order in which it was, and served in that order.
func TestKilledWhileCallersWait(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a real daemon many times")
	}
	d := newDaemon(t, lineConfig)
	ctx := t.Context()
	if _, err := d.Start(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rounds, perRound := max(2, kills(t)/5), 40
	var acked atomic.Int64
	var queuers []*queuer
	for i := range 4 {
		queuers = append(queuers, &queuer{id: "switch-" + strconv.Itoa(i), api: pb.NewSwitchServiceClient(conn), acked: &acked})
	}
	gradeLine(ctx, t, pb.NewTierServiceClient(conn), queuers, rounds*perRound)
	supervisor := pb.NewSupervisorServiceClient(conn)
	chance := rand.New(rand.NewPCG(3, 4))
	for round := range rounds {
		killWhile(ctx, t, d, &acked, chance.Int64N(int64(perRound*3)), func() {
			var all sync.WaitGroup
			for _, q := range queuers {
				all.Go(func() {
					if err := q.queueUp(ctx, perRound); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		})
		checkLine(ctx, t, supervisor, queuers)
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	checkPromises(ctx, t, pb.NewCallbackServiceClient(conn), queuers)
	serveLine(ctx, t, pb.NewAgentServiceClient(conn), queuers)
}

// killWhile runs f, and kills and restarts the daemon once a number of further
// answers was given.
func killWhile(ctx context.Context, t *testing.T, d *daemon.Daemon, acked *atomic.Int64, after int64, f func()) {
	t.Helper()
	target := acked.Load() + after
	done := make(chan struct{})
	go func() { f(); close(done) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for acked.Load() < target {
		<-tick.C
	}
	if err := d.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := d.Start(ctx); err != nil {
		t.Fatal(err)
	}
	<-done
}

func gradeLine(ctx context.Context, t *testing.T, api pb.TierServiceClient, queuers []*queuer, n int) {
	t.Helper()
	stream, err := api.BatchSet(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queuers {
		for i := range n {
			if err := stream.Send(&pb.TierServiceBatchSetRequest{Caller: lineCaller(i%4, q.id, i), Tier: pb.Tier(i%4 + 1)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if res, err := stream.CloseAndRecv(); err != nil || res.GetFailed() > 0 {
		t.Fatalf("setting tiers: %v, %d failed", err, res.GetFailed())
	}
}

// inLine returns what should wait: acknowledged, and not hung up.
func inLine(queuers []*queuer) map[string]*ack {
	want := make(map[string]*ack)
	for _, q := range queuers {
		for _, a := range q.calls {
			if !a.gone {
				want[a.call.GetCallId()] = a
			}
		}
	}
	return want
}

// checkLine checks that the line is what was acknowledged, and that places
// follow the order of the acknowledgements.
func checkLine(ctx context.Context, t *testing.T, api pb.SupervisorServiceClient, queuers []*queuer) {
	t.Helper()
	waiting, err := Calls(ctx, api, "main", pb.CallState_CALL_STATE_WAITING)
	if err != nil {
		t.Fatal(err)
	}
	want := inLine(queuers)
	if len(waiting) != len(want) {
		t.Errorf("%d calls wait, %d were acknowledged and not hung up", len(waiting), len(want))
	}
	var line []*ack
	for _, c := range waiting {
		a := want[c.GetCallId()]
		if a == nil {
			t.Errorf("%s waits and should not", c.GetCallId())
			continue
		}
		if c.GetSequence() != a.call.GetSequence() || !c.GetJoinedAt().AsTime().Equal(a.call.GetJoinedAt().AsTime()) || c.GetTier() != a.call.GetTier() {
			t.Errorf("%s was acknowledged as %v, and is %v", c.GetCallId(), a.call, c)
		}
		line = append(line, a)
	}
	var earliest *ack // the earliest acknowledgement of those behind
	for _, a := range slices.Backward(line) {
		if earliest != nil && earliest.acked.Before(a.sent) {
			t.Errorf("%s stands before %s, which was acknowledged before it was sent", a.call.GetCallId(), earliest.call.GetCallId())
		}
		if earliest == nil || a.acked.Before(earliest.acked) {
			earliest = a
		}
	}
}

// checkPromises checks that exactly the callbacks that were acknowledged are there.
func checkPromises(ctx context.Context, t *testing.T, api pb.CallbackServiceClient, queuers []*queuer) {
	t.Helper()
	listed, err := callbacksOf(ctx, api, "main")
	if err != nil {
		t.Fatal(err)
	}
	promised := 0
	for _, q := range queuers {
		for _, a := range q.calls {
			switch mid := a.call.GetTier() == pb.Tier_TIER_MID; {
			case a.gone && mid != (a.callback != ""):
				t.Errorf("%s, %v, hung up and was promised %q", a.call.GetCallId(), a.call.GetTier(), a.callback)
			case a.callback != "":
				promised++
				if cb := listed[a.callback]; cb.GetCallId() != a.call.GetCallId() || cb.GetCaller() != a.call.GetCaller() {
					t.Errorf("%s was promised %s, which is %v", a.call.GetCallId(), a.callback, cb)
				}
			}
		}
	}
	if promised == 0 || promised != len(listed) {
		t.Errorf("%d callbacks were promised, %d are listed", promised, len(listed))
	}
}

// serveLine lets one agent work the whole line off: VIPs first, then the
// others, each tier in the order of its places.
func serveLine(ctx context.Context, t *testing.T, api pb.AgentServiceClient, queuers []*queuer) {
	t.Helper()
	var want []*ack
	for _, a := range inLine(queuers) {
		want = append(want, a)
	}
	slices.SortFunc(want, func(a, b *ack) int {
		return cmp.Or(cmp.Compare(a.call.GetTier(), b.call.GetTier()), cmp.Compare(a.call.GetSequence(), b.call.GetSequence()))
	})
	if _, err := api.SignIn(ctx, &pb.SignInRequest{AgentId: "anna", Queues: []*pb.AgentQueue{{Queue: "default"}}}); err != nil {
		t.Fatal(err)
	}
	for i, a := range want {
		next, err := api.NextCall(ctx, &pb.NextCallRequest{AgentId: "anna", Wait: durationpb.New(10 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		if got := next.GetOffer().GetCall().GetCallId(); got != a.call.GetCallId() {
			t.Fatalf("offer %d is %s, should be %s", i, got, a.call.GetCallId())
		}
		if _, err := api.Accept(ctx, &pb.AcceptRequest{AgentId: "anna", OfferId: next.GetOffer().GetOfferId()}); err != nil {
			t.Fatal(err)
		}
		if _, err := api.Complete(ctx, &pb.CompleteRequest{AgentId: "anna", CallId: a.call.GetCallId()}); err != nil {
			t.Fatal(err)
		}
	}
}
