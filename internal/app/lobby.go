package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"greenlane/internal/redischeck"
	"greenlane/internal/rpc"
	"greenlane/queue"
)

// ErrNotAwaited is what New returns when it is to wait for Redis no longer.
var ErrNotAwaited = errors.New("waiting for Redis has ended")

// Redis is asked every lobbyRetry whether it has come, and that it has not is told
// every lobbyTell.
const (
	lobbyRetry = time.Second
	lobbyTell  = time.Minute
)

// lobbyLeave is how long clients may take to leave when Redis has come.
const lobbyLeave = time.Second

// whenUp tries until an error is none that waiting for Redis mends. Meanwhile
// whoever comes is told to come again.
func (a *App) whenUp(try func(context.Context) error) error {
	ctx, cancel := endedBy(a.opts.GiveUp)
	defer cancel()
	pause := time.NewTicker(lobbyRetry)
	defer pause.Stop()
	var told time.Time
	for {
		err := try(ctx)
		switch {
		case err == nil:
			if !told.IsZero() {
				a.log.Info("Redis answers")
			}
			return nil
		case ctx.Err() != nil:
			return ErrNotAwaited
		case !errors.Is(err, redischeck.ErrAway):
			return err
		}
		a.openLobby()
		if time.Since(told) > lobbyTell {
			told = time.Now()
			a.log.Warn("waiting for Redis: nothing is served until it answers", "listen", a.Addr(), "http", a.HTTPAddr(), "error", err)
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ErrNotAwaited
		}
	}
}

// endedBy returns a context that ends when the channel is closed, or by its function.
func endedBy(end <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-end: // nil: never
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// lobby is who answers while New waits for Redis: health says that the daemon does
// not serve, and everything else is UNAVAILABLE with when to come again.
type lobby struct {
	grpc    *grpc.Server
	http    *http.Server
	doors   []*door
	serving sync.WaitGroup
}

func (a *App) openLobby() {
	if a.lobby != nil {
		return
	}
	l := &lobby{}
	a.lobby = l
	a.later(func() { a.logged("closing the ports", a.closeLobby()) })
	l.grpc = grpc.NewServer(grpc.Creds(a.metered()), grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
		return rpc.Error(a.log, fmt.Errorf("%w: Redis does not answer yet", queue.ErrUnavailable))
	}))
	states := health.NewServer()
	for _, name := range services {
		states.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	healthpb.RegisterHealthServer(l.grpc, states)
	l.serve(a, a.raw[0], a.listen, l.grpc.Serve)
	if a.http == nil {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		answer(w, http.StatusServiceUnavailable, "not serving")
	})
	l.http = a.webServer(mux)
	l.serve(a, a.raw[1], a.http, l.http.Serve)
}

func (l *lobby) serve(a *App, raw net.Listener, guarded net.Listener, serve func(net.Listener) error) {
	d := &door{Listener: guarded, raw: raw.(*net.TCPListener)}
	l.doors = append(l.doors, d)
	l.serving.Go(func() {
		if err := serve(d); err != nil && !d.shut.Load() {
			a.log.Error("the port can't be served while Redis is waited for", "error", err)
		}
	})
}

// closeLobby ends the lobby, if there is one; the ports stay open for the daemon.
func (a *App) closeLobby() error {
	l := a.lobby
	if l == nil {
		return nil
	}
	a.lobby = nil
	for _, d := range l.doors {
		_ = d.Close() // it can't fail
	}
	l.leave()
	if l.http != nil {
		_ = l.http.Close() // whoever is there is to come again anyway
	}
	l.serving.Wait()
	var faults []error
	for _, d := range l.doors {
		faults = append(faults, d.raw.SetDeadline(time.Time{}))
	}
	return errors.Join(faults...)
}

// leave sends the clients away so that no request of theirs is lost, but for those who
// do not go within lobbyLeave, such as who watches health.
func (l *lobby) leave() {
	gone := make(chan struct{})
	go func() {
		l.grpc.GracefulStop()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(lobbyLeave):
		l.grpc.Stop()
		<-gone
	}
}

// door is a listener whose Close leaves the port open for somebody else.
type door struct {
	net.Listener
	raw  *net.TCPListener
	shut atomic.Bool
}

// Accept implements net.Listener.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil && d.shut.Load() {
		err = net.ErrClosed
	}
	return c, err
}

// Close implements net.Listener.
func (d *door) Close() error {
	d.shut.Store(true)
	return d.raw.SetDeadline(time.Unix(1, 0))
}
