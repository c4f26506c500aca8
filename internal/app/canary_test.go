package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/load/daemon"
	"greenlane/internal/logtest"
	"greenlane/internal/redistest"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue/embedded"
)

// canary is a number that is pushed through everything. Nothing that the process
// writes may hold it, in any spelling.
const canary = "+8613912345678"

var spellings = []string{
	canary, "8613912345678", "13912345678", "139 1234 5678", "139-1234-5678", "87654321931", "0086139",
}

// clean reports every spelling that a text holds.
func clean(t *testing.T, what, text string) {
	t.Helper()
	for _, s := range spellings {
		if i := strings.Index(text, s); i >= 0 {
			t.Errorf("%s holds %q: …%q…", what, s, text[max(0, i-100):min(len(text), i+100)])
		}
	}
}

const canaryConfig = `
reflection: true
privacy:
  index_key_file: %[1]s/index.key
  keys:
    - {id: k1, key_file: %[1]s/k1.key}
sites:
  - name: main
    short_abandon: 0s
    callback: {window_from: "00:00", window_to: "24:00", delay: 0s}
    queues:
      - {name: default, offer_timeout: 10s}
`

// keyFiles writes the keys of canaryConfig.
func keyFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, letter := range map[string]string{"index.key": "a1", "k1.key": "b2"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(letter, 32)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestTheCanaryIsFoundNowhere pushes a number through a daemon, a process of its
// own, by every door there is, right and wrong, and searches what it wrote: its
// output, a dump of its goroutines, its metrics, its errors, its pages, its files.
func TestTheCanaryIsFoundNowhere(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a daemon")
	}
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("embedded", func(t *testing.T) {
		d := canaryDaemon(t, binary, fmt.Sprintf(canaryConfig, keyFiles(t)))
		d.push()
		d.searchFiles(d.d.Data())
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"rdbcompression no"}})
		d := canaryDaemon(t, binary, fmt.Sprintf(canaryConfig, keyFiles(t)), "--engine", "redis", "--redis", server.Addr())
		d.push()
		if err := server.Client().Save(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		server.Pause() // errors of a store that is away
		_, err := pb.NewSwitchServiceClient(d.conn).CallArrived(ctx(t), &pb.CallArrivedRequest{CallId: "late", SwitchId: "sw", Caller: canary})
		d.refused("with Redis away", err)
		server.Resume()
		d.searchFiles(server.Dir())
	})
}

type canaryRun struct {
	*testing.T
	d    *daemon.Daemon
	log  *logtest.Buffer
	conn *grpc.ClientConn
}

func canaryDaemon(t *testing.T, binary, config string, args ...string) *canaryRun {
	t.Helper()
	r := &canaryRun{T: t, log: new(logtest.Buffer)}
	var err error
	if r.d, err = daemon.New(daemon.Options{Binary: binary, Config: config, Args: args, Log: r.log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.d.Remove(); err != nil {
			t.Error(err)
		}
	})
	if _, err := r.d.Start(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, r.log.String())
	}
	if r.conn, err = grpc.NewClient(r.d.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r
}

// push goes through the doors, then looks at what came out and ends the daemon
// with a dump of its goroutines.
func (r *canaryRun) push() {
	r.rightly()
	r.wrongly()
	r.pages()
	_, metrics := r.get("/metrics")
	if !strings.Contains(metrics, "greenlane_") {
		r.Errorf("no metrics:\n%s", metrics)
	}
	clean(r.T, "/metrics", metrics)
}

