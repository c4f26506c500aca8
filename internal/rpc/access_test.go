package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"greenlane/internal/identity"
	"greenlane/internal/pki"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// lasting opens everything that lasts, with connections of a kind, and returns how
// each ends.
func (l *locked) lasting(as func(identity.Role, string) *grpc.ClientConn) map[string]func() error {
	l.t.Helper()
	agent, sw, sup, crm := as(identity.Agent, "7001"), as(identity.Switch, "pbx-1"), as(identity.Supervisor, "boss"), as(identity.BackOffice, "crm")
	t, ctx := l.t, l.ctx()
	session := must(pb.NewAgentServiceClient(agent).Session(ctx))(t)
	hello := &pb.SessionHello{AgentId: "7001", SignIn: &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}}
	if err := session.Send(&pb.SessionRequest{Message: &pb.SessionRequest_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	recvUntil(t, "welcome", session.Recv, func(m *pb.SessionResponse) bool { return m.GetWelcome() != nil })
	connect := must(pb.NewSwitchServiceClient(sw).Connect(ctx))(t)
	if err := connect.Send(&pb.ConnectRequest{SwitchId: "pbx-1", Message: &pb.ConnectRequest_Hello{Hello: &pb.SwitchHello{}}}); err != nil {
		t.Fatal(err)
	}
	recvUntil(t, "welcome", connect.Recv, func(m *pb.ConnectResponse) bool { return m.GetWelcome() != nil })
	watch := must(pb.NewSupervisorServiceClient(sup).Watch(ctx, &pb.WatchRequest{}))(t)
	must(watch.Recv())(t)
	events := must(pb.NewSupervisorServiceClient(sup).StreamEvents(ctx, &pb.StreamEventsRequest{}))(t)
	must(events.Recv())(t)
	batch := must(pb.NewTierServiceClient(crm).BatchSet(ctx))(t) // of which nothing comes
	if err := batch.Send(&pb.TierServiceBatchSetRequest{Caller: "13800138000", Tier: pb.Tier_TIER_MID, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	reflection := must(reflectionpb.NewServerReflectionClient(sup).ServerReflectionInfo(ctx))(t)
	if err := reflection.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	must(reflection.Recv())(t)
	return map[string]func() error{
		"batch":      func() error { return batch.RecvMsg(new(pb.TierServiceBatchSetResponse)) },
		"reflection": func() error { return recvEnd(t, reflection.Recv) },
		"session":    func() error { return recvEnd(t, session.Recv) }, "connect": func() error { return recvEnd(t, connect.Recv) },
		"watch": func() error { return recvEnd(t, watch.Recv) }, "events": func() error { return recvEnd(t, events.Recv) },
	}
}

func (l *locked) wantEnds(ends map[string]func() error, reason string) {
	l.t.Helper()
	for what, end := range ends {
		if err := end(); status.Code(err) != codes.Unauthenticated || reasonOf(err) != reason {
			l.t.Errorf("%s ended with %v, want %s", what, err, reason)
		}
	}
}

// TestStreamsEndWithTheirToken: not before, and not much later.
func TestStreamsEndWithTheirToken(t *testing.T) {
	l := newLocked(t)
	until := time.Now().Add(4 * time.Second).Truncate(time.Second)
	token := func(role identity.Role, name string) *grpc.ClientConn {
		return l.as(must(l.key.Sign(pki.Token{Name: name, Roles: role, Until: until}))(t), nil)
	}
	l.lasts(token, until)
}

// TestStreamsEndWithTheirCertificate, although its connection stays.
func TestStreamsEndWithTheirCertificate(t *testing.T) {
	l := newLocked(t)
	until := time.Now().Add(4 * time.Second).Truncate(time.Second)
	l.lasts(func(role identity.Role, name string) *grpc.ClientConn {
		p := must(l.ca.Client(time.Now().Add(-time.Minute), until, trust, role, name, "main"))(t)
		return l.as("", &p)
	}, until)
}

func (l *locked) lasts(as func(identity.Role, string) *grpc.ClientConn, until time.Time) {
	var agent *grpc.ClientConn
	l.wantEnds(l.lasting(func(role identity.Role, name string) *grpc.ClientConn {
		conn := as(role, name)
		if role == identity.Agent {
			agent = conn
		}
		return conn
	}), "CREDENTIAL_EXPIRED")
	if late := time.Since(until); late < 0 {
		l.t.Errorf("a stream ended %v before its credential", -late)
	}
	_, err := pb.NewAgentServiceClient(agent).SetState(l.ctx(), &pb.SetStateRequest{AgentId: "7001", State: pb.AgentState_AGENT_STATE_READY})
	if status.Code(err) != codes.Unauthenticated {
		l.t.Errorf("afterwards: %v", err)
	}
}

// TestALongPollEndsWithItsToken: an offer that its agent may no longer accept would
// keep the caller waiting.
func TestALongPollEndsWithItsToken(t *testing.T) {
	l := newLocked(t)
	token := must(l.key.Sign(pki.Token{Name: "7001", Roles: identity.Agent, Until: time.Now().Add(4 * time.Second)}))(t)
	agent := pb.NewAgentServiceClient(l.as(token, nil))
	must(agent.SignIn(l.ctx(), &pb.SignInRequest{AgentId: "7001", Queues: []*pb.AgentQueue{{Queue: "default"}}}))(t)
	_, err := agent.NextCall(l.ctx(), &pb.NextCallRequest{AgentId: "7001"})
	if status.Code(err) != codes.Unauthenticated || reasonOf(err) != "CREDENTIAL_EXPIRED" {
		t.Errorf("it ended with %v", err)
	}
}

// TestStreamsEndWhenTheirCredentialIsTakenBack, and others stay.
func TestStreamsEndWhenTheirCredentialIsTakenBack(t *testing.T) {
	l := newLocked(t)
	var certs []*x509.Certificate
	byCert := l.lasting(func(role identity.Role, name string) *grpc.ClientConn {
		p := l.cert(role, name, "main")
		certs = append(certs, p.X509)
		return l.as("", p)
	})
	stays := must(pb.NewSupervisorServiceClient(l.as("", l.cert(identity.Supervisor, "other", "main"))).Watch(l.ctx(), &pb.WatchRequest{}))(t)
	must(stays.Recv())(t)
	l.write("crl.pem", must(l.ca.CRL(nil, time.Now(), time.Now().Add(time.Hour), certs...))(t))
	l.wantEnds(byCert, "CREDENTIAL_REVOKED")

	// One token, then all that were issued to some names, then all of a key.
	single := l.lasting(func(role identity.Role, name string) *grpc.ClientConn {
		return l.as(l.tokenWithID("lost-"+name, role, name, "main"), nil)
	})
	ids, names := []string{"lost-7001", "lost-pbx-1", "lost-boss", "lost-crm"}, []string{"7001", "pbx-1", "boss", "crm"}
	l.write("revoked.json", revokedList(ids, nil))
	l.wantEnds(single, "CREDENTIAL_REVOKED")
	byToken := func(role identity.Role, name string) *grpc.ClientConn { return l.as(l.token(role, name, "main"), nil) }
	named := l.lasting(byToken)
	l.write("revoked.json", revokedList(ids, names))
	l.wantEnds(named, "CREDENTIAL_REVOKED")
	l.write("revoked.json", []byte("{}"))
	l.untilAllowed(byToken(identity.Supervisor, "boss"))
	keyed := l.lasting(byToken)
	l.write("jwks.json", must(pki.JWKS(must(pki.NewTokenKey())(t)))(t))
	l.wantEnds(keyed, "CREDENTIAL_INVALID")

	// What stays is told of what happens now.
	conn := l.as("", l.cert(identity.Switch, "pbx-2", "main"))
	must(pb.NewSwitchServiceClient(conn).CallArrived(l.ctx(), &pb.CallArrivedRequest{SwitchId: "pbx-2", CallId: "c"}))(t)
	recvUntil(t, "the call", stays.Recv, func(m *pb.WatchResponse) bool {
		for _, q := range m.GetSnapshot().GetQueues() {
			for _, tier := range q.GetTiers() {
				if tier.GetWaiting() == 1 {
					return true
				}
			}
		}
		return false
	})
}

// TestOthersCallsAndOffers: who is bound to be itself is refused what is another's,
// in the same words as what does not exist.
func TestOthersCallsAndOffers(t *testing.T) {
	l := newLocked(t)
	ctx := l.ctx()
	one, two := l.as(l.token(identity.Switch, "pbx-1", "main"), nil), l.as(l.token(identity.Switch, "pbx-2", "main"), nil)
	anna, ben := pb.NewAgentServiceClient(l.as(l.token(identity.Agent, "anna", "main"), nil)), pb.NewAgentServiceClient(l.as(l.token(identity.Agent, "ben", "main"), nil))
	boss := l.as(l.token(identity.Supervisor, "boss", "main"), nil)
	sw1, sw2 := pb.NewSwitchServiceClient(one), pb.NewSwitchServiceClient(two)
	must(sw1.CallArrived(ctx, &pb.CallArrivedRequest{SwitchId: "pbx-1", CallId: "c1", Caller: "13800138000"}))(t)
	for id, agent := range map[string]pb.AgentServiceClient{"anna": anna, "ben": ben} {
		must(agent.SignIn(ctx, &pb.SignInRequest{AgentId: id, Queues: []*pb.AgentQueue{{Queue: "default"}}}))(t)
	}
	offer := must(anna.NextCall(ctx, &pb.NextCallRequest{AgentId: "anna"}))(t).GetOffer().GetOfferId()
	none := queue.OfferID(1 << 40)
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.PermissionDenied || reasonOf(err) != "NOT_YOURS" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, id := range []string{offer, none} {
		_, err := ben.Accept(ctx, &pb.AcceptRequest{AgentId: "ben", OfferId: id})
		refused("accept", err)
		_, err = ben.Decline(ctx, &pb.DeclineRequest{AgentId: "ben", OfferId: id})
		refused("decline", err)
		_, err = ben.Acknowledge(ctx, &pb.AcknowledgeRequest{AgentId: "ben", OfferId: id})
		refused("acknowledge", err)
	}
	stream := must(sw2.Connect(ctx))(t)
	say := func(m *pb.ConnectRequest) *pb.ConnectResult {
		t.Helper()
		m.SwitchId = "pbx-2"
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
		return recvUntil(t, "the result", stream.Recv, func(r *pb.ConnectResponse) bool { return r.GetResult() != nil }).GetResult()
	}
	answered := &pb.ConnectRequest{Message: &pb.ConnectRequest_AgentAnswered{AgentAnswered: &pb.AgentAnswered{OfferId: offer}}}
	failed := &pb.ConnectRequest{Message: &pb.ConnectRequest_AgentFailed{AgentFailed: &pb.AgentFailed{OfferId: offer, Reason: pb.AgentFailure_AGENT_FAILURE_BUSY}}}
	stolen := func(what string, m *pb.ConnectRequest) {
		t.Helper()
		if r := say(m); codes.Code(r.GetCode()) != codes.PermissionDenied || r.GetCall() != nil {
			t.Errorf("%s: %v", what, r)
		}
	}
	stolen("an answer for another's offer", answered)
	stolen("a failure for another's offer", failed)
	must(anna.Accept(ctx, &pb.AcceptRequest{AgentId: "anna", OfferId: offer}))(t)
	stolen("an answer for another's call", answered)
	stolen("the end of another's call", &pb.ConnectRequest{Message: &pb.ConnectRequest_Ended{Ended: &pb.CallEndedRequest{CallId: "c1"}}})

	_, err := ben.Complete(ctx, &pb.CompleteRequest{AgentId: "ben", CallId: "c1"})
	refused("complete", err)
	_, err = ben.Complete(ctx, &pb.CompleteRequest{AgentId: "ben", CallId: "no such call"})
	refused("complete nothing", err)
	_, err = sw2.CallEnded(ctx, &pb.CallEndedRequest{SwitchId: "pbx-2", CallId: "c1"})
	refused("end", err)
	_, err = sw2.CallAbandoned(ctx, &pb.CallAbandonedRequest{SwitchId: "pbx-2", CallId: "c1"})
	refused("abandon", err)
	_, err = sw2.CallArrived(ctx, &pb.CallArrivedRequest{SwitchId: "pbx-2", CallId: "c1"})
	refused("arrive again", err)
	if res := must(sw2.Reconcile(ctx, &pb.ReconcileRequest{SwitchId: "pbx-2"}))(t); res.GetClosed() != 0 {
		t.Errorf("another's list closed %d calls", res.GetClosed())
	}
	explain := func(token string) error {
		_, err := pb.NewSupervisorServiceClient(l.as(token, nil)).Explain(ctx, &pb.ExplainRequest{CallId: "c1"})
		return err
	}
	refused("explain", explain(l.token(identity.Agent, "ben", "main")))
	if err := explain(l.token(identity.Agent, "anna", "main")); err != nil {
		t.Errorf("an agent's own call: %v", err)
	}
	sup := pb.NewSupervisorServiceClient(l.as(l.token(identity.Agent, "ben", "main"), nil))
	_, err = sup.GetSnapshot(ctx, &pb.GetSnapshotRequest{})
	refused("all agents", err)
	_, err = sup.ListCalls(ctx, &pb.ListCallsRequest{})
	refused("all calls", err)
	if must(pb.NewSupervisorServiceClient(boss).Explain(ctx, &pb.ExplainRequest{CallId: "c1"}))(t).GetCall().GetState() != pb.CallState_CALL_STATE_ANSWERED {
		t.Error("somebody changed the call")
	}
	must(anna.Complete(ctx, &pb.CompleteRequest{AgentId: "anna", CallId: "c1"}))(t)
}

// TestSessionsCommandsAreBoundToo: what comes on a stream is checked as the rpcs are.
func TestSessionsCommandsAreBoundToo(t *testing.T) {
	l := newLocked(t)
	ends := must(pb.NewAgentServiceClient(l.as(l.token(identity.Agent, "ben", "main"), nil)).Session(l.ctx()))(t)
	signIn := &pb.SignInRequest{Queues: []*pb.AgentQueue{{Queue: "default"}}}
	for _, m := range []*pb.SessionRequest{
		{Message: &pb.SessionRequest_Hello{Hello: &pb.SessionHello{AgentId: "ben", SignIn: signIn}}},
		{Message: &pb.SessionRequest_Accept{Accept: &pb.AcceptRequest{OfferId: queue.OfferID(1 << 40)}}},
	} {
		if err := ends.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	r := recvUntil(t, "the result", ends.Recv, func(m *pb.SessionResponse) bool { return m.GetResult() != nil })
	if codes.Code(r.GetResult().GetCode()) != codes.PermissionDenied {
		t.Errorf("an offer that is none: %v", r)
	}
}

// TestAPathWithoutItsSlash must not pass for one that somebody may call.
func TestAPathWithoutItsSlash(t *testing.T) {
	l := newLocked(t)
	for path, wantOK := range map[string]bool{
		getSnapshot: true, getSnapshot[1:]: false, "/" + getSnapshot: false, getSnapshot + "/": false,
		"/greenlane.v1.SupervisorService//GetSnapshot": false, "/GREENLANE.v1.SupervisorService/GetSnapshot": false,
		"/./greenlane.v1.SupervisorService/GetSnapshot": false, getSnapshot + "?x": false,
	} {
		for who, token := range map[string]string{"boss": l.token(identity.Supervisor, "boss", "main"), "nobody": ""} {
			code := l.raw(path, token)
			want := wantOK && who == "boss"
			if (code == "0") != want {
				t.Errorf("%q by %s: grpc-status %q", path, who, code)
			}
		}
	}
}

// raw makes a unary request frame by frame, and returns its grpc-status.
func (l *locked) raw(path, token string) string { return l.frames(path, token, make([]byte, 5), true) }

// frames makes a request of some bytes, after which the client says that it has ended,
// or nothing more; and returns its grpc-status.
func (l *locked) frames(path, token string, data []byte, end bool) string {
	t := l.t
	t.Helper()
	conn := must(tls.Dial("tcp", l.addr, &tls.Config{RootCAs: l.pool, NextProtos: []string{"h2"}}))(t)
	defer conn.Close()
	f := framer(t, conn)
	begin(t, f, 1, path, token)
	if err := f.WriteData(1, end, data); err != nil {
		t.Fatal(err)
	}
	return ended(f)
}

// framer greets a server in HTTP/2.
func framer(t *testing.T, conn net.Conn) *http2.Framer {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

// begin sends the headers of a request.
func begin(t *testing.T, f *http2.Framer, stream uint32, path, token string) {
	t.Helper()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fields := [][2]string{{":method", "POST"}, {":scheme", "https"}, {":path", path}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}}
	if token != "" {
		fields = append(fields, [2]string{"authorization", "Bearer " + token})
	}
	for _, h := range fields {
		enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
}

// ended reads until a request has ended, and returns its status.
func ended(f *http2.Framer) string {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return "cut off: " + err.Error()
		}
		switch fr := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range fr.Fields {
				if h.Name == "grpc-status" {
					return h.Value
				}
			}
		case *http2.RSTStreamFrame:
			return "reset"
		}
	}
}

// TestWithoutAnAuthorityTheContextIsBelieved: somebody in front has proved it.
func TestWithoutAnAuthorityTheContextIsBelieved(t *testing.T) {
	r := newRig(t, func(_ *queue.Site, o *rpc.Options) { o.Authenticated = true })
	_, err := r.sup.GetSnapshot(context.Background(), &pb.GetSnapshotRequest{})
	wantCode(t, err, codes.Unauthenticated, "")
}
