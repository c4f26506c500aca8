package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"greenlane/internal/auth"
	"greenlane/internal/discreet"
	"greenlane/internal/h2limit"
	"greenlane/internal/identity"
)

// Refused is a request that was turned away for who made it. It holds nothing of
// the credential.
type Refused struct {
	Path   string     // the rpc, or the path of HTTP; empty: the connection itself
	Peer   string     // the address it came from
	Code   codes.Code // Unauthenticated or PermissionDenied
	Reason string     // ErrorInfo.reason
	Detail string     // for the log
	// Who is the identity that was proved, if there was one; of a credential that
	// was refused only the name it bears, and that only if somebody known vouched for
	// it.
	Who identity.Identity
}

// The reasons of a refusal, as ErrorInfo.reason tells them.
const (
	reasonNoCredential = "NO_CREDENTIAL"
	reasonInvalid      = "CREDENTIAL_INVALID"
	reasonExpired      = "CREDENTIAL_EXPIRED"
	reasonRevoked      = "CREDENTIAL_REVOKED"
	reasonRole         = "ROLE_MISSING"
	reasonSite         = "SITE_DENIED"
	reasonNotYours     = "NOT_YOURS"
	reasonNoRule       = "NO_RULE"
)

var unproved = map[auth.Reason]struct{ reason, message string }{
	auth.ReasonNone:    {reasonNoCredential, "a credential is needed: a client certificate or a bearer token"},
	auth.ReasonInvalid: {reasonInvalid, "the credential is not accepted"},
	auth.ReasonExpired: {reasonExpired, "the credential has expired"},
	auth.ReasonRevoked: {reasonRevoked, "the credential is revoked"},
}

// entry is a request that was let in.
type entry struct {
	rule  *Rule
	known auth.Known
	proof auth.Proof
}

// enter finds out who makes a request and whether the role may. The error is the
// client's.
func (s *Server) enter(ctx context.Context, path string, rule *Rule, proof func() auth.Proof) (entry, error) {
	e := entry{rule: rule}
	switch {
	case rule == nil:
		own := discreet.Prose(path) // it is whatever a client wrote
		return e, s.turnAway(ctx, own, e.known.Identity, codes.PermissionDenied, reasonNoRule, "nobody may call this")
	case rule.Open, !s.opts.Authenticated:
		e.known.Identity = identity.Open()
		return e, nil
	case s.opts.Authority == nil: // whoever is in front of this server has proved it
		e.known.Identity = identity.From(ctx)
		if e.known.Roles == 0 {
			return e, s.turnAway(ctx, path, e.known.Identity, codes.Unauthenticated, reasonNoCredential, unproved[auth.ReasonNone].message)
		}
	default:
		e.proof = proof()
		var err error
		if e.known, err = s.opts.Authority.Prove(e.proof); err != nil {
			charge(ctx, h2limit.StrangerCost) // not so where a credential ends that was good
			return e, s.unauthenticated(ctx, path, err)
		}
	}
	if e.known.Proved() {
		h2limit.Excuse(ctx)
	}
	if !e.known.Roles.Has(rule.Roles) {
		return e, s.turnAway(ctx, path, e.known.Identity, codes.PermissionDenied, reasonRole,
			fmt.Sprintf("one of these roles is needed: %s", rule.Roles))
	}
	if rule.Every {
		for name := range s.sites {
			if !e.known.At(name) {
				return e, s.turnAway(ctx, path, e.known.Identity, codes.PermissionDenied, reasonSite, "this tells of every site of the daemon, and not all are yours")
			}
		}
	}
	return e, nil
}

// unauthenticated tells the client why its credential is not believed, in general
// words; the record of refusals has the rest.
func (s *Server) unauthenticated(ctx context.Context, path string, err error) error {
	var refusal *auth.Refusal
	if !errors.As(err, &refusal) {
		refusal = &auth.Refusal{Reason: auth.ReasonInvalid, Detail: err.Error()}
	}
	told := unproved[refusal.Reason]
	s.record(ctx, Refused{
		Path: path, Code: codes.Unauthenticated, Reason: told.reason, Detail: refusal.Detail, Who: identity.Identity{Name: refusal.Name},
	})
	return refuse(codes.Unauthenticated, told.reason, told.message, nil)
}

func (s *Server) turnAway(ctx context.Context, path string, who identity.Identity, code codes.Code, reason, message string) error {
	if !who.Proved() { // who is known is answered for, and others share the address
		charge(ctx, h2limit.StrangerCost)
	}
	s.record(ctx, Refused{Path: path, Code: code, Reason: reason, Detail: message, Who: who})
	return refuse(code, reason, message, nil)
}