// rightly uses the number where numbers belong.
func (r *canaryRun) rightly() {
	sw, ag, sup := pb.NewSwitchServiceClient(r.conn), pb.NewAgentServiceClient(r.conn), pb.NewSupervisorServiceClient(r.conn)
	cb, tiers := pb.NewCallbackServiceClient(r.conn), pb.NewTierServiceClient(r.conn)
	c := ctx(r.T)
	do := func(what string, err error) {
		r.Helper()
		if err != nil {
			r.Errorf("%s: %v", what, err)
		}
	}
	note := "asked to be rung at " + canary
	do("set", second(tiers.Set(c, &pb.TierServiceSetRequest{RequestId: "t1", Caller: canary, Tier: pb.Tier_TIER_MID, Note: note})))
	batch, err := tiers.BatchSet(c)
	do("batch", err)
	do("batch", batch.Send(&pb.TierServiceBatchSetRequest{Caller: canary, Tier: pb.Tier_TIER_MID, Note: note}))
	do("batch", batch.Send(&pb.TierServiceBatchSetRequest{Caller: canary + "x", Tier: pb.Tier_TIER_MID}))
	results, err := batch.CloseAndRecv()
	do("batch", err)
	clean(r.T, "the results of a batch", results.String())
	for i, caller := range []string{canary, "139 1234 5678", "13912345678"} {
		_, err := sw.CallArrived(c, &pb.CallArrivedRequest{
			RequestId: fmt.Sprint("a", i), CallId: fmt.Sprint("c", i), SwitchId: "sw", Caller: caller, Attributes: map[string]string{"ani": canary},
		})
		do("arrive", err)
	}
	do("abandon", second(sw.CallAbandoned(c, &pb.CallAbandonedRequest{RequestId: "h0", CallId: "c0", SwitchId: "sw"})))
	do("sign in", second(ag.SignIn(c, &pb.SignInRequest{AgentId: "anna", Queues: []*pb.AgentQueue{{Queue: "default"}}})))
	next, err := ag.NextCall(c, &pb.NextCallRequest{AgentId: "anna", Wait: durationpb.New(patience)})
	do("next call", err)
	if next.GetOffer().GetCall().GetCaller() != canary {
		r.Errorf("the agent is offered %v", next.GetOffer())
	}
	do("accept", second(ag.Accept(c, &pb.AcceptRequest{RequestId: "ac", AgentId: "anna", OfferId: next.GetOffer().GetOfferId()})))
	do("explain", second(sup.Explain(c, &pb.ExplainRequest{CallId: "c1"})))
	do("list", second(sup.ListCalls(c, &pb.ListCallsRequest{Caller: canary})))
	made, err := cb.Create(c, &pb.CallbackServiceCreateRequest{RequestId: "cb", Caller: canary, Queue: "default", Note: note})
	do("create", err)
	id := made.GetCallback().GetCallbackId()
	r.refused("a second promise", second(cb.Create(c, &pb.CallbackServiceCreateRequest{Caller: canary, Queue: "default"})))
	do("list callbacks", second(cb.List(c, &pb.CallbackServiceListRequest{Caller: canary})))
	do("claim", second(cb.Claim(c, &pb.CallbackServiceClaimRequest{RequestId: "cl", CallbackId: id, Claimant: "boss"})))
	do("report", second(cb.Report(c, &pb.CallbackServiceReportRequest{
		RequestId: "re", CallbackId: id, Claimant: "boss", Result: pb.CallbackResult_CALLBACK_RESULT_BUSY, Note: note,
	})))
	do("cancel", second(cb.Cancel(c, &pb.CallbackServiceCancelRequest{RequestId: "ca", CallbackId: id, Reason: "now at " + canary})))
	do("set state", second(ag.SetState(c, &pb.SetStateRequest{
		RequestId: "st", AgentId: "anna", State: pb.AgentState_AGENT_STATE_NOT_READY, Reason: "calling " + canary,
	})))
	follow := false
	events, err := sup.StreamEvents(c, &pb.StreamEventsRequest{Follow: &follow})
	do("events", err)
	n := 0
	for {
		e, err := events.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.Fatal(err)
		}
		clean(r.T, "an event", e.String())
		n++
	}
	if n < 5 {
		r.Errorf("%d events", n)
	}
}

