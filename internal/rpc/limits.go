package rpc

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/h2limit"
	"greenlane/internal/identity"
)

// RoleLimits are what one identity may use at a time. Zero fields have no limit of
// their own: what the server allows to everybody holds.
type RoleLimits struct {
	// Streams is how many streams and long polls it may have open.
	Streams int
	// Rate is how many requests a second it may make for long, and Burst how many at
	// once. Messages on a Session or Connect count as requests: those that come too
	// fast are read later, and none of them is refused.
	Rate  float64
	Burst int
	// Message is the size of the largest message, in bytes.
	Message int
	// Headers is the size of the metadata of a request, in bytes, as HTTP/2 counts
	// them: names, values, and 32 for each pair.
	Headers int
}

// Limits are what each identity may use, by what it is. An identity with several
// roles has the widest limit of each.
type Limits struct {
	Roles map[identity.Role]RoleLimits
	// Open is for everybody when nobody is asked who they are: the identity is then
	// the address of the peer, or its /64 for IPv6.
	Open RoleLimits
	// Names are for the identities of these names, in place of their roles'.
	Names map[string]RoleLimits
}

// The names of the limits, as refusals and metrics give them.
const (
	limitStreams = "streams"
	limitRate    = "rate"
	limitMessage = "message"
	limitHeaders = "headers"
	limitRoom    = "room"
)

// guestsKept is how many identities are remembered while they have no stream open.
// Who was forgotten begins anew, with a full burst.
const guestsKept = 1 << 16

// limiter keeps what identities use now.
type limiter struct {
	limits Limits
	tell   func(limit, role string)
	large  atomic.Int64 // bytes of large messages

	mu   sync.Mutex
	idle *simplelru.LRU[guestKey, *guest] // no stream open
	busy map[guestKey]*guest
}

// guestKey names an identity among all that there are.
type guestKey struct{ role, name string }

// proved reports whether it is an identity's that was proved, and not an address's.
func (k guestKey) proved() bool { return k.role != openLabel && k.role != identity.Role(0).String() }

// guest is one identity, with what it uses.
type guest struct {
	key     guestKey
	limits  RoleLimits
	rate    *rate.Limiter // nil: none
	streams int           // guarded by limiter.mu
	atWork  atomic.Int64  // requests, without long polls
	large   atomic.Int64  // bytes of its large messages
}

func newLimiter(limits Limits, tell func(limit, role string)) *limiter {
	if tell == nil {
		tell = func(string, string) {}
	}
	l := &limiter{limits: limits, tell: tell, busy: map[guestKey]*guest{}}
	l.idle, _ = simplelru.NewLRU[guestKey, *guest](guestsKept, nil) // the error is about a size that is not positive
	return l
}

// guest returns who makes a request.
func (l *limiter) guest(ctx context.Context, id identity.Identity) *guest {
	return l.guestAs(keyOf(ctx, id), l.limits.of(id))
}

func (l *limiter) guestAs(key guestKey, limits RoleLimits) *guest {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.guestLocked(key, limits)
}

func (l *limiter) guestLocked(key guestKey, limits RoleLimits) *guest {
	if g := l.busy[key]; g != nil {
		return g
	}
	if g, ok := l.idle.Get(key); ok {
		return g
	}
	g := &guest{key: key, limits: limits}
	if g.limits.Rate > 0 {
		g.rate = rate.NewLimiter(rate.Limit(g.limits.Rate), max(1, g.limits.Burst))
	}
	l.idle.Add(key, g)
	return g
}

// keyOf names an identity; who was asked nothing is its address.
func keyOf(ctx context.Context, id identity.Identity) guestKey {
	role := roleLabel(id.Roles)
	switch {
	case id.By == identity.ByNobody:
		role = openLabel
	case id.Roles != 0:
		return guestKey{role, id.Name}
	}
	name := ""
	if p, ok := peer.FromContext(ctx); ok {
		name = h2limit.HostOf(p.Addr)
	}
	return guestKey{role, name}
}

// openLabel is the role that metrics give to who was asked nothing.
const openLabel = "open"

// roleLabel names roles for metrics: one role, or that there are several.
func roleLabel(r identity.Role) string {
	if r&(r-1) != 0 {
		return "several"
	}
	return r.String()
}

// of returns the limits of an identity.
func (l *Limits) of(id identity.Identity) RoleLimits {
	if id.By == identity.ByNobody {
		return l.Open
	}
	if own, ok := l.Names[id.Name]; ok {
		return own
	}
	if id.Roles == 0 { // who proved nothing where something was asked
		return l.Roles[identity.Agent]
	}
	var out *RoleLimits // set below: there is no role without a name
	for _, name := range identity.Names() {
		role, _ := identity.ParseRole(name)
		if !id.Roles.Has(role) {
			continue
		}
		r := l.Roles[role]
		if out == nil {
			out = &r
			continue
		}
		*out = RoleLimits{
			Streams: wider(out.Streams, r.Streams), Rate: wider(out.Rate, r.Rate), Burst: wider(out.Burst, r.Burst),
			Message: wider(out.Message, r.Message), Headers: wider(out.Headers, r.Headers),
		}
	}
	return *out
}

