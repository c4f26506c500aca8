package web

import (
	"errors"
	"log/slog"
	"net/http"
)

// Options are what the pages need. Sites, API and Stopping must be given.
type Options struct {
	Sites []Site
	// DefaultSite is shown when a page names none; empty means the first.
	DefaultSite string
	// API serves the paths below APIPrefix.
	API       http.Handler
	APIPrefix string // such as "/greenlane.v1."
	// Hosts are names under which the daemon may be reached, beside localhost and
	// any address.
	Hosts []string
	// SignIn proves the tokens that browsers bring; nil: nobody is asked who they are.
	SignIn SignIn
	// Version is the daemon's: a wallboard that hears of another one loads itself
	// anew.
	Version string
	// Stopping is closed when the daemon stops: every stream ends then.
	Stopping <-chan struct{}
	Logger   *slog.Logger
}

// Server serves pages, streams and the API. It is an http.Handler.
type Server struct {
	opts   Options
	boards map[string]*board
	handle http.Handler
	files  *assets
}

// New returns a server. It serves what is below its own paths: "/", "/agent",
// "/ui/", "/wallboard/", "/whoami", "/login", "/logout" and the API's.
func New(opts Options) (*Server, error) {
	if len(opts.Sites) == 0 || opts.API == nil || opts.Stopping == nil {
		return nil, errors.New("web: sites, API and stopping must be given")
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.DefaultSite == "" {
		opts.DefaultSite = opts.Sites[0].Config.Name
	}
	s := &Server{opts: opts, boards: map[string]*board{}}
	for _, site := range opts.Sites {
		s.boards[site.Config.Name] = &board{Site: site, log: opts.Logger, stopping: opts.Stopping, readers: map[*reader]struct{}{}}
	}
	if s.boards[opts.DefaultSite] == nil {
		return nil, errors.New("web: the default site is no site")
	}
	files, err := loadAssets()
	if err != nil {
		return nil, err
	}
	s.files = files
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", files.page("wallboard.html"))
	mux.HandleFunc("GET /agent", files.page("agent.html"))
	mux.HandleFunc("GET /ui/{name}", files.file)
	mux.HandleFunc("GET /wallboard/stream", s.serveStream)
	mux.HandleFunc("GET /whoami", s.serveWhoami)
	if opts.SignIn != nil {
		mux.HandleFunc("GET /login", files.page("login.html"))
		mux.HandleFunc("POST /login", s.serveLogin)
		mux.HandleFunc("POST /logout", s.serveLogout)
	}
	s.handle = newGuard(opts.Hosts, s.route(mux))
	return s, nil
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handle.ServeHTTP(w, r) }

// Readers returns how many wallboards are open.
func (s *Server) Readers() int64 {
	n := 0
	for _, b := range s.boards {
		n += b.count()
	}
	return int64(n)
}

// Wait returns when nothing is read from the engines any more. Call it after
// Stopping was closed and the HTTP server has ended.
func (s *Server) Wait() {
	for _, b := range s.boards {
		b.idle.Wait()
	}
}
