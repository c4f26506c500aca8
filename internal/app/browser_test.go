package app_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	pb "greenlane/proto/greenlane/v1"
)

// protocols are the ways in which a browser may speak.
var protocols = map[string][]connect.ClientOption{
	"connect":       nil,
	"connect+json":  {connect.WithProtoJSON()},
	"grpc-web":      {connect.WithGRPCWeb()},
	"grpc-web+json": {connect.WithGRPCWeb(), connect.WithProtoJSON()},
}

// browser calls the API as browsers do: over HTTP/1.1.
type browser struct {
	t    *testing.T
	url  string
	http *http.Client
	opts []connect.ClientOption
}

func newBrowser(t *testing.T, a *app.App, opts ...connect.ClientOption) *browser {
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return &browser{t, "http://" + a.HTTPAddr().String() + "/greenlane.v1.", client, opts}
}

func unary[Req, Res any](b *browser, method string, req *Req) (*Res, error) {
	res, err := connect.NewClient[Req, Res](b.http, b.url+method, b.opts...).CallUnary(ctx(b.t), connect.NewRequest(req))
	if err != nil {
		return nil, err
	}
	return res.Msg, nil
}

func stream[Req, Res any](c context.Context, b *browser, method string, req *Req) *connect.ServerStreamForClient[Res] {
	b.t.Helper()
	res, err := connect.NewClient[Req, Res](b.http, b.url+method, b.opts...).CallServerStream(c, connect.NewRequest(req))
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func detail[M proto.Message](err error) (found M) {
	var ce *connect.Error
	if errors.As(err, &ce) {
		for _, d := range ce.Details() {
			if v, derr := d.Value(); derr == nil {
				if m, ok := v.(M); ok {
					return m
				}
			}
		}
	}
	return found
}

// TestBrowsersCallTheAPI walks an agent's day in each protocol, over HTTP/1.1.
func TestBrowsersCallTheAPI(t *testing.T) {
	for name, opts := range protocols {
		t.Run(name, func(t *testing.T) {
			a := apptest.Start(t, configOf(t), app.Options{})
			b := newBrowser(t, a, opts...)
			c, cancel := context.WithCancel(ctx(t))
			defer cancel()
			listen := stream[pb.ListenRequest, pb.ListenResponse](c, b, "AgentService/Listen", &pb.ListenRequest{
				AgentId: "a", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}},
			})
			next := func(what string, wanted func(*pb.SessionResponse) bool) *pb.SessionResponse {
				t.Helper()
				for listen.Receive() {
					if m := listen.Msg().GetMessage(); wanted(m) {
						return m
					}
				}
				t.Fatalf("waiting for %s: %v", what, listen.Err())
				return nil
			}
			next("the welcome", func(m *pb.SessionResponse) bool { return m.GetWelcome() != nil })
			if _, err := unary[pb.CallArrivedRequest, pb.CallArrivedResponse](b, "SwitchService/CallArrived",
				&pb.CallArrivedRequest{SwitchId: "s", CallId: "c", Caller: "13800138000"}); err != nil {
				t.Fatal(err)
			}
			offer := next("the offer", func(m *pb.SessionResponse) bool { return m.GetOffer() != nil }).GetOffer()
			if _, err := unary[pb.AcknowledgeRequest, pb.AcknowledgeResponse](b, "AgentService/Acknowledge",
				&pb.AcknowledgeRequest{AgentId: "a", OfferId: offer.GetOfferId()}); err != nil {
				t.Fatal(err)
			}
			accepted, err := unary[pb.AcceptRequest, pb.AcceptResponse](b, "AgentService/Accept", &pb.AcceptRequest{AgentId: "a", OfferId: offer.GetOfferId()})
			if err != nil || accepted.GetCall().GetState() != pb.CallState_CALL_STATE_ANSWERED {
				t.Errorf("accept: %v, %v", accepted, err)
			}
			_, err = unary[pb.SignInRequest, pb.SignInResponse](b, "AgentService/SignIn", &pb.SignInRequest{AgentId: "x"})
			if connect.CodeOf(err) != connect.CodeInvalidArgument {
				t.Errorf("a wrong sign-in: %v", err)
			}
			if bad := detail[*errdetails.BadRequest](err); len(bad.GetFieldViolations()) != 1 || bad.GetFieldViolations()[0].GetField() != "queues" {
				t.Errorf("its details: %v", bad)
			}
			// The stream is the agent's lease, also here: when the page goes, so does
			// the agent. A talking one stays.
			cancel()
			for listen.Receive() {
			}
			if err := listen.Err(); connect.CodeOf(err) != connect.CodeCanceled {
				t.Errorf("the stream ended with %v", err)
			}
		})
	}
}

