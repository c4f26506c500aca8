//go:build unix

package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redisconn"
)

// T is what of a *testing.T or *testing.B is used, so that a measurement outside
// of tests can stand in for one.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Options of a server; the zero value is a server without persistence, password
// or limits.
type Options struct {
	AOF       bool     // appendonly yes, appendfsync everysec
	MaxMemory string   // as redis.conf takes it, such as "64mb"; the policy stays noeviction
	ACLFile   string   // path of a file of users
	Include   string   // path of a redis.conf to start from; the other options win over it
	Config    []string // more lines of redis.conf, which win over everything else

	// Username and Password are what the harness and Client log in with, when the
	// default user may not do everything.
	Username, Password string
}

// Server is one redis-server, which may be killed and started again.
type Server struct {
	t    T
	opt  Options
	dir  string
	port port // zero until it has been started once
	bus  port // of a Cluster node
	kind string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	own  redis.UniversalClient
}

// ready is how long a server may take until it answers.
const ready = 30 * time.Second

// Start starts a server and returns when it answers.
func Start(t T, o Options) *Server {
	t.Helper()
	return start(t, "redis-server", o)
}

func start(t T, kind string, o Options) *Server {
	t.Helper()
	if _, err := exec.LookPath(kind); err != nil {
		t.Fatalf("%s is not installed: apt-get install redis-server redis-sentinel (Debian, Ubuntu), or put it into PATH", kind)
	}
	s := &Server{t: t, opt: o, dir: t.TempDir(), kind: kind}
	t.Cleanup(func() {
		s.end()
		s.port.release()
		s.bus.release()
	})
	var err error
	for range 10 { // somebody else may take the port before the server does
		if err = s.takePorts(); err != nil {
			break
		}
		if err = s.launch(); !errors.Is(err, errTaken) {
			break
		}
		s.port.release()
		s.bus.release()
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

func (s *Server) takePorts() (err error) {
	if s.port, err = takePort(); err != nil {
		return err
	}
	s.bus, err = takePort()
	return err
}

var errTaken = errors.New("the port is taken")

// launch starts the process on its port and waits until it answers.
func (s *Server) launch() error {
	conf := filepath.Join(s.dir, "redis.conf")
	// A Sentinel keeps what it learns in its file.
	if _, err := os.Stat(conf); s.kind == "redis-server" || err != nil {
		if err := os.WriteFile(conf, []byte(s.config()), 0o600); err != nil {
			return err
		}
	}
	out, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // the server has a descriptor of its own
	cmd := exec.Command(s.kind, conf)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	own(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s does not start: %w", s.kind, err)
	}
	done := make(chan struct{})
	s.cmd, s.done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(done)
	}()
	if err := s.answers(); err != nil {
		s.end()
		if text := s.log(); bytes.Contains(text, []byte("Address already in use")) {
			return errTaken
		} else if !errors.Is(err, errTaken) {
			return fmt.Errorf("%w; it wrote:\n%s", err, text)
		}
		return err
	}
	return nil
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "redis.log") }

// log returns the end of what the server wrote.
func (s *Server) log() []byte {
	text, _ := os.ReadFile(s.logFile())
	return text[max(0, len(text)-4000):]
}

func (s *Server) config() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if s.opt.Include != "" {
		path, err := filepath.Abs(s.opt.Include)
		if err != nil {
			path = s.opt.Include
		}
		line("include %s", path)
	} else if s.kind == "redis-server" {
		line(`save ""`)
		line("protected-mode no")
		line("repl-diskless-sync-delay 0")
	}
	line("bind 127.0.0.1")
	line("port %v", s.port)
	line("dir %s", s.dir)
	line("daemonize no")
	line(`logfile ""`)
	line(`pidfile ""`)
	if s.opt.AOF {
		line("appendonly yes")
		line("appendfsync everysec")
	}
	if s.opt.MaxMemory != "" {
		line("maxmemory %s", s.opt.MaxMemory)
	}
	if s.opt.ACLFile != "" {
		path, err := filepath.Abs(s.opt.ACLFile)
		if err != nil {
			path = s.opt.ACLFile
		}
		line("aclfile %s", path)
	}
	for _, l := range s.opt.Config {
		line("%s", strings.ReplaceAll(l, "BUSPORT", s.bus.String()))
	}
	return b.String()
}

// answers waits until the process on the port is this one and has loaded its data.
func (s *Server) answers() error {
	c, err := redisconn.New(s.Options())
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost with it
	var last error
	err = until(ready, s.done, func(ctx context.Context) bool {
		var info string
		if info, last = c.Info(ctx, "server", "persistence").Result(); last != nil {
			return false
		}
		if pid := field(info, "process_id"); pid != strconv.Itoa(s.PID()) {
			last = errTaken
			return true
		}
		return s.kind == "redis-sentinel" || field(info, "loading") == "0"
	})
	if errors.Is(last, errTaken) {
		return errTaken
	}
	if err != nil {
		return fmt.Errorf("%s does not answer: %w", s.kind, errors.Join(err, last))
	}
	return nil
}

// field returns one line's value out of what INFO says.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// until asks again and again until ok says so; the error says that it did not
// within limit, or that ended was closed.
func until(limit time.Duration, ended <-chan struct{}, ok func(ctx context.Context) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		if ok(ctx) {
			return nil
		}
		select {
		case <-look.C:
		case <-ended:
			return errors.New("the process has ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Options are how to reach the server.
func (s *Server) Options() redisconn.Options {
	return redisconn.Options{Addresses: []string{s.Addr()}, Username: s.opt.Username, Password: s.opt.Password}
}

// Client returns a client of the server, which is closed when the test ends.
func (s *Server) Client() redis.UniversalClient {
	s.t.Helper()
	return client(s.t, s.Options())
}

// asked is the harness's own client, which does not wait long for a server that
// is paused or gone.
func (s *Server) asked() redis.UniversalClient {
	s.t.Helper()
	if s.own == nil {
		o := s.Options()
		o.DialTimeout, o.ReplyTimeout = time.Second, time.Second
		s.own = client(s.t, o)
	}
	return s.own
}

func client(t T, o redisconn.Options) redis.UniversalClient {
	t.Helper()
	c, err := redisconn.New(o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // nothing is lost with it
	return c
}

// Addr is host:port of the server.
func (s *Server) Addr() string { return s.port.Addr() }

// Dir is the server's directory: its append-only file and its log, redis.log.
func (s *Server) Dir() string { return s.dir }

// PID is the process id of the latest start.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Done is closed when the process of the latest start has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Kill ends the server at once (kill -9), and returns when it has ended.
func (s *Server) Kill() { s.end() }

func (s *Server) end() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended already
	<-s.done
}

// Stop asks the server to end in good order, and returns when it has.
func (s *Server) Stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	<-s.done
}

// Pause stops the server without ending it (SIGSTOP): connections stay open and
// nothing is answered, as with a machine that hangs.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%s %s: %v", s.kind, s.Addr(), err)
	}
}

// Restart ends the server, if it runs, and starts it again on the same port and
// directory; more are further lines of redis.conf from now on.
func (s *Server) Restart(more ...string) {
	s.t.Helper()
	s.end()
	s.opt.Config = append(s.opt.Config, more...)
	if err := s.launch(); err != nil {
		s.t.Fatalf("starting again: %v", err)
	}
}
