package rpc

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"greenlane/internal/identity"
)

// scrapePath is the path that costs the most, and is asked for the least.
const scrapePath = "/metrics"

// atOneAddress is how many times a supervisor's wallboards an address may have while
// nobody is asked: a floor's screens may come by one proxy, and supervisors beside them.
const atOneAddress = 2

// visitor returns who makes a request of HTTP that is no rpc. While nobody is asked,
// an address may ask for pages what a supervisor may, and for metrics what Prometheus
// may: Limits.Open is for gateways, and these do not come here.
func (l *limiter) visitor(ctx context.Context, path string, id identity.Identity) (guestKey, RoleLimits) {
	key := keyOf(ctx, id)
	if id.By != identity.ByNobody {
		return key, l.limits.of(id)
	}
	role := identity.Supervisor
	if path == scrapePath {
		role = identity.Metrics
	}
	key.name = role.String() + " " + key.name
	limits := l.limits.Roles[role]
	limits.Streams *= atOneAddress
	return key, limits
}

// visit counts a request of HTTP that is no rpc. leave is to be called when it ended.
func (l *limiter) visit(ctx context.Context, r *http.Request, id identity.Identity) (leave func(), err error) {
	key, limits := l.visitor(ctx, r.URL.Path, id)
	leave = func() {}
	var g *guest
	if r.URL.Path == boardPath {
		if g, err = l.openAs(ctx, key, limits); err != nil {
			return leave, err
		}
		leave = func() { l.leave(g) }
	} else {
		g = l.guestAs(key, limits)
	}
	n := 0
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + headerCost
		}
	}
	if err := l.request(ctx, g, n); err != nil {
		leave()
		return func() {}, err
	}
	return leave, nil
}

// visited lets a request of HTTP that is no rpc through to next within the limits of
// who makes it.
func (s *Server) visited(next http.Handler, w http.ResponseWriter, r *http.Request, id identity.Identity) {
	ctx := peer.NewContext(r.Context(), &peer.Peer{Addr: httpPeer(r.RemoteAddr)})
	leave, err := s.limits.visit(ctx, r, id)
	if err != nil {
		st := status.Convert(err)
		for _, d := range st.Details() {
			if wait, ok := d.(*errdetails.RetryInfo); ok {
				seconds := int64(max(time.Second, wait.GetRetryDelay().AsDuration()+time.Second-1) / time.Second)
				w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
			}
		}
		http.Error(w, st.Message(), http.StatusTooManyRequests)
		return
	}
	defer leave()
	next.ServeHTTP(w, r)
}
