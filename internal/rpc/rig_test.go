package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/feed"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/tiering"
	"greenlane/tiering/filedir"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests. They wait on signals; it only ends
// a test that would hang.
const patience = time.Minute

// rig is a daemon's services on a real socket, over a real engine in a
// directory of the test.
type rig struct {
	t      *testing.T
	engine *embedded.Engine
	feed   *feed.Feed
	dir    tiering.Directory
	tiers  *tiers
	server *rpc.Server
	grpc   *grpc.Server
	addr   string
	conn   *grpc.ClientConn
	stop   func()

	sw    pb.SwitchServiceClient
	agent pb.AgentServiceClient
	sup   pb.SupervisorServiceClient
	back  pb.CallbackServiceClient
	tier  pb.TierServiceClient
}

// tiers is a Resolver whose answers a test may hold back.
type tiers struct {
	dir  tiering.Directory
	mu   sync.Mutex
	late bool
	held []func()
}

func (r *tiers) Resolve(ctx context.Context, site string, caller tiering.Number) rpc.Answer {
	tier := func() tiering.Tier {
		e, _, err := r.dir.Lookup(context.WithoutCancel(ctx), site, caller)
		if err != nil {
			return tiering.TierUnset
		}
		return e.At(1).Tier
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.late {
		return rpc.Answer{Tier: tiering.Ordinary, Provisional: true, Later: func(fn func(tiering.Tier)) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.held = append(r.held, func() { fn(tier()) })
		}}
	}
	return rpc.Answer{Tier: tier()}
}

// hold makes lookups late until the returned function lets them answer.
func (r *tiers) hold() (answer func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.late = false
		for _, f := range r.held {
			f()
		}
		r.held = nil
	}
}

type setting func(*queue.Site, *rpc.Options)

