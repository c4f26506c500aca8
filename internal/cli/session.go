package cli

import (
	"context"
	"crypto/rand"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/dial"
	"greenlane/internal/load"
)

// Where says which daemon and site a command works with.
type Where struct{ addr, site string }

// Register adds --addr and --site to a command.
func (w *Where) Register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&w.addr, "addr", defaultAddr, "`host:port` of the daemon's gRPC API; else GREENLANE_ADDR")
	fl.StringVar(&w.site, "site", defaultSite, "`name` of the site; else GREENLANE_SITE")
}

// Get returns both: each from the command line, else from the environment, else
// the default.
func (w *Where) Get(cmd *cobra.Command) (addr, site string) {
	return orEnv(cmd, "addr", w.addr, "GREENLANE_ADDR"), orEnv(cmd, "site", w.site, "GREENLANE_SITE")
}

// flags are the ones that every command has.
type flags struct {
	Where
	output, requestID string
	timeout           time.Duration
}

const (
	defaultAddr    = "127.0.0.1:7316"
	defaultSite    = "main"
	defaultTimeout = 10 * time.Second
)

func (f *flags) register(cmd *cobra.Command, changes bool) {
	f.Where.Register(cmd)
	fl := cmd.Flags()
	f.output = "table"
	if fl.Lookup("format") == nil { // else the command has forms of its own
		fl.StringVar(&f.output, "output", f.output, "table or json")
		complete(cmd, "output", "table", "json")
	}
	fl.DurationVar(&f.timeout, "timeout", defaultTimeout, "longest `time` that one request may take")
	if changes {
		fl.StringVar(&f.requestID, "request-id", "", "`id` that makes a repetition of this very command safe (default: a new one)")
	}
}

// session is one run of a command: a connection, and where its output goes.
type session struct {
	flags
	conn      *grpc.ClientConn
	out, err  io.Writer
	style     style
	now       time.Time // when the command began, for times that are shown
	siteNamed bool      // by the command line or the environment
}

func (f *flags) open(cmd *cobra.Command) (*session, error) {
	if f.output != "table" && f.output != "json" {
		return nil, usagef("--output: %q is not allowed: table or json", f.output)
	}
	if f.timeout <= 0 {
		return nil, usagef("--timeout: %v must be above 0", f.timeout)
	}
	s := &session{flags: *f, out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(), now: time.Now()}
	s.addr, s.site = f.Get(cmd)
	s.siteNamed = cmd.Flags().Changed("site") || os.Getenv("GREENLANE_SITE") != ""
	s.style = styleFor(s.out)
	opts, err := dial.Options(cmd.Context(), s.addr)
	if err != nil {
		return nil, UsageError{err}
	}
	conn, err := load.Dial(s.addr, opts...)
	if err != nil {
		return nil, usagef("--addr: %w", err)
	}
	s.conn = conn
	return s, nil
}

// orEnv is a flag's value: from the command line, else from the environment,
// else the default.
func orEnv(cmd *cobra.Command, flag, value, name string) string {
	if env := os.Getenv(name); env != "" && !cmd.Flags().Changed(flag) {
		return env
	}
	return value
}

// id is the request_id of the command's change: the same for every try.
func (s *session) id() string {
	if s.requestID == "" {
		s.requestID = newID()
	}
	return s.requestID
}

func newID() string { return "cli-" + rand.Text() }

// A request that the daemon did not confirm is sent again a few times, as it was:
// long enough for a daemon to be restarted, short enough for a person who got the
// address wrong.
const (
	tries      = 5
	firstPause = 200 * time.Millisecond
)

// do sends a request until it is answered, at most `tries` times within the
// time-out.
func do[Req, Res any](ctx context.Context, s *session, rpc func(context.Context, *Req, ...grpc.CallOption) (*Res, error), req *Req) (*Res, error) {
	return doWithin(ctx, s.timeout, rpc, req)
}

func doWithin[Req, Res any](ctx context.Context, timeout time.Duration, rpc func(context.Context, *Req, ...grpc.CallOption) (*Res, error), req *Req) (*Res, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	pause := firstPause
	for try := 1; ; try++ {
		res, err := rpc(ctx, req)
		if status.Code(err) != codes.Unavailable || try == tries || !wait(ctx, pause) {
			return res, err
		}
		pause *= 2
	}
}

// wait waits; false means that ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
