package rpc_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/identity"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// prefix is what stands before a message of some bytes.
func prefix(bytes int) []byte { return binary.BigEndian.AppendUint32([]byte{0}, uint32(bytes)) }

// TestAMessageThatIsTooLongIsNotWaitedFor: it is refused for the length that it says
// it has, of which nothing was sent yet.
func TestAMessageThatIsTooLongIsNotWaitedFor(t *testing.T) {
	var h heard
	l := newLocked(t, h.listen, func(_ *queue.Site, o *rpc.Options) {
		o.Limits.Roles = map[identity.Role]rpc.RoleLimits{identity.Agent: {Message: 1000}, identity.Supervisor: {Message: 2000}}
	})
	agent, boss := l.token(identity.Agent, "ben", "main"), l.token(identity.Supervisor, "boss", "main")
	for _, x := range []struct {
		path, token string
		bytes       int
	}{
		{getSnapshot, agent, 1001}, {getSnapshot, boss, 2001},
		{"/greenlane.v1.AgentService/Session", agent, 1001},
		{"/greenlane.v1.AgentService/NextCall", agent, 1001},
		{"/greenlane.v1.SupervisorService/Watch", boss, 2001},
	} {
		if got := l.frames(x.path, x.token, prefix(x.bytes), false); got != "8" {
			t.Errorf("%s, %d bytes: grpc-status %q, want 8", x.path, x.bytes, got)
		}
	}
	h.want(t, "message agent", 3)
	h.want(t, "message supervisor", 2)
}

// TestWhoProvesNothingIsNotReadFrom: whoever may not ask is told so before its message
// was read.
func TestWhoProvesNothingIsNotReadFrom(t *testing.T) {
	l := newLocked(t)
	for token, want := range map[string]string{"": "16", "rubbish": "16", l.token(identity.Switch, "pbx", "main"): "7"} {
		if got := l.frames(getSnapshot, token, prefix(1<<20), false); got != want {
			t.Errorf("grpc-status %q, want %s", got, want)
		}
	}
}

// TestWhatIsNoMessage is told apart from a client that went away.
func TestWhatIsNoMessage(t *testing.T) {
	l := newLocked(t, func(_ *queue.Site, o *rpc.Options) {
		o.Limits.Roles = map[identity.Role]rpc.RoleLimits{identity.Supervisor: {Message: 2000}}
	})
	boss := l.token(identity.Supervisor, "boss", "main")
	for what, x := range map[string]struct {
		data []byte
		want string
	}{
		"nothing at all":     {nil, "13"},
		"half a prefix":      {[]byte{0, 0}, "13"},
		"half a message":     {append(prefix(9), 1, 2), "13"},
		"two messages":       {append(prefix(0), prefix(0)...), "13"},
		"a packed message":   {[]byte{1, 0, 0, 0, 0}, "13"},
		"no protobuf":        {append(prefix(2), 0, 0), "3"},
		"a message, at last": {prefix(0), "0"},
	} {
		if got := l.frames(getSnapshot, boss, x.data, true); got != x.want {
			t.Errorf("%s: grpc-status %q, want %s", what, got, x.want)
		}
	}
}

// TestAsManyRequestsAtOnceAsAllowed: requests whose messages do not come count, too.
func TestAsManyRequestsAtOnceAsAllowed(t *testing.T) {
	r := newRig(t, limitedTo(rpc.RoleLimits{Rate: 1e6, Burst: 3}))
	conn := r.dial()
	defer conn.Close()
	begin := func() { // as a stream, so that no message has to be sent
		must(conn.NewStream(r.ctx(), &grpc.StreamDesc{ClientStreams: true}, getSnapshot))(t)
	}
	for range 3 {
		begin()
	}
	ask := func() error {
		_, err := r.sup.ListAgents(r.ctx(), &pb.ListAgentsRequest{})
		return err
	}
	deadline := time.Now().Add(patience)
	err := ask()
	for ; err == nil && time.Now().Before(deadline); err = ask() {
		begin() // one of them may have come beside the question, and been refused itself
	}
	wantLimit(t, err, "rate", true)
	conn.Close()
	for err = ask(); status.Code(err) == codes.ResourceExhausted && time.Now().Before(deadline); err = ask() {
	}
	if err != nil {
		t.Errorf("when they have ended: %v", err)
	}
}