func TestABrowsersDeadlineIsKept(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	b := newBrowser(t, a)
	if _, err := unary[pb.SignInRequest, pb.SignInResponse](b, "AgentService/SignIn",
		&pb.SignInRequest{AgentId: "a", Queues: []*pb.AgentQueue{{Queue: "default"}}}); err != nil {
		t.Fatal(err)
	}
	c, cancel := context.WithTimeout(ctx(t), 50*time.Millisecond)
	defer cancel()
	poll := connect.NewClient[pb.NextCallRequest, pb.NextCallResponse](b.http, b.url+"AgentService/NextCall")
	_, err := poll.CallUnary(c, connect.NewRequest(&pb.NextCallRequest{AgentId: "a", Wait: durationpb.New(time.Minute)}))
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Errorf("got %v", err)
	}
}

// TestStopEndsWhatBrowsersHold: streams, long polls and wallboards end with the
// daemon, and do not hold it up.
func TestStopEndsWhatBrowsersHold(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	b := newBrowser(t, a)
	listen := stream[pb.ListenRequest, pb.ListenResponse](ctx(t), b, "AgentService/Listen", &pb.ListenRequest{
		AgentId: "a", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}},
	})
	if !listen.Receive() {
		t.Fatal(listen.Err())
	}
	board, err := b.http.Get("http://" + a.HTTPAddr().String() + "/wallboard/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer board.Body.Close()
	ended := make(chan error, 2)
	go func() {
		for listen.Receive() {
		}
		ended <- listen.Err()
	}()
	go func() {
		_, err := io.Copy(io.Discard, board.Body)
		ended <- err
	}()
	began := time.Now()
	apptest.Stop(t, a)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("the stop took %v", took)
	}
	for range 2 {
		if err := <-ended; err != nil && connect.CodeOf(err) != connect.CodeUnavailable {
			t.Errorf("ended with %v", err)
		}
	}
}

func TestTheAPIIsNotForOtherWebSites(t *testing.T) {
	a := apptest.Start(t, configOf(t, func(c *config.Config) { c.HTTPHosts = []string{"Wallboard.example.com"} }), app.Options{})
	const method = "/greenlane.v1.SupervisorService/GetSnapshot"
	for _, test := range []struct {
		what, method, path, host string
		header                   map[string]string
		want                     int
	}{
		{"a script or a tool", "POST", method, "", nil, 200},
		{"the page itself", "POST", method, "", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"a known name", "POST", method, "wallboard.example.com:80", nil, 200},
		{"another site", "POST", method, "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"another port of this machine", "POST", method, "", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"another site, old browser", "POST", method, "", map[string]string{"Origin": "http://evil.example"}, 403},
		{"a sandboxed frame", "POST", method, "", map[string]string{"Origin": "null"}, 403},
		{"a rebound name", "POST", method, "evil.example:7317", nil, 421},
		{"a rebound name for a page", "GET", "/", "evil.example", nil, 421},
		{"a stream for another site", "GET", "/wallboard/stream", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403},
		{"a page in a frame", "GET", "/", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403},
		{"a link from elsewhere", "GET", "/", "", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200},
		{"a preflight", "OPTIONS", method, "", map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}, 404},
	} {
		t.Run(test.what, func(t *testing.T) {
			req, err := http.NewRequestWithContext(ctx(t), test.method, "http://"+a.HTTPAddr().String()+test.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			if test.host != "" {
				req.Host = test.host
			}
			for k, v := range test.header {
				req.Header.Set(k, v)
			}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != test.want {
				t.Errorf("answered with %s", res.Status)
			}
			for name := range res.Header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("the answer allows others: %s: %s", name, res.Header.Get(name))
				}
			}
		})
	}
}

