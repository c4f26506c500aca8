package rpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"greenlane/internal/auth"
	"greenlane/internal/auth/revoked"
	"greenlane/internal/identity"
	"greenlane/internal/pki"
	"greenlane/internal/rpc"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// locked is a rig that asks who makes a request.
type locked struct {
	*rig
	dir     string
	ca      *pki.CA
	key     *pki.TokenKey
	pool    *x509.CertPool
	mu      sync.Mutex
	refused []rpc.Refused
}

const trust = "example.org"

func (l *locked) file(name string) string { return filepath.Join(l.dir, name) }

// write replaces a file at once, as whoever rotates certificates does.
func (l *locked) write(name string, text []byte) {
	l.t.Helper()
	if err := errors.Join(os.WriteFile(l.file(name+".new"), text, 0o600), os.Rename(l.file(name+".new"), l.file(name))); err != nil {
		l.t.Fatal(err)
	}
}

func newLocked(t *testing.T, settings ...setting) *locked {
	t.Helper()
	l := &locked{dir: t.TempDir(), pool: x509.NewCertPool()}
	now := time.Now()
	l.ca = must(pki.NewCA("ca", now, time.Hour))(t)
	l.key = must(pki.NewTokenKey())(t)
	l.pool.AddCert(l.ca.Cert)
	l.rig = &rig{t: t}
	server := must(l.ca.Server(now.Add(-time.Minute), now.Add(time.Hour), "127.0.0.1"))(t)
	for name, text := range map[string][]byte{
		"server.crt": server.Cert, "server.key": server.Key, "ca.crt": must(l.ca.PEM())(t).Cert,
		"crl.pem": must(l.ca.CRL(nil, now, now.Add(time.Hour)))(t), "jwks.json": must(pki.JWKS(l.key))(t), "revoked.json": []byte("{}"),
	} {
		l.write(name, text)
	}
	authority := must(auth.Open(auth.Options{
		Cert: l.file("server.crt"), Key: l.file("server.key"), ClientCA: l.file("ca.crt"), ClientCRL: l.file("crl.pem"), TrustDomain: trust,
		Tokens: auth.TokenOptions{
			JWKSFile: l.file("jwks.json"), RevokedFile: l.file("revoked.json"), Audience: pki.Audience,
			NameClaim: "sub", RolesClaim: "roles", SitesClaim: "sites",
		},
		Every: 5 * time.Millisecond,
	}))(t)
	l.rig = newRig(t, append(settings, func(_ *queue.Site, o *rpc.Options) {
		o.Authenticated, o.Authority = true, authority
		o.Refused = func(_ context.Context, r rpc.Refused) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.refused = append(l.refused, r)
		}
	})...)
	authority.Start()
	t.Cleanup(authority.Stop)
	return l
}

// as returns a connection that sends a token, or shows a certificate, or neither.
func (l *locked) as(token string, pair *pki.Pair) *grpc.ClientConn {
	l.t.Helper()
	cfg := &tls.Config{RootCAs: l.pool, MinVersion: tls.VersionTLS13}
	if pair != nil {
		cfg.Certificates = []tls.Certificate{must(tls.X509KeyPair(pair.Cert, pair.Key))(l.t)}
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(cfg))}
	if token != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer(token)))
	}
	conn := must(grpc.NewClient(l.addr, opts...))(l.t)
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func (l *locked) token(role identity.Role, name string, sites ...string) string {
	l.t.Helper()
	return must(l.key.Sign(pki.Token{Name: name, Roles: role, Sites: sites, Issued: time.Now(), Until: time.Now().Add(time.Hour)}))(l.t)
}

// tokenWithID is a token that can be revoked by its id.
func (l *locked) tokenWithID(id string, role identity.Role, name string, sites ...string) string {
	l.t.Helper()
	return must(l.key.Sign(pki.Token{ID: id, Name: name, Roles: role, Sites: sites, Until: time.Now().Add(time.Hour)}))(l.t)
}

// revokedList is a list with some ids, and with the names to which nothing that was
// issued so far counts.
func revokedList(ids, names []string) []byte {
	var list revoked.List
	for _, id := range ids {
		list.Tokens = append(list.Tokens, revoked.Token{ID: id})
	}
	for _, name := range names {
		list.Names = append(list.Names, revoked.Name{Name: name, IssuedBefore: time.Now()})
	}
	text, _ := json.Marshal(list)
	return text
}