func (s *Server) record(ctx context.Context, r Refused) {
	if s.opts.Refused == nil {
		return
	}
	if p, ok := peer.FromContext(ctx); ok && r.Peer == "" {
		r.Peer = p.Addr.String()
	}
	s.opts.Refused(ctx, r)
}

// RefusedConnection records a client whose certificate was refused before it could
// make a request.
func (s *Server) RefusedConnection(from net.Addr, refusal *auth.Refusal) {
	s.record(context.Background(), Refused{
		Peer: from.String(), Code: codes.Unauthenticated, Reason: unproved[refusal.Reason].reason, Detail: refusal.Detail,
		Who: identity.Identity{Name: refusal.Name},
	})
}

// allow checks what a message is about: the site must be the identity's, and who
// is bound to act as itself must do so. It is the one place that does.
func (s *Server) allow(ctx context.Context, path string, e *entry, req any) error {
	if e.rule.Open || !s.opts.Authenticated {
		return nil
	}
	id := e.known.Identity
	site, name, sited := subjectOf(req, e.rule.Self)
	if site == "" {
		site = DefaultSite
	}
	if sited && !id.At(site) {
		// The same whether there is such a site or not.
		return s.turnAway(ctx, path, id, codes.PermissionDenied, reasonSite, "site: "+quote(site)+" is none of yours")
	}
	if e.rule.Self != 0 && name != "" && id.Only(e.rule.Self, e.rule.Roles&^e.rule.Self) && name != id.Name {
		return s.turnAway(ctx, path, id, codes.PermissionDenied, reasonNotYours,
			fmt.Sprintf("%s: must be your own, %s", selfField(req, e.rule.Self), quote(id.Name)))
	}
	if e.rule.limit != nil {
		if why := e.rule.limit(id, req); why != "" {
			return s.turnAway(ctx, path, id, codes.PermissionDenied, reasonNotYours, why)
		}
	}
	return nil
}

// bound reports whether who makes the request of ctx acts only as itself, in a
// role that is bound.
func (s *Server) bound(ctx context.Context, role identity.Role) (identity.Identity, bool) {
	id := s.who(ctx)
	return id, id.Only(role, identity.Supervisor)
}

// notYours turns what the engine says of things that are not the caller's into
// PermissionDenied, for callers who are bound to be themselves. They are told the
// same whether there is such a thing or not.
func (s *Server) notYours(id identity.Identity, err error) error {
	if err == nil {
		return nil
	}
	if id.By == identity.ByNobody || id.Name == identity.AnyName || id.Roles.Has(identity.Supervisor) {
		return err
	}
	for _, d := range status.Convert(err).Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		switch info.GetReason() {
		case "OFFER_NOT_FOUND":
			return refuse(codes.PermissionDenied, reasonNotYours, "offer_id: no offer of yours", nil)
		case "CALL_NOT_FOUND", "CALL_EXISTS":
			return refuse(codes.PermissionDenied, reasonNotYours, "call_id: no call of yours", nil)
		}
	}
	return err
}

// proofOf reads what a request of gRPC brings along.
func proofOf(ctx context.Context) auth.Proof {
	var p auth.Proof
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if v := md.Get("authorization"); len(v) > 0 {
			p.Bearer = bearer(v[0])
		}
	}
	if from, ok := peer.FromContext(ctx); ok {
		if info, ok := from.AuthInfo.(credentials.TLSInfo); ok {
			p.Chain = info.State.PeerCertificates
		}
	}
	return p
}

// bearer reads an Authorization header. What is no bearer token is a wrong one: it
// must not count as none.
func bearer(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if token = strings.TrimSpace(token); ok && strings.EqualFold(scheme, "bearer") && token != "" {
		return token
	}
	return "-"
}

// guardUnary lets a request in that the table allows, before its message is read.
// allow, which next has called for the message, says whether it may be that.
func (s *Server) guardUnary(ctx context.Context, path string, next func(ctx context.Context, allow func(req any) error) (any, error)) (any, error) {
	e, err := s.enter(ctx, path, ruleOf[path], func() auth.Proof { return proofOf(ctx) })
	if err != nil {
		return nil, err
	}
	if !s.opts.Authenticated || e.rule.Open {
		return next(ctx, anything)
	}
	return s.guardKnown(ctx, path, e, next)
}