// wrongly puts the number where it does not belong.
func (r *canaryRun) wrongly() {
	sw, ag, sup := pb.NewSwitchServiceClient(r.conn), pb.NewAgentServiceClient(r.conn), pb.NewSupervisorServiceClient(r.conn)
	cb, tiers := pb.NewCallbackServiceClient(r.conn), pb.NewTierServiceClient(r.conn)
	c := ctx(r.T)
	for _, word := range []string{canary, "13912345678", "008613912345678", "139 1234 5678"} {
		r.refused("call", second(sup.Explain(c, &pb.ExplainRequest{CallId: word})))
		r.refused("move", second(sup.MoveCall(c, &pb.MoveCallRequest{CallId: word, Queue: "default"})))
		r.refused("queue", second(sup.MoveCall(c, &pb.MoveCallRequest{CallId: "c1", Queue: word})))
		r.refused("queue", second(sw.CallArrived(c, &pb.CallArrivedRequest{CallId: "x", SwitchId: "sw", Queue: "13912345678"})))
		r.refused("site", second(sup.GetSnapshot(c, &pb.GetSnapshotRequest{Site: word})))
		r.refused("agent", second(ag.SetState(c, &pb.SetStateRequest{AgentId: word, State: pb.AgentState_AGENT_STATE_READY})))
		r.refused("offer", second(ag.Accept(c, &pb.AcceptRequest{AgentId: "anna", OfferId: word})))
		r.refused("call of an agent", second(ag.Complete(c, &pb.CompleteRequest{AgentId: "anna", CallId: word})))
		r.refused("callback", second(cb.Cancel(c, &pb.CallbackServiceCancelRequest{CallbackId: word})))
		r.refused("caller", second(tiers.Lookup(c, &pb.TierServiceLookupRequest{Caller: word + "x"})))
		r.refused("page", second(sup.ListCalls(c, &pb.ListCallsRequest{PageToken: word})))
		r.refused("another switch's", second(sw.CallArrived(c, &pb.CallArrivedRequest{CallId: "c1", SwitchId: word})))
	}
}

// pages asks for pages that are not there, and the API of browsers with nonsense.
func (r *canaryRun) pages() {
	for _, path := range []string{"/" + canary, "/static/13912345678", "/events?site=13912345678", "/stream?site=" + "%2B8613912345678"} {
		_, body := r.get(path)
		clean(r.T, path, body)
	}
	for _, body := range []string{`{"callId": "` + canary + `"}`, `{"` + canary + `": 1}`} {
		req, err := http.NewRequestWithContext(ctx(r.T), http.MethodPost, "http://"+r.d.HTTP()+"/greenlane.v1.SupervisorService/Explain", strings.NewReader(body))
		if err != nil {
			r.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			r.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode < 400 {
			r.Errorf("%s: %d, %v", body, res.StatusCode, err)
		}
		clean(r.T, "the answer to a browser's "+body, string(text))
	}
	http.DefaultClient.CloseIdleConnections()
}

func (r *canaryRun) get(path string) (int, string) {
	r.Helper()
	res, err := http.Get("http://" + r.d.HTTP() + path)
	if err != nil {
		r.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// refused looks for the number in an error's message and details.
func (r *canaryRun) refused(what string, err error) {
	r.Helper()
	if err == nil {
		r.Errorf("%s: not refused", what)
		return
	}
	clean(r.T, "the error about "+what, status.Convert(err).Proto().String())
}

// searchFiles ends the daemon with a dump of its goroutines and searches its output
// and the files in dir.
func (r *canaryRun) searchFiles(dir string) {
	if err := syscall.Kill(r.d.PID(), syscall.SIGQUIT); err != nil {
		r.Fatal(err)
	}
	<-r.d.Done()
	if text := r.log.String(); !strings.Contains(text, "goroutine ") {
		r.Errorf("no dump:\n%s", text)
	}
	clean(r.T, "the output", r.log.String())
	n := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		clean(r.T, path, string(data))
		n++
		return err
	})
	if err != nil || n == 0 {
		r.Errorf("%d files in %s, %v", n, dir, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestThePanicIsDiscreet: an engine that panics is told of in the log, with what it
// panicked about, and a number in that is masked.
func TestThePanicIsDiscreet(t *testing.T) {
	log := new(logtest.Buffer)
	armed := make(chan struct{}, 1)
	a := apptest.Start(t, configOf(t), app.Options{
		Logger: log.Logger(),
		Engine: func(o *embedded.Options) {
			o.WrapCommit = func(commit func() error) error {
				select {
				case <-armed:
					panic("commit of " + canary)
				default:
					return commit()
				}
			}
		},
	})
	armed <- struct{}{}
	sw := pb.NewSwitchServiceClient(dial(t, a, insecure.NewCredentials()))
	_, err := sw.CallArrived(ctx(t), &pb.CallArrivedRequest{CallId: "c", SwitchId: "sw", Caller: canary})
	if err == nil {
		t.Fatal("the engine did not fail")
	}
	<-a.Failed()
	clean(t, "the error", status.Convert(err).Proto().String())
	text := log.String()
	clean(t, "the log", text)
	if !strings.Contains(text, "panic: commit of +") || !slices.Contains(strings.Fields(text), "level=ERROR") {
		t.Errorf("the log does not tell of the panic:\n%s", text)
	}
}