func (l *locked) cert(role identity.Role, name string, sites ...string) *pki.Pair {
	l.t.Helper()
	p := must(l.ca.Client(time.Now().Add(-time.Minute), time.Now().Add(time.Hour), trust, role, name, sites...))(l.t)
	return &p
}

// methods are all rpcs of the API, by path.
func methods(t *testing.T) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	out := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFilesByPackage("greenlane.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m := s.Methods().Get(j)
				out[fmt.Sprintf("/%s/%s", s.FullName(), m.Name())] = m
			}
		}
		return true
	})
	if len(out) < 30 {
		t.Fatalf("only %d rpcs were found", len(out))
	}
	return out
}

// TestEveryRPCHasARule, and every rule an rpc.
func TestEveryRPCHasARule(t *testing.T) {
	all := methods(t)
	named := map[string]bool{}
	for _, r := range rpc.Rules() {
		if named[r.Path] {
			t.Errorf("%s has two rules", r.Path)
		}
		named[r.Path] = true
		if strings.HasPrefix(r.Path, "/greenlane.") {
			if all[r.Path] == nil {
				t.Errorf("%s is no rpc", r.Path)
			}
			if r.Open || r.Roles == 0 || r.Roles == identity.All {
				t.Errorf("%s is for everybody or nobody", r.Path)
			}
		}
		if r.Self != 0 && !r.Roles.Has(r.Self) {
			t.Errorf("%s binds a role that may not call it", r.Path)
		}
	}
	for path := range all {
		if !named[path] {
			t.Errorf("%s has no rule: nobody could call it; say in roles.go who may", path)
		}
	}
}

// ask makes a request that names a site and who acts, and returns how it ended: nil
// for a stream that answers.
func ask(ctx context.Context, conn *grpc.ClientConn, path string, m protoreflect.MethodDescriptor, site string, ids map[string]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, _ := protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName())
	out, _ := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	req := in.New()
	fill(req, site, ids)
	if hello := m.Input().Fields().ByName("hello"); hello != nil && m.Name() == "Session" {
		fill(req.Mutable(hello).Message(), site, ids)
	}
	if f := m.Input().Fields().ByName("omit_agents"); f != nil {
		req.Set(f, protoreflect.ValueOfBool(true))
	}
	if f := m.Input().Fields().ByName("caller"); f != nil {
		req.Set(f, protoreflect.ValueOfString("13800138000"))
	}
	if f := m.Input().Fields().ByName("wait"); f != nil {
		req.Mutable(f)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, path)
	if err == nil {
		err = stream.SendMsg(req.Interface())
	}
	if err == nil && (!m.IsStreamingClient() || !m.IsStreamingServer()) {
		err = stream.CloseSend()
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = stream.RecvMsg(out.New().Interface())
	}
	return err
}

func fill(m protoreflect.Message, site string, ids map[string]string) {
	for name, value := range ids {
		if f := m.Descriptor().Fields().ByName(protoreflect.Name(name)); f != nil {
			m.Set(f, protoreflect.ValueOfString(value))
		}
	}
	if f := m.Descriptor().Fields().ByName("site"); f != nil && site != "" {
		m.Set(f, protoreflect.ValueOfString(site))
	}
}

var everybody = map[identity.Role]string{
	identity.Switch: "pbx-1", identity.Agent: "7001", identity.Supervisor: "boss", identity.BackOffice: "crm", identity.Metrics: "prom",
}