// guardKnown is guardUnary for whoever has proved who it is.
func (s *Server) guardKnown(ctx context.Context, path string, e entry, next func(ctx context.Context, allow func(req any) error) (any, error)) (any, error) {
	allow := func(req any) error { return s.allow(ctx, path, &e, req) }
	if path != nextCall {
		res, err := next(identity.With(ctx, e.known.Identity), allow)
		return res, s.notYours(e.known.Identity, err)
	}
	lasting, over := s.last(ctx, path, &e)
	res, err := next(lasting, allow)
	return res, over(err)
}

func anything(any) error { return nil }

// guardStream lets a stream in that the table allows, for as long as its
// credential holds.
func (s *Server) guardStream(stream grpc.ServerStream, path string, handle func(grpc.ServerStream) error) error {
	ctx := stream.Context()
	e, err := s.enter(ctx, path, ruleOf[path], func() auth.Proof { return proofOf(ctx) })
	if err != nil {
		return err
	}
	if !s.opts.Authenticated || e.rule.Open {
		return handle(stream)
	}
	ctx, over := s.last(ctx, path, &e)
	return over(handle(&guardedStream{ServerStream: stream, s: s, path: path, entry: &e, ctx: ctx}))
}

// guardedStream is a stream whose messages are checked, and which ends with the
// credential that opened it.
type guardedStream struct {
	grpc.ServerStream
	s     *Server
	path  string
	entry *entry
	ctx   context.Context
	begun bool // the first message was checked: those after it must agree with it
}

// Context implements grpc.ServerStream.
func (g *guardedStream) Context() context.Context { return g.ctx }

// RecvMsg implements grpc.ServerStream.
func (g *guardedStream) RecvMsg(m any) error {
	if err := g.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if g.ctx.Err() != nil {
		return context.Cause(g.ctx)
	}
	if g.begun {
		return nil
	}
	g.begun = true
	return g.s.allow(g.ctx, g.path, g.entry, m)
}

// lasting is what a stream or a long poll of an identity is kept by.
type lasting struct {
	path  string
	entry *entry
	ctx   context.Context
	end   context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // until the credential ends
	over  bool
}

// last returns a context that ends when the credential does: when it expires, or
// when the authority believes it no more. over must be called when the request
// ends, and returns why it did if that was the credential.
func (s *Server) last(ctx context.Context, path string, e *entry) (_ context.Context, over func(error) error) {
	ctx = identity.With(ctx, e.known.Identity)
	if s.opts.Authority == nil || e.rule.Open {
		return ctx, func(err error) error { return err }
	}
	l := &lasting{path: path, entry: e}
	l.ctx, l.end = context.WithCancelCause(ctx)
	s.lastMu.Lock()
	s.lasting[l] = struct{}{}
	s.lastMu.Unlock()
	s.again(l) // what it rests on may have changed since it was proved
	return l.ctx, func(err error) error {
		s.lastMu.Lock()
		delete(s.lasting, l)
		s.lastMu.Unlock()
		l.rest()
		if err != nil && l.ctx.Err() != nil && ctx.Err() == nil {
			err = context.Cause(l.ctx)
		}
		l.end(nil)
		return err
	}
}

// again proves a credential again, and ends what rests on it when it holds no more.
func (s *Server) again(l *lasting) {
	if l.ctx.Err() != nil {
		return
	}
	known, err := s.opts.Authority.Prove(l.entry.proof)
	switch {
	case err != nil:
		l.end(s.unauthenticated(l.ctx, l.path, err))
	case !same(known.Identity, l.entry.known.Identity):
		l.end(s.unauthenticated(l.ctx, l.path, &auth.Refusal{Reason: auth.ReasonInvalid, Detail: "the credential now stands for another"}))
	default:
		l.wait(s.opts.Authority.Left(known.Until), func() { s.again(l) })
	}
}

// wait lets do be done after d, and not what was to be done before.
func (l *lasting) wait(d time.Duration, do func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	if !l.over {
		l.timer = time.AfterFunc(d, do)
	}
}

// rest ends the waiting for good.
func (l *lasting) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

func same(a, b identity.Identity) bool {
	return a.Name == b.Name && a.Roles == b.Roles && strings.Join(a.Sites, " ") == strings.Join(b.Sites, " ")
}

// watchAuthority looks at everything that lasts whenever the authority's files
// have changed.
func (s *Server) watchAuthority() {
	for {
		changed := s.opts.Authority.Changed()
		s.lastMu.Lock()
		open := make([]*lasting, 0, len(s.lasting))
		for l := range s.lasting {
			open = append(open, l)
		}
		s.lastMu.Unlock()
		for _, l := range open {
			s.again(l)
		}
		select {
		case <-changed:
		case <-s.base.Done():
			return
		}
	}
}
