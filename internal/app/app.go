package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"greenlane/internal/audit"
	"greenlane/internal/auth"
	"greenlane/internal/config"
	"greenlane/internal/discreet"
	"greenlane/internal/feed"
	"greenlane/internal/rpc"
	"greenlane/internal/seal"
	"greenlane/internal/web"
	"greenlane/metrics/prom"
	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
	"greenlane/tiering/resolve"
)

// Options adjust an App beyond its configuration. The zero value will do.
type Options struct {
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// Now is the engines' clock; nil is time.Now.
	Now func() time.Time
	// Engine adjusts how the embedded engine is opened, for tests and benchmarks.
	Engine func(*embedded.Options)
	// CredentialsEvery is how often the files of certificates and keys are looked
	// at; 0: as package auth says.
	CredentialsEvery time.Duration
	// GiveUp, when it is closed, ends New's waiting for a Redis that is not there. nil:
	// nothing does.
	GiveUp <-chan struct{}
}

// App is a daemon. New makes it, Start lets it serve, Stop ends it.
type App struct {
	cfg  *config.Config
	opts Options
	log  *slog.Logger

	undo    []func() // what New has set up, to be ended in the opposite order
	engines []queue.Engine
	feeds   []*feed.Feed
	away    map[string]error // sites whose store does not answer; guarded by awayMu
	tiers   tiering.Directory
	local   tiering.Directory     // tiers when they are in a file of this machine, else nil
	redis   redis.UniversalClient // nil: there is none
	absent  *redisdir.Directory   // tiers, while Redis has not been found to do; else nil
	rerank  *reranker             // nil: nobody but this daemon changes tiers
	resolve *resolve.Resolver
	daemon  *prom.Daemon
	metrics *prometheus.Registry // the daemon's own figures
	scrape  prometheus.Gatherer  // these and the sites'
	server  *rpc.Server
	grpc    *grpc.Server
	health  *health.Server
	browser *grpc.Server // the API's way in over HTTP; nil when off
	pages   *web.Server  // nil when off
	web     *http.Server
	keys    *seal.Keys // of what is at rest; nil: it is stored as it is
	gates   gates
	raw     []net.Listener // of listen and http, without their guards
	listen  net.Listener
	http    net.Listener // nil when off
	lobby   *lobby       // nil: New waits for nothing
	audit   *audit.Log   // nil: nothing is recorded
	logins  *audit.Refusals
	record  atomic.Pointer[audit.Log] // audit, for what runs while New does

	authority *auth.Authority // nil: no TLS, and nobody is asked
	refusals  refusals

	awayMu   sync.Mutex
	serving  sync.WaitGroup
	failed   chan struct{}
	failOnce sync.Once
	err      error // set before failed is closed
	stopOnce sync.Once
	stopErr  error
	stopped  chan struct{} // closed when Stop begins: no failure counts any more
}