// TestLargeMessagesThatNeverComeTakeSoMuchRoom: the room is what was announced. It is
// free again when they have ended, and what is small needs none.
func TestLargeMessagesThatNeverComeTakeSoMuchRoom(t *testing.T) {
	var h heard
	r := newRig(t, h.listen)
	conn := must(net.Dial("tcp", r.addr))(t)
	defer conn.Close()
	f := framer(t, conn)
	for i := range uint32(3) { // two of them are what one address may have
		begin(t, f, 2*i+1, "/greenlane.v1.SwitchService/Reconcile", "")
		if err := f.WriteData(2*i+1, false, prefix(rpc.MaxMessage)); err != nil {
			t.Fatal(err)
		}
	}
	if got := ended(f); got != "8" {
		t.Errorf("a third one: grpc-status %q, want 8", got)
	}
	h.want(t, "room open", 1)
	reconcile := func(filler int) error {
		_, err := r.sw.Reconcile(r.ctx(), &pb.ReconcileRequest{RequestId: fmt.Sprint(filler), SwitchId: "pbx", Calls: []*pb.LiveCall{
			{CallId: "c1", Caller: "13800138000", Attributes: map[string]string{"filler": strings.Repeat("x", filler)}},
		}})
		return err
	}
	wantLimit(t, reconcile(64<<10), "room", true)
	if err := reconcile(100); err != nil {
		t.Errorf("a small one: %v", err)
	}
	conn.Close()
	err, deadline := reconcile(64<<10), time.Now().Add(patience)
	for ; status.Code(err) == codes.ResourceExhausted && time.Now().Before(deadline); err = reconcile(64 << 10) {
	}
	if err != nil {
		t.Errorf("when they have ended: %v", err)
	}
}

// TestPagesAreBoundedWhoeverAsks: while nobody is asked, an address gets of the HTTP
// port what a supervisor may, and of the metrics what Prometheus may.
func TestPagesAreBoundedWhoeverAsks(t *testing.T) {
	var h heard
	r := newRig(t, h.listen, func(_ *queue.Site, o *rpc.Options) {
		o.Limits.Roles = map[identity.Role]rpc.RoleLimits{
			identity.Metrics:    {Rate: 1.0 / 3600, Burst: 2},
			identity.Supervisor: {Rate: 1.0 / 3600, Burst: 4, Streams: 1, Headers: 100},
		}
	})
	begun, end := make(chan bool), make(chan bool)
	web := r.server.Guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wallboard/stream" {
			begun <- true
			<-end
		}
	}), "main", nil)
	get := func(path, from string, head ...string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		req.RemoteAddr = from
		for _, v := range head {
			req.Header.Set("X-Filler", v)
		}
		w := httptest.NewRecorder()
		web.ServeHTTP(w, req)
		return w
	}
	for i, want := range []int{200, 200, 429} {
		if w := get("/metrics", "10.0.0.1:1"); w.Code != want || want == 429 && w.Header().Get("Retry-After") != "3600" {
			t.Errorf("scrape %d: %d %v", i, w.Code, w.Header())
		}
	}
	if w := get("/metrics", "10.0.0.2:1"); w.Code != 200 {
		t.Errorf("another address: %d", w.Code)
	}
	var boards sync.WaitGroup
	for range 2 { // an address has twice what a supervisor has
		boards.Go(func() { get("/wallboard/stream", "10.0.0.1:2") })
		<-begun
	}
	if w := get("/wallboard/stream", "10.0.0.1:3"); w.Code != 429 {
		t.Errorf("a third wallboard: %d", w.Code)
	}
	close(end)
	boards.Wait()
	const own = len("X-Filler") + 32
	for filler, want := range map[int]int{100 - own: 200, 101 - own: 429} {
		if w := get("/", "10.0.0.3:1", string(make([]byte, filler))); w.Code != want {
			t.Errorf("headers of %d bytes: %d, want %d", filler+own, w.Code, want)
		}
	}
	for i, want := range []int{200, 200, 429} { // the wallboards were the first two of four
		if w := get("/", "10.0.0.1:4"); w.Code != want {
			t.Errorf("page %d: %d, want %d", i, w.Code, want)
		}
	}
	h.want(t, "rate open", 2)
	h.want(t, "streams open", 1)
	h.want(t, "headers open", 1)
}
