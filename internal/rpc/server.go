package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"greenlane/internal/audit"
	"greenlane/internal/auth"
	"greenlane/internal/feed"
	"greenlane/internal/identity"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// DefaultSite is the site of a request that names none.
const DefaultSite = "main"

// Site is one routing domain as the handlers need it.
type Site struct {
	Config queue.Site
	Engine queue.Engine
	Feed   *feed.Feed // started, of this engine
}

// Options are what the services work with. Sites, Normalizer, Tiers and
// Directory must be given.
type Options struct {
	Sites      []Site
	Normalizer *tiering.Normalizer
	Tiers      Resolver
	Directory  tiering.Directory
	Scheme     tiering.Scheme
	// Grading is what callers are graded by; without factors it is Scheme's.
	Grading tiering.Grading
	// Ratings keeps callers' satisfaction; nil when the Directory does.
	Ratings tiering.Ratings
	// Requests keeps first answers about tiers; nil when the Directory does.
	Requests tiering.Requests
	Care     Care
	// MayWait says whether a call of the caller may be waiting; nil: everybody may.
	// Whoever it is false of is ranked again by others.
	MayWait func(site string, caller tiering.Number) bool
	// VIPRequiresAttestation serves an unattested VIP as ordinary.
	VIPRequiresAttestation bool
	// Authenticated says that requests carry an identity that somebody proved.
	// Without it nobody is asked, and everybody may everything.
	Authenticated bool
	// Authority proves identities. Without one, an authenticated server believes the
	// identity in a request's context: somebody in front of it has put it there.
	Authority *auth.Authority
	// Refused, when set, is told of every request that is turned away for who makes
	// it, on the request's own goroutine: it must not wait.
	Refused func(ctx context.Context, r Refused)
	// Limits bound what each identity may use, Arrivals how many calls come in, and
	// Switches says what single switches are worth, by id, and OtherSwitches the
	// others.
	Limits   Limits
	Arrivals ArrivalLimits
	Switches map[string]Switch
	Tell     Tell

	HeartbeatEvery time.Duration // of a stream. Default 3 s.
	AnnounceEvery  time.Duration // to a waiting caller. Default 15 s.
	HelloTimeout   time.Duration // until a stream's first message. Default 10 s.
	// SlowReader bounds what waits to be sent on one softphone's stream, in
	// messages; a switch's may hold 32 times as much. Default 256.
	SlowReader int
	Logger     *slog.Logger
	// Audit records who changes what; nil records nothing.
	Audit *audit.Log
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.HeartbeatEvery, 3*time.Second)
	set(&o.AnnounceEvery, 15*time.Second)
	set(&o.HelloTimeout, 10*time.Second)
	if o.Care.Dissatisfied == 0 {
		o.Care.Dissatisfied = tiering.DefaultDissatisfied
	}
	if o.SlowReader <= 0 {
		o.SlowReader = 256
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Tell is told what was refused. Nil functions are told nothing. switchID is one
// that Options.Switches names, or OtherSwitches.
type Tell struct {
	Limit    func(limit, role string)               // a request, for a limit of its identity
	Flood    func(site, switchID, reason string)    // an arrival that became a Refused call
	VIPClaim func(site, switchID string, calls int) // calls that would be a VIP's if their number were vouched for
}

// Server serves the five services of greenlane.v1.
type Server struct {
	opts  Options
	log   *slog.Logger
	sites map[string]*site
	owner string // names this process among the daemons of a site

	lanes    [onceLanes]chan struct{}
	tokens   atomic.Uint64
	stopping chan struct{}
	stopOnce sync.Once
	work     group // what outlives its request: renewals, late tiers
	base     context.Context
	cancel   context.CancelFunc
	started  sync.Once
	counts   Counts

	lastMu  sync.Mutex
	lasting map[*lasting]struct{} // what ends with its credential

	limits   *limiter
	methods  atomic.Pointer[map[string]bool] // of the gRPC server; nil: not known
	arrivals *arrivals
}

// Counts are what the server holds open now.
type Counts struct {
	Sessions, Polls, Switches, Watchers atomic.Int64
}

// site is one routing domain at work.
type site struct {
	name     string
	engine   queue.Engine
	feed     *feed.Feed
	config   *queue.Site
	attached attachments
	trunks   trunks
	shots    snapshots
	swept    atomic.Int32 // the month in which ratings that ended were dropped last
}

// New returns a server. Register makes it answer, Start keeps its leases.
func New(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if len(opts.Sites) == 0 || opts.Normalizer == nil || opts.Tiers == nil || opts.Directory == nil {
		return nil, fmt.Errorf("rpc: sites, normalizer, tiers and directory must be given")
	}
	if len(opts.Grading.Factors) == 0 {
		opts.Grading = opts.Scheme.Grading()
	}
	if opts.Ratings == nil {
		opts.Ratings, _ = opts.Directory.(tiering.Ratings)
	}
	if opts.Requests == nil {
		opts.Requests, _ = opts.Directory.(tiering.Requests)
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("rpc: naming this process: %w", err)
	}
	base, cancel := context.WithCancel(context.Background())
	s := &Server{
		opts: opts, log: opts.Logger, sites: map[string]*site{}, owner: hex.EncodeToString(id[:]),
		stopping: make(chan struct{}), base: base, cancel: cancel, lasting: map[*lasting]struct{}{},
		limits: newLimiter(opts.Limits, opts.Tell.Limit), arrivals: newArrivals(opts.Arrivals, opts.Switches),
		lanes: newLanes(),
	}
	for i := range opts.Sites {
		in := &opts.Sites[i]
		st := &site{name: in.Config.Name, engine: in.Engine, feed: in.Feed, config: &in.Config}
		s.sites[st.name] = st
	}
	return s, nil
}

// Register adds the services to a gRPC server.
func (s *Server) Register(to grpc.ServiceRegistrar) {
	to = laterRegistrar{to}
	pb.RegisterSwitchServiceServer(to, &switchService{Server: s})
	pb.RegisterAgentServiceServer(to, &agentService{Server: s})
	pb.RegisterSupervisorServiceServer(to, &supervisorService{Server: s})
	pb.RegisterCallbackServiceServer(to, &callbackService{Server: s})
	pb.RegisterTierServiceServer(to, &tierService{Server: s})
}

// Start keeps the agents and switches that are connected here alive, until
// Stop: one renewal per site, whatever their number.
func (s *Server) Start() {
	s.started.Do(func() {
		for _, st := range s.sites {
			s.work.run(func() { s.renew(st) })
		}
		if s.opts.Authority != nil {
			s.work.run(s.watchAuthority)
		}
	})
}

func (s *Server) renew(st *site) {
	t := time.NewTicker(max(st.config.OwnerLease/3, 10*time.Millisecond))
	defer t.Stop()
	for {
		ctx, cancel := context.WithTimeout(s.base, st.config.OwnerLease)
		if _, err := st.engine.Do(ctx, &queue.RenewOwner{Owner: s.owner}); err != nil && s.base.Err() == nil {
			s.log.Warn("the lease of the agents connected here could not be renewed", "site", st.name, "error", err)
		}
		cancel()
		select {
		case <-t.C:
		case <-s.base.Done():
			return
		}
	}
}

// Drain ends every stream and long poll with what belongs to it: a poll with
// the offer of the last moment if there is one, a stream with Unavailable. It is
// safe to repeat and does not wait.
func (s *Server) Drain() { s.stopOnce.Do(func() { close(s.stopping) }) }

// Stop drains, ends what runs in the background and waits for it, as long as ctx
// allows. Call it after the gRPC server has stopped, and before the engines
// close.
func (s *Server) Stop(ctx context.Context) error {
	s.Drain()
	s.cancel()
	if err := s.work.wait(ctx); err != nil {
		return fmt.Errorf("rpc: background work did not end: %w", err)
	}
	return nil
}

// Counts tells what is open now.
func (s *Server) Counts() *Counts { return &s.counts }

// token names one poll or stream, different from all others of all processes.
func (s *Server) token() string { return s.owner + "-" + strconv.FormatUint(s.tokens.Add(1), 36) }

// site finds the site of a request. Its name was checked.
func (s *Server) site(name string) (*site, error) {
	if name == "" {
		name = DefaultSite
	}
	if st := s.sites[name]; st != nil {
		return st, nil
	}
	return nil, refuse(codes.NotFound, "SITE_NOT_FOUND", fmt.Sprintf("site: %q is no site of this daemon", name), nil)
}

// checked returns the faults found so far, or else the site.
func (s *Server) checked(c *check, siteName string) (*site, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return s.site(siteName)
}

// nowAt is the clock that a request's times are checked by: its site's, or this
// machine's when there is no such site, which is told after all wrong fields.
func (s *Server) nowAt(siteName string) instant.Instant {
	if st, err := s.site(siteName); err == nil {
		return st.now()
	}
	return instant.Of(time.Now())
}

// do carries a command out and turns its error into the client's.
func (s *Server) do(ctx context.Context, st *site, cmd queue.Command) (queue.Result, error) {
	if c := s.changeOf(ctx, st, cmd); c != nil {
		return s.doRecorded(ctx, st, cmd, c)
	}
	res, err := st.engine.Do(ctx, cmd)
	if err != nil {
		return res, toError(s.log, err)
	}
	return res, nil
}

// detached returns a context for what must still be told to the engine after
// the client has gone.
func (s *Server) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Second)
}

// who tells who makes the request of ctx.
func (s *Server) who(ctx context.Context) identity.Identity {
	if !s.opts.Authenticated {
		return identity.Open()
	}
	return identity.From(ctx)
}

func (st *site) now() instant.Instant { return st.engine.Now() }
