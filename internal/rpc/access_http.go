package rpc

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"greenlane/internal/auth"
	"greenlane/internal/identity"
)

// apiPrefix begins the path of every rpc of this API.
const apiPrefix = "/greenlane.v1."

// siteParameter names the site in a path of HTTP, and boardPath is the one that is
// about one.
const (
	siteParameter = "site"
	boardPath     = "/wallboard/stream"
)

// Guard lets requests of HTTP through to next as the table allows, with the
// identity in their context. Those to the API are let through to its own guard.
// refused answers those that are turned away, with 401 or 403 and why.
//
// site is the one that a wallboard shows when it names none.
func (s *Server) Guard(next http.Handler, site string, refused func(w http.ResponseWriter, r *http.Request, code int, why string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if s.opts.Authority == nil {
			if strings.HasPrefix(path, apiPrefix) {
				next.ServeHTTP(w, r)
			} else {
				s.visited(next, w, r, identity.Open())
			}
			return
		}
		if strings.HasPrefix(path, apiPrefix) {
			if token := auth.FromCookie(r); token != "" && r.Header.Get("Authorization") == "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			next.ServeHTTP(w, r)
			return
		}
		ctx := peer.NewContext(r.Context(), &peer.Peer{Addr: httpPeer(r.RemoteAddr)})
		e, err := s.enter(ctx, path, ruleOfPath(path), func() auth.Proof { return httpProof(r) })
		if err == nil && path == boardPath {
			err = s.allow(ctx, path, &e, boardRequest{cmp.Or(r.URL.Query().Get(siteParameter), site)})
		}
		if err != nil {
			code := http.StatusForbidden
			if status.Code(err) == codes.Unauthenticated {
				code = http.StatusUnauthorized
				w.Header().Set("WWW-Authenticate", "Bearer")
			}
			refused(w, r, code, status.Convert(err).Message())
			return
		}
		if e.rule.Open {
			s.visited(next, w, r, identity.Open())
			return
		}
		ctx, over := s.last(r.Context(), path, &e)
		defer func() { _ = over(nil) }()
		s.visited(next, w, r.WithContext(ctx), e.known.Identity)
	})
}

// boardRequest is what a wallboard asks for, as the table's checks read it.
type boardRequest struct{ site string }

// GetSite returns the site.
func (b boardRequest) GetSite() string { return b.site }

// httpProof reads what a request brings along: a token of its own, or else its
// browser's, or the certificate of its connection.
func httpProof(r *http.Request) auth.Proof {
	var p auth.Proof
	if h := r.Header.Get("Authorization"); h != "" {
		p.Bearer = bearer(h)
	} else {
		p.Bearer = auth.FromCookie(r)
	}
	if r.TLS != nil {
		p.Chain = r.TLS.PeerCertificates
	}
	return p
}

type httpPeer string

var _ net.Addr = httpPeer("")

// Network implements net.Addr.
func (httpPeer) Network() string { return "tcp" }

// String implements net.Addr.
func (p httpPeer) String() string { return string(p) }

// SignIn proves a token that a browser wants to keep, and records it when it is
// refused. The message is for the person who brought it.
func (s *Server) SignIn(ctx context.Context, token, from string) (auth.Known, error) {
	if s.opts.Authority == nil {
		return auth.Known{}, refuse(codes.FailedPrecondition, "NOT_SET_UP", "this daemon asks nobody who they are", nil)
	}
	ctx = peer.NewContext(ctx, &peer.Peer{Addr: httpPeer(from)})
	known, err := s.opts.Authority.Prove(auth.Proof{Bearer: cmp.Or(token, "-")})
	if err != nil {
		return auth.Known{}, s.unauthenticated(ctx, "/login", err)
	}
	return known, nil
}