// New opens everything the configuration names: the data, the listeners. When
// anything fails, what was opened before is closed again. Nothing is served yet.
//
// With the engine in Redis it waits until Redis answers. Meanwhile the ports are
// open: health says that the daemon does not serve, and the rest is UNAVAILABLE. When
// Options.GiveUp is closed first, the error is ErrNotAwaited.
func New(cfg *config.Config, opts Options) (_ *App, err error) {
	a := &App{
		cfg: cfg, opts: opts, log: opts.Logger, metrics: prometheus.NewRegistry(),
		failed: make(chan struct{}), stopped: make(chan struct{}), away: map[string]error{},
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	a.log = slog.New(discreet.Handler(a.log.Handler()))
	defer func() {
		if err != nil {
			a.rollBack()
		}
	}()
	if a.daemon, err = prom.NewDaemon(a.metrics, VersionString()); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if a.keys, err = cfg.Privacy.Secrets(); err != nil {
		return nil, err
	}
	// The listeners come first: a second daemon on the same address then leaves
	// the data of the first one alone.
	for _, step := range []func() error{a.openAuthority, a.bind, a.openAudit, a.openData, a.serve, a.closeLobby} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// now is the clock; the engines have their own copies of it.
func (a *App) now() time.Time {
	if a.opts.Now != nil {
		return a.opts.Now()
	}
	return time.Now()
}

func (a *App) later(undo func()) { a.undo = append(a.undo, undo) }

func (a *App) rollBack() {
	for i := len(a.undo) - 1; i >= 0; i-- {
		a.undo[i]()
	}
	a.undo = nil
}

func (a *App) bind() error {
	var err error
	if a.listen, err = net.Listen("tcp", a.cfg.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	a.later(func() { a.listen.Close() })
	a.raw = append(a.raw, a.listen)
	a.listen = a.guardGRPC(a.listen)
	if a.cfg.HTTP == "" {
		return nil
	}
	if a.http, err = net.Listen("tcp", a.cfg.HTTP); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	a.later(func() { a.http.Close() })
	a.raw = append(a.raw, a.http)
	a.http = a.guardHTTP(a.http)
	return nil
}

// serve makes the servers; Start lets them accept.
func (a *App) serve() error {
	sites, err := a.cfg.BuildSites()
	if err != nil {
		return err
	}
	normalizer, err := tiering.NewNormalizer(a.cfg.Number.Region)
	if err != nil {
		return fmt.Errorf("number.region: %w", err)
	}
	opts := rpc.Options{
		Normalizer: normalizer, Directory: a.tiers, Tiers: &resolver{local: a.local, arrived: a.rerank.arrived, now: a.now, resolve: a.resolve, observe: a.daemon.Lookup}, Scheme: a.cfg.Grading.Scheme(),
		VIPRequiresAttestation: a.cfg.VIPRequiresAttestation, HeartbeatEvery: a.cfg.HeartbeatEvery.D(),
		AnnounceEvery: a.cfg.AnnounceEvery.D(), Logger: a.log, Audit: a.audit,
	}
	opts.Grading, opts.Care = a.cfg.Grading.Active(), rpc.Care(a.cfg.Care)
	if a.rerank != nil {
		opts.MayWait = a.rerank.mayWait
	}
	for i, site := range sites {
		opts.Sites = append(opts.Sites, rpc.Site{Config: site, Engine: a.engines[i], Feed: a.feeds[i]})
	}
	a.identify(&opts)
	a.limit(&opts)
	if a.server, err = rpc.New(opts); err != nil {
		return err
	}
	a.grpc, a.health = a.newGRPC()
	if a.cfg.Web && a.http != nil {
		if a.pages, err = a.newBrowser(sites); err != nil {
			return err
		}
	}
	if err := a.register(sites); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	a.web = a.newWeb()
	return nil
}

// Start begins to serve. It returns once the daemon is ready.
func (a *App) Start() error {
	for i, f := range a.feeds {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := f.Start(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("site %s: reading its events: %w", a.cfg.Sites[i].Name, err)
		}
	}
	if a.rerank != nil {
		a.rerank.start()
	}
	a.server.Start()
	a.lapseAll()
	a.serving.Go(func() {
		if err := a.grpc.Serve(a.listen); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			a.fail(fmt.Errorf("listen: %w", err))
		}
	})
	if a.http != nil {
		a.serving.Go(func() {
			if err := a.web.Serve(a.http); err != nil && !errors.Is(err, http.ErrServerClosed) {
				a.fail(fmt.Errorf("http: %w", err))
			}
		})
	}
	a.setServing(true)
	if a.absent != nil {
		a.serving.Go(a.enterLater)
	}
	for i, e := range a.engines {
		a.serving.Go(func() { a.watch(a.cfg.Sites[i].Name, e) })
		if store, ok := e.(reachable); ok {
			a.serving.Go(func() { a.watchStore(a.cfg.Sites[i].Name, store) })
		}
	}
	return nil
}

// watch tells when an engine can go on no longer.
func (a *App) watch(site string, e queue.Engine) {
	select {
	case <-e.Failed():
		a.fail(fmt.Errorf("site %s: the engine has failed, and nothing more is acknowledged: %w", site, e.Err()))
	case <-a.stopped:
	}
}

// reachable is an engine whose store may be away for a while.
type reachable interface {
	// Healthy reports whether the store answers and takes what is written, and if
	// not, what it says; changed is closed when that changes.
	Healthy() (ok bool, changed <-chan struct{}, err error)
}

// watchStore says that the daemon does not serve while a site's store is away.
// Streams stay, and go on when it is back.
func (a *App) watchStore(site string, store reachable) {
	for {
		ok, changed, err := store.Healthy()
		a.setAway(site, ok, err)
		select {
		case <-changed:
		case <-a.stopped:
			return
		}
	}
}

func (a *App) setAway(site string, ok bool, err error) {
	a.awayMu.Lock()
	defer a.awayMu.Unlock()
	_, was := a.away[site]
	switch {
	case ok && was:
		delete(a.away, site)
		a.log.Info("the store can be used again", "site", site)
	case !ok && !was:
		a.away[site] = err
		a.log.Warn("the store can't be used: nothing is acknowledged until it can", "site", site, "error", err)
	default:
		return
	}
	a.setReachable(len(a.away) == 0)
}

func (a *App) fail(err error) {
	select {
	case <-a.stopped:
		return
	default:
	}
	a.failOnce.Do(func() {
		a.setServing(false)
		a.err = err
		close(a.failed)
	})
}

// Failed is closed when the daemon can't go on; Err then says why, and what is
// left to do is Stop.
func (a *App) Failed() <-chan struct{} { return a.failed }

// Err returns why Failed is closed.
func (a *App) Err() error {
	select {
	case <-a.failed:
		return a.err
	default:
		return nil
	}
}

// Addr is where the API is served.
func (a *App) Addr() net.Addr { return a.listen.Addr() }

// HTTPAddr is where the pages, /metrics, /healthz and /readyz are served; nil when
// off.
func (a *App) HTTPAddr() net.Addr {
	if a.http == nil {
		return nil
	}
	return a.http.Addr()
}

// Stop ends the daemon in order: it says that it serves no longer, ends streams
// and long polls, lets the requests at hand finish as long as ctx allows, and
// closes the data last. It is safe to repeat.
func (a *App) Stop(ctx context.Context) error {
	a.stopOnce.Do(func() { a.stopErr = a.stop(ctx) })
	return a.stopErr
}

func (a *App) stop(ctx context.Context) error {
	close(a.stopped)
	a.setServing(false)
	a.server.Drain()
	a.stopGRPC(ctx)
	var faults []error
	if a.http != nil {
		if err := a.web.Shutdown(ctx); err != nil {
			faults = append(faults, fmt.Errorf("http: %w", err), a.web.Close())
		}
	}
	if a.pages != nil {
		a.browser.Stop()
		a.pages.Wait()
	}
	a.serving.Wait()
	if a.authority != nil {
		a.authority.Stop()
	}
	// Whatever ctx says, the data is closed properly: that takes one commit.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	faults = append(faults, a.server.Stop(last))
	return errors.Join(append(faults, a.closeData(last), a.closeAudit())...)
}

// stopGRPC waits for the requests at hand; when ctx ends, they are cut off.
func (a *App) stopGRPC(ctx context.Context) {
	done := make(chan struct{})
	go func() { a.grpc.GracefulStop(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		a.grpc.Stop()
		<-done
	}
}