// TestEveryRPCWithEveryCredential walks the whole table.
func TestEveryRPCWithEveryCredential(t *testing.T) {
	l := newLocked(t)
	open := must(l.key.Sign(pki.Token{Name: "7001", Roles: identity.All, Until: time.Now().Add(-time.Second)}))(t)
	strange := must(must(pki.NewTokenKey())(t).Sign(pki.Token{Name: "7001", Roles: identity.All, Until: time.Now().Add(time.Hour)}))(t)
	elsewhere := must(l.key.Sign(pki.Token{Name: "7001", Roles: identity.All, Until: time.Now().Add(time.Hour), Audience: "elsewhere"}))(t)
	type caller struct {
		what   string
		conn   *grpc.ClientConn
		role   identity.Role
		reason string // of Unauthenticated
		other  bool   // belongs to another site
	}
	callers := []caller{
		{"no credential", l.as("", nil), 0, "NO_CREDENTIAL", false},
		{"a wrong token", l.as("x", nil), 0, "CREDENTIAL_INVALID", false},
		{"a stranger's token", l.as(strange, nil), 0, "CREDENTIAL_INVALID", false},
		{"a token for something else", l.as(elsewhere, nil), 0, "CREDENTIAL_INVALID", false},
		{"an expired token", l.as(open, nil), 0, "CREDENTIAL_EXPIRED", false},
		{"a wrong token beside a good certificate", l.as("x", l.cert(identity.Supervisor, "boss", "main")), 0, "CREDENTIAL_INVALID", false},
	}
	bad := l.cert(identity.Supervisor, "fired", "main")
	taken := l.as("", bad)
	if err := ask(l.ctx(), taken, getSnapshot, methods(t)[getSnapshot], "", nil); err != nil {
		t.Fatal(err)
	}
	l.write("crl.pem", must(l.ca.CRL(nil, time.Now(), time.Now().Add(time.Hour), bad.X509))(t))
	l.untilRefused(taken)
	callers = append(callers, caller{"a revoked certificate, connected before", taken, 0, "CREDENTIAL_REVOKED", false})
	single, named := l.as(l.tokenWithID("lost", identity.All, "7001", "main"), nil), l.as(l.token(identity.All, "gone", "main"), nil)
	for _, conn := range []*grpc.ClientConn{single, named} {
		if err := ask(l.ctx(), conn, getSnapshot, methods(t)[getSnapshot], "", nil); err != nil {
			t.Fatal(err)
		}
	}
	l.write("revoked.json", revokedList([]string{"lost"}, []string{"gone"}))
	l.untilRefused(single)
	callers = append(callers,
		caller{"a revoked token, used before", single, 0, "CREDENTIAL_REVOKED", false},
		caller{"a token of a revoked name, used before", named, 0, "CREDENTIAL_REVOKED", false},
		caller{"a revoked token beside a good certificate", l.as(l.tokenWithID("lost", identity.All, "7001", "main"), l.cert(identity.Supervisor, "boss", "main")), 0, "CREDENTIAL_REVOKED", false})
	for role, name := range everybody {
		callers = append(callers,
			caller{role.String() + " by token", l.as(l.token(role, name, "main"), nil), role, "", false},
			caller{role.String() + " by certificate", l.as("", l.cert(role, name, "main")), role, "", false},
			caller{role.String() + " of another site", l.as(l.token(role, name, "other"), nil), role, "", true})
	}
	ids := map[string]string{"switch_id": "pbx-1", "agent_id": "7001", "claimant": "7001"}
	for _, rule := range rpc.Rules() {
		m := methods(t)[rule.Path]
		if m == nil {
			continue
		}
		sited := m.Input().Fields().ByName("site") != nil || m.Name() == "Session"
		for _, c := range callers {
			err := ask(l.ctx(), c.conn, rule.Path, m, "", ids)
			want, reason := codes.OK, ""
			switch {
			case c.reason != "":
				want, reason = codes.Unauthenticated, c.reason
			case !rule.Roles.Has(c.role):
				want, reason = codes.PermissionDenied, "ROLE_MISSING"
			case c.other && sited:
				want, reason = codes.PermissionDenied, "SITE_DENIED"
			}
			got := status.Code(err)
			if want == codes.OK && (got == codes.Unauthenticated || got == codes.PermissionDenied && reasonOf(err) != "NOT_YOURS") ||
				want != codes.OK && (got != want || reasonOf(err) != reason) {
				t.Errorf("%s, %s: %v; want %v %s", rule.Path, c.what, err, want, reason)
			}
		}
	}
}

const getSnapshot = "/greenlane.v1.SupervisorService/GetSnapshot"

// untilRefused asks until a connection is refused: a change of the files is taken
// a moment after it is made.
func (l *locked) untilRefused(conn *grpc.ClientConn) {
	l.t.Helper()
	l.until(conn, codes.Unauthenticated, codes.OK)
}

// untilAllowed asks until a connection is let in again.
func (l *locked) untilAllowed(conn *grpc.ClientConn) {
	l.t.Helper()
	l.until(conn, codes.OK, codes.Unauthenticated)
}

