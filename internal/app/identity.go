package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	"greenlane/internal/audit"
	"greenlane/internal/auth"
	"greenlane/internal/rpc"
	"greenlane/metrics/prom"
)

// openAuthority opens what proves identities and speaks TLS, when anything is set
// up, and says so when nobody is asked.
func (a *App) openAuthority() error {
	if !a.cfg.Asked() {
		a.log.Warn("nobody is asked who they are: whoever reaches this daemon may do everything; see docs/security.md")
	}
	if !a.cfg.TLS.On() && !a.cfg.Asked() {
		return nil
	}
	opts := a.cfg.AuthOptions()
	opts.Now, opts.Logger, opts.Every = a.now, a.log, a.opts.CredentialsEvery
	opts.Refused = func(from net.Addr, refusal *auth.Refusal) { a.server.RefusedConnection(from, refusal) }
	opts.Took = a.noteTaken
	var err error
	if a.authority, err = auth.Open(opts); err != nil {
		return err
	}
	a.refusals.log = a.log
	a.refusals.count, err = a.daemon.Credentials(func() prom.Credentials {
		n, ends := a.authority.Counts(), a.authority.Expiries()
		return prom.Credentials{
			Reloads: n.Reloads.Load(), Failures: n.Failures.Load(), Certificate: ends.Certificate, CA: ends.CA, CRL: ends.CRL,
		}
	})
	a.authority.Start()
	a.later(a.authority.Stop)
	return err
}

// identify puts into the options of the services what proves identities.
func (a *App) identify(opts *rpc.Options) {
	if a.authority == nil || !a.authority.On() {
		return
	}
	opts.Authenticated, opts.Authority, opts.Refused = true, a.authority, a.refused
}

// refused counts who was turned away, and keeps it in the log and in the audit
// record.
func (a *App) refused(_ context.Context, what rpc.Refused) {
	a.refusals.take(what)
	if a.logins == nil {
		return
	}
	host, _, err := net.SplitHostPort(what.Peer)
	if err != nil {
		host = what.Peer
	}
	a.logins.Refused(audit.Refusal{Reason: what.Reason, Name: what.Who.Name, Host: host})
}

// refusals counts and logs those. A flood of them must not become a
// flood of lines.
type refusals struct {
	log   *slog.Logger
	count func(reason string)

	mu     sync.Mutex
	since  time.Time // of the last line
	silent int       // refusals since, of which nothing was said
}

// refusalsEvery is how often a refusal is logged at most.
const refusalsEvery = time.Second

func (r *refusals) take(what rpc.Refused) {
	r.count(what.Reason)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.since) < refusalsEvery {
		r.silent++
		return
	}
	level := slog.LevelInfo
	if what.Code == codes.PermissionDenied {
		level = slog.LevelWarn // somebody known wants what is not theirs
	}
	r.log.Log(context.Background(), level, "a request was refused for who made it", "path", what.Path, "peer", what.Peer,
		"reason", what.Reason, "detail", what.Detail, "name", what.Who.Name, "roles", what.Who.Roles.String(), "others_since", r.silent)
	r.since, r.silent = now, 0
}

// guarded lets requests of HTTP through as the table of roles allows.
func (a *App) guarded(next http.Handler) http.Handler {
	board := a.cfg.Sites[0].Name
	for i := range a.cfg.Sites {
		if a.cfg.Sites[i].Name == rpc.DefaultSite {
			board = rpc.DefaultSite
		}
	}
	return a.server.Guard(next, board, func(w http.ResponseWriter, r *http.Request, code int, why string) {
		if a.pages != nil {
			a.pages.Refuse(w, r, code, why)
			return
		}
		answer(w, code, why)
	})
}