func TestWithoutPagesNobodyCallsTheAPIOverHTTP(t *testing.T) {
	a := apptest.Start(t, configOf(t, func(c *config.Config) { c.Web = false }), app.Options{})
	for _, path := range []string{"/", "/agent", "/ui/base.css", "/greenlane.v1.SupervisorService/GetSnapshot"} {
		if code, _ := get(t, a, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if code, _ := get(t, a, "/metrics"); code != http.StatusOK {
		t.Errorf("/metrics: %d", code)
	}
}

// TestAPlainPostIsEnough: what a page sends needs no library, and a mistake gets an
// answer that says so.
func TestAPlainPostIsEnough(t *testing.T) {
	a := apptest.Start(t, configOf(t), app.Options{})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	pack := func(text string) string {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		z.Write([]byte(text))
		z.Close()
		return b.String()
	}
	const tooMuch = 64 << 20
	for what, c := range map[string]struct {
		path, body, encoding string
		status               int
		code                 string
	}{
		"an unknown callback":  {"CallbackService/Claim", `{"callbackId": "cb-1", "claimant": "a"}`, "", http.StatusNotFound, "not_found"},
		"packed":               {"CallbackService/Claim", pack(`{"callbackId": "cb-1", "claimant": "a"}`), "gzip", http.StatusNotFound, "not_found"},
		"packed with a bang":   {"CallbackService/Claim", pack(`{"claimant": "` + strings.Repeat("a", tooMuch) + `"}`), "gzip", http.StatusTooManyRequests, "resource_exhausted"},
		"half of a message":    {"CallbackService/Claim", `{"callbackId"`, "", http.StatusBadRequest, "invalid_argument"},
		"a number for a name":  {"CallbackService/Claim", `{"callbackId": 7}`, "", http.StatusBadRequest, "invalid_argument"},
		"a field nobody knows": {"SupervisorService/GetSnapshot", `{"some": "thing"}`, "", http.StatusOK, ""},
	} {
		req, err := http.NewRequestWithContext(ctx(t), http.MethodPost, "http://"+a.HTTPAddr().String()+"/greenlane.v1."+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if c.encoding != "" {
			req.Header.Set("Content-Encoding", c.encoding)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		var answer struct{ Code, Message string }
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != c.status || answer.Code != c.code || (c.code != "") != (answer.Message != "") {
			t.Errorf("%s: %s, %+v, %v", what, res.Status, answer, err)
		}
		res.Body.Close()
	}
}

// TestBrowsersShareOneConnectionOverTLS: HTTP/2 is spoken there, so that pages
// with streams do not use up the few connections that a browser opens.
func TestBrowsersShareOneConnectionOverTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := selfSigned(t, cert, key)
	a := apptest.Start(t, configOf(t, func(c *config.Config) { c.TLS = config.TLS{Cert: cert, Key: key} }), app.Options{})
	b := newBrowser(t, a)
	b.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true, MaxConnsPerHost: 1}}
	t.Cleanup(b.http.CloseIdleConnections)
	b.url = "https://" + a.HTTPAddr().String() + "/greenlane.v1."
	listen := stream[pb.ListenRequest, pb.ListenResponse](ctx(t), b, "AgentService/Listen", &pb.ListenRequest{
		AgentId: "a", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}},
	})
	if !listen.Receive() || listen.Msg().GetMessage().GetWelcome() == nil {
		t.Fatal(listen.Err())
	}
	board, err := b.http.Get("https://" + a.HTTPAddr().String() + "/wallboard/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer board.Body.Close()
	if line, err := bufio.NewReader(board.Body).ReadString('\n'); err != nil || line != "event: hello\n" || board.ProtoMajor != 2 {
		t.Errorf("%s: %q, %v", board.Proto, line, err)
	}
	if _, err := unary[pb.CallArrivedRequest, pb.CallArrivedResponse](b, "SwitchService/CallArrived",
		&pb.CallArrivedRequest{SwitchId: "s", CallId: "c", Caller: "13800138000"}); err != nil {
		t.Fatal(err)
	}
	for listen.Receive() {
		if listen.Msg().GetMessage().GetOffer().GetCall().GetCallId() == "c" {
			apptest.Stop(t, a)
			break
		}
	}
	for listen.Receive() {
	}
	if connect.CodeOf(listen.Err()) != connect.CodeUnavailable {
		t.Errorf("the stream ended with %v", listen.Err())
	}
}