// wider returns the wider of two limits, of which 0 is none.
func wider[T int | float64](a, b T) T {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// request counts a request, and checks that its headers have no more bytes than they
// may.
func (l *limiter) request(ctx context.Context, g *guest, headers int) error {
	if g.limits.Headers > 0 {
		if n := headers; n > g.limits.Headers {
			return l.refuse(ctx, g, limitHeaders, 0, fmt.Sprintf("the metadata of the request is %d bytes: at most %d are allowed", n, g.limits.Headers))
		}
	}
	if g.rate == nil {
		return nil
	}
	r := g.rate.Reserve()
	wait := r.Delay()
	if wait == 0 {
		return nil
	}
	r.Cancel()
	return l.refuse(ctx, g, limitRate, wait, fmt.Sprintf("at most %s requests a second are allowed, and %d at once",
		strconv.FormatFloat(g.limits.Rate, 'f', -1, 64), g.limits.Burst))
}

// headerCost is what each pair costs beside its name and value (RFC 9113, 6.5.2).
const headerCost = 32

func headerBytes(ctx context.Context) int {
	md, _ := metadata.FromIncomingContext(ctx)
	n := 0
	for name, values := range md {
		for _, v := range values {
			n += len(name) + len(v) + headerCost
		}
	}
	return n
}

// open counts a stream or a long poll until leave.
func (l *limiter) open(ctx context.Context, id identity.Identity) (*guest, error) {
	return l.openAs(ctx, keyOf(ctx, id), l.limits.of(id))
}

func (l *limiter) openAs(ctx context.Context, key guestKey, limits RoleLimits) (*guest, error) {
	l.mu.Lock()
	g := l.guestLocked(key, limits)
	full := g.limits.Streams > 0 && g.streams >= g.limits.Streams
	if !full {
		if g.streams++; g.streams == 1 {
			l.idle.Remove(key)
			l.busy[key] = g
		}
	}
	l.mu.Unlock()
	if full {
		return g, l.refuse(ctx, g, limitStreams, retryAfter, fmt.Sprintf("at most %d streams and long polls may be open", g.limits.Streams))
	}
	return g, nil
}

func (l *limiter) leave(g *guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.streams--; g.streams == 0 {
		delete(l.busy, g.key)
		l.idle.Add(g.key, g)
	}
}

// refuse says which limit was reached, of whom, and when to try again. Strangers have
// their address pay for it. Of who has proved who it is there is one, wherever it
// comes from, and those who share its address must not pay.
func (l *limiter) refuse(ctx context.Context, g *guest, limit string, wait time.Duration, message string) error {
	l.tell(limit, g.key.role)
	if !g.key.proved() {
		charge(ctx, h2limit.RefusalCost)
	}
	meta := map[string]string{"limit": limit, "role": g.key.role}
	st := withDetails(status.New(codes.ResourceExhausted, message),
		&errdetails.ErrorInfo{Reason: "LIMIT_REACHED", Domain: errorDomain, Metadata: meta},
		&errdetails.QuotaFailure{Violations: []*errdetails.QuotaFailure_Violation{{Subject: "role:" + g.key.role, Description: limit + ": " + message}}})
	if wait > 0 {
		st = withDetails(st, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	return st.Err()
}

// unary carries one request out, within its limits: what they allow is settled before
// its message is read.
func (l *limiter) unary(ctx context.Context, id identity.Identity, path string, u *unread, allow func(req any) error) (any, error) {
	var g *guest
	if path == nextCall {
		var err error
		if g, err = l.open(ctx, id); err != nil {
			return nil, err
		}
		defer l.leave(g)
	} else {
		g = l.guest(ctx, id)
		defer g.atWork.Add(-1)
		// A rate alone would let requests pile up whose messages never end.
		if n := g.atWork.Add(1); g.limits.Burst > 0 && n > int64(g.limits.Burst) {
			return nil, l.refuse(ctx, g, limitRate, retryAfter, fmt.Sprintf("at most %d requests at once are allowed", g.limits.Burst))
		}
	}
	if err := l.request(ctx, g, headerBytes(ctx)); err != nil {
		return nil, err
	}
	own := &room{l: l, g: g}
	defer own.leave()
	return u.read(ctx, own, func(req any) error {
		if err := allow(req); err != nil {
			return err
		}
		return own.check(ctx, req)
	})
}

// stream passes one stream on, within its limits. raw is what is below it.
func (l *limiter) stream(id identity.Identity, srv any, raw *measured, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	ctx := stream.Context()
	g, err := l.open(ctx, id)
	if err != nil {
		return err
	}
	defer l.leave(g)
	if err := l.request(ctx, g, headerBytes(ctx)); err != nil {
		return err
	}
	own := &room{l: l, g: g}
	defer own.leave()
	raw.within(own)
	return handle(srv, &limited{ServerStream: stream, room: own, g: g, paced: info.IsClientStream && info.IsServerStream})
}

// limited is a stream whose messages are bounded in size and, where each is a
// request, in pace: the next one is read when it may be made. The client's own
// flow control then holds it back, and no event of a switch is lost.
type limited struct {
	grpc.ServerStream
	room  *room
	g     *guest
	paced bool
	begun bool // the first message is the request that was counted
}

// RecvMsg implements grpc.ServerStream.
func (s *limited) RecvMsg(m any) error {
	unread := s.ServerStream.RecvMsg(m)
	if unread != nil && !isUnreadable(unread) {
		return unread
	}
	if err := s.room.check(s.Context(), m); err != nil {
		return err
	}
	if s.paced && s.begun && s.g.rate != nil {
		if err := pauseFor(s.Context(), s.g.rate.Reserve().Delay()); err != nil {
			return err
		}
	}
	s.begun = true
	return unread
}

func pauseFor(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