func (l *locked) until(conn *grpc.ClientConn, want, meanwhile codes.Code) {
	l.t.Helper()
	ctx := l.ctx()
	for {
		_, err := pb.NewSupervisorServiceClient(conn).GetSnapshot(ctx, &pb.GetSnapshotRequest{OmitAgents: true})
		switch status.Code(err) {
		case want:
			return
		case meanwhile:
		default:
			l.t.Fatal(err)
		}
	}
}

// TestNobodyActsForAnother: agents and switches are themselves, and nobody learns
// whether a site exists that is not theirs.
func TestNobodyActsForAnother(t *testing.T) {
	l := newLocked(t)
	conns := map[identity.Role]*grpc.ClientConn{}
	for role, name := range everybody {
		conns[role] = l.as(l.token(role, name, "main"), nil)
	}
	everyone := l.as(l.token(identity.Agent|identity.Switch, identity.AnyName, "main"), nil)
	ids := map[string]string{"switch_id": "pbx-2", "agent_id": "7002", "claimant": "7002"}
	bound := 0
	for _, rule := range rpc.Rules() {
		m := methods(t)[rule.Path]
		if m == nil {
			continue
		}
		for role, conn := range conns {
			if !rule.Roles.Has(role) {
				continue
			}
			err := ask(l.ctx(), conn, rule.Path, m, "", ids)
			if rule.Self.Has(role) {
				bound++
				if status.Code(err) != codes.PermissionDenied || reasonOf(err) != "NOT_YOURS" {
					t.Errorf("%s as another %s: %v", rule.Path, role, err)
				}
			} else if rule.Self != 0 && status.Code(err) == codes.PermissionDenied {
				t.Errorf("%s by a %s for somebody: %v", rule.Path, role, err)
			}
			if m.Input().Fields().ByName("site") == nil && m.Name() != "Session" {
				continue
			}
			var said []string
			for _, site := range []string{"east", "no such site"} {
				err := ask(l.ctx(), conn, rule.Path, m, site, map[string]string{"switch_id": "pbx-1", "agent_id": "7001"})
				if status.Code(err) != codes.PermissionDenied {
					t.Errorf("%s at %s: %v", rule.Path, site, err)
				}
				said = append(said, strings.ReplaceAll(status.Convert(err).Message(), site, "SITE"))
			}
			if said[0] != said[1] {
				t.Errorf("%s tells sites apart: %q", rule.Path, said)
			}
		}
		if rule.Self != 0 {
			if err := ask(l.ctx(), everyone, rule.Path, m, "", ids); status.Code(err) == codes.PermissionDenied {
				t.Errorf("%s by a gateway: %v", rule.Path, err)
			}
		}
	}
	if bound < 15 {
		t.Errorf("only %d rules bind somebody", bound)
	}
	if !slices.ContainsFunc(l.refused, func(r rpc.Refused) bool {
		return r.Reason == "NOT_YOURS" && r.Who.Name == "7001" && strings.HasPrefix(r.Peer, "127.0.0.1:") && r.Path != ""
	}) {
		t.Errorf("the refusals were not told: %+v", l.refused)
	}
	for _, r := range l.refused {
		if strings.Contains(fmt.Sprintf("%+v", r), "eyJ") {
			t.Errorf("a refusal holds a token: %+v", r)
		}
	}
}

// TestAHeaderThatIsNoBearerTokenIsNoCredentialEither.
func TestAHeaderThatIsNoBearerTokenIsAWrongOne(t *testing.T) {
	l := newLocked(t)
	sup := pb.NewSupervisorServiceClient(l.as("", l.cert(identity.Supervisor, "boss", "main")))
	token := l.token(identity.Supervisor, "boss", "main")
	for header, want := range map[string]codes.Code{
		"Bearer " + token: codes.OK, "bearer  " + token + " ": codes.OK, token: codes.Unauthenticated, "Basic " + token: codes.Unauthenticated,
		"Bearer": codes.Unauthenticated, "Bearer ": codes.Unauthenticated, "": codes.Unauthenticated, "Bearer " + token + "x": codes.Unauthenticated,
	} {
		_, err := sup.GetSnapshot(metadata.AppendToOutgoingContext(l.ctx(), "authorization", header), &pb.GetSnapshotRequest{})
		if status.Code(err) != want {
			t.Errorf("%q: %v", strings.ReplaceAll(header, token, "TOKEN"), err)
		}
	}
}
