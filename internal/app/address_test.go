package app_test

import (
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"greenlane/internal/config"
	"greenlane/internal/identity"
	pb "greenlane/proto/greenlane/v1"
)

// TestWhoIsKnownPaysForItselfAlone: an agent who asks too much, and for what it may
// not, is refused. Others at its address keep their connections, and get new ones.
func TestWhoIsKnownPaysForItselfAlone(t *testing.T) {
	g := newGuarded(t, func(c *config.Config) {
		c.Limits.Names = []config.Named{{Name: "7001", Use: config.Use{Rate: 0.001, Burst: 3}}}
	})
	tokens := map[string]string{}
	for _, name := range []string{"7001", "7002"} {
		tokens[name] = g.token(identity.Agent, name, time.Hour)
	}
	list, grading := "/greenlane.v1.CallbackService/List", "/greenlane.v1.TierService/GetGrading"
	client := func() *http.Client {
		tr := &http.Transport{TLSClientConfig: g.tls(""), MaxConnsPerHost: 1}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	reused := false
	traced := httptrace.WithClientTrace(ctx(t), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	ask := func(c *http.Client, name, method, path string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(traced, method, g.url(path), strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tokens[name])
		req.Header.Set("Content-Type", "application/json")
		res, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s asks for %s: %v", name, path, err)
		}
		_, _ = io.Copy(io.Discard, res.Body) // the connection is used again
		res.Body.Close()
		return res.StatusCode
	}
	one, two := client(), client()
	if got := ask(two, "7002", "POST", list); got != http.StatusOK {
		t.Fatalf("7002: %d", got)
	}
	refused := 0
	for range 300 {
		if ask(one, "7001", "POST", list) == http.StatusTooManyRequests {
			refused++
		}
		if ask(one, "7001", "GET", "/whoami") == http.StatusTooManyRequests {
			refused++
		}
		if got := ask(one, "7001", "POST", grading); got != http.StatusForbidden {
			t.Fatalf("what an agent may not: %d", got)
		}
	}
	if refused < 590 {
		t.Errorf("%d of 600 requests above the rate were refused", refused)
	}
	if got := ask(two, "7002", "POST", list); got != http.StatusOK || !reused {
		t.Errorf("another agent at the address, on the connection it has: %d, connected still: %v", got, reused)
	}
	if got := ask(client(), "7002", "POST", list); got != http.StatusOK || reused {
		t.Errorf("another agent at the address, on a new connection: %d", got)
	}

	over := func() pb.CallbackServiceClient {
		return pb.NewCallbackServiceClient(dial(t, g.App, credentials.NewTLS(g.tls(""))))
	}
	call := func(c pb.CallbackServiceClient, name string) codes.Code {
		_, err := c.List(metadata.AppendToOutgoingContext(ctx(t), "authorization", "Bearer "+tokens[name]), &pb.CallbackServiceListRequest{})
		return status.Code(err)
	}
	loop, other := over(), over()
	if got := call(other, "7002"); got != codes.OK {
		t.Fatalf("7002 over gRPC: %v", got)
	}
	for range 1000 {
		if got := call(loop, "7001"); got != codes.ResourceExhausted {
			t.Fatalf("above the rate over gRPC: %v", got)
		}
	}
	for what, c := range map[string]pb.CallbackServiceClient{"on the connection it has": other, "on a new one": over()} {
		if got := call(c, "7002"); got != codes.OK {
			t.Errorf("another agent at the address, over gRPC %s: %v", what, got)
		}
	}
}