func newRig(t *testing.T, settings ...setting) *rig {
	t.Helper()
	site := queue.DefaultSite("main")
	site.Queues = append(site.Queues, queue.DefaultQueue("billing"))
	opts := rpc.Options{Scheme: tiering.DefaultScheme(), HeartbeatEvery: time.Minute, AnnounceEvery: time.Minute}
	for _, set := range settings {
		set(&site, &opts)
	}
	r := &rig{t: t}
	var err error
	data := t.TempDir()
	if r.engine, err = embedded.Open(data, site, embedded.Options{NoSync: true}); err != nil {
		t.Fatal(err)
	}
	dir, err := filedir.Open(data, filedir.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	r.dir, r.tiers = dir, &tiers{dir: dir}
	r.feed = feed.New(r.engine, feed.Options{})
	if err := r.feed.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	normalizer, err := tiering.NewNormalizer("CN")
	if err != nil {
		t.Fatal(err)
	}
	opts.Sites = []rpc.Site{{Config: site, Engine: r.engine, Feed: r.feed}}
	if u, ok := opts.Directory.(*unreadable); ok {
		u.Directory = dir
	} else {
		opts.Directory = dir
	}
	opts.Normalizer, opts.Tiers = normalizer, r.tiers
	opts.Logger = slog.New(slog.NewTextHandler(logTo{t}, &slog.HandlerOptions{Level: slog.LevelError}))
	if r.server, err = rpc.New(opts); err != nil {
		t.Fatal(err)
	}
	var secure *tls.Config
	if opts.Authority != nil {
		secure = opts.Authority.TLS(false, "h2")
	}
	r.grpc = grpc.NewServer(r.server.ServerOptions(secure, nil)...)
	r.server.Register(r.grpc)
	reflection.Register(r.grpc)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = listener.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); r.grpc.Serve(listener) }()
	r.server.Start()
	r.conn = r.dial()
	r.sw, r.agent, r.sup = pb.NewSwitchServiceClient(r.conn), pb.NewAgentServiceClient(r.conn), pb.NewSupervisorServiceClient(r.conn)
	r.back, r.tier = pb.NewCallbackServiceClient(r.conn), pb.NewTierServiceClient(r.conn)
	r.stop = sync.OnceFunc(func() {
		r.server.Drain()
		r.conn.Close()
		r.grpc.GracefulStop()
		<-served
		if err := r.server.Stop(r.ctx()); err != nil {
			t.Error(err)
		}
		r.feed.Stop()
		if err := r.engine.Close(r.ctx()); err != nil {
			t.Error(err)
		}
		dir.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// logTo fails the test at what is logged as an error.
type logTo struct{ t *testing.T }

func (l logTo) Write(p []byte) (int, error) {
	l.t.Errorf("logged: %s", p)
	return len(p), nil
}

func (r *rig) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	r.t.Helper()
	conn, err := grpc.NewClient(r.addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		r.t.Fatal(err)
	}
	return conn
}

func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

func must[T any](m T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
}

// signIn signs an agent in for queue default (and others).
func (r *rig) signIn(id string, queues ...string) {
	r.t.Helper()
	req := &pb.SignInRequest{AgentId: id}
	for _, q := range append([]string{"default"}, queues...) {
		req.Queues = append(req.Queues, &pb.AgentQueue{Queue: q})
	}
	must(r.agent.SignIn(r.ctx(), req))(r.t)
}

func (r *rig) arrive(call, caller string) *pb.Call {
	r.t.Helper()
	return must(r.sw.CallArrived(r.ctx(), &pb.CallArrivedRequest{SwitchId: "sw", CallId: call, Caller: caller}))(r.t).GetCall()
}

func (r *rig) next(agent string, wait time.Duration) *pb.Offer {
	r.t.Helper()
	return must(r.agent.NextCall(r.ctx(), &pb.NextCallRequest{AgentId: agent, Wait: durationpb.New(wait)}))(r.t).GetOffer()
}

func (r *rig) call(id string) *pb.Call {
	r.t.Helper()
	return must(r.sup.Explain(r.ctx(), &pb.ExplainRequest{CallId: id}))(r.t).GetCall()
}

func (r *rig) agentState(id string) *pb.Agent {
	r.t.Helper()
	a, _, err := r.engine.Agent(r.ctx(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	out := &pb.Agent{AgentId: a.ID, State: pb.AgentState(a.State), Reason: a.Reason, CallId: a.Call, Available: a.Presence != queue.Absent}
	return out
}

// until waits for the first event that is wanted, among those already written
// and those to come.
func (r *rig) until(what string, wanted func(*queue.Event) bool) queue.Event {
	r.t.Helper()
	after := uint64(0)
	for {
		events, err := r.engine.Events(r.ctx(), after, 1000)
		if err != nil {
			r.t.Fatalf("waiting for %s: %v", what, err)
		}
		for i := range events {
			if wanted(&events[i]) {
				return events[i]
			}
			after = events[i].Seq
		}
	}
}

// attached waits until the agent is available by a poll or session.
func (r *rig) attached(agent string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if p := r.presence(agent); p == queue.PresentPoll || p == queue.PresentStream {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("agent %s does not become available", agent)
		}
	}
}

// presence tells how an agent is there.
func (r *rig) presence(agent string) queue.Presence {
	r.t.Helper()
	a, _, err := r.engine.Agent(r.t.Context(), agent)
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Presence
}

// wantCode checks an error's code, and that it names the field if one is given.
func wantCode(t *testing.T, err error, code codes.Code, field string) {
	t.Helper()
	st := status.Convert(err)
	if st.Code() != code {
		t.Fatalf("got %v, want code %v", err, code)
	}
	if field == "" {
		return
	}
	var named []string
	for _, d := range st.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				named = append(named, v.GetField())
				if v.GetField() == field && v.GetDescription() != "" {
					return
				}
			}
		}
	}
	t.Fatalf("%v names the fields %q, want %q", err, named, field)
}

// reasonOf returns the ErrorInfo's reason.
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

var errTimeout = errors.New("nothing came in time")

// recvUntil reads a stream until a message is wanted.
func recvUntil[M any](t *testing.T, what string, recv func() (M, error), wanted func(M) bool) M {
	t.Helper()
	for {
		m, err := recvOne(recv)
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		if wanted(m) {
			return m
		}
	}
}

func recvOne[M any](recv func() (M, error)) (M, error) {
	type got struct {
		m   M
		err error
	}
	ch := make(chan got, 1)
	go func() {
		m, err := recv()
		ch <- got{m, err}
	}()
	select {
	case g := <-ch:
		return g.m, g.err
	case <-time.After(patience):
		var none M
		return none, errTimeout
	}
}

// recvEnd reads a stream to its end and returns how it ended.
func recvEnd[M any](t *testing.T, recv func() (M, error)) error {
	t.Helper()
	for {
		if _, err := recvOne(recv); err != nil {
			return err
		}
	}
}

func codeOf(err error) codes.Code { return status.Code(err) }

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

type optsT = rpc.Options

// noShortAbandon lets every abandon earn a callback.
func noShortAbandon(s *queue.Site, _ *optsT) { s.ShortAbandon, s.Callback.ShortAbandon = 0, 0 }
