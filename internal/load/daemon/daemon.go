// Package daemon starts a real greenlaned as a process of its own, for the demo,
// for tests and for measurements: on free loopback ports, with a data directory
// that it makes and removes. It ends only processes that it started itself.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// Options say which daemon to start, and how.
type Options struct {
	Binary string            // the path of greenlaned
	Config string            // its configuration, YAML; empty: the defaults
	Args   []string          // more arguments
	Env    []string          // more environment, "NAME=value"
	Log    io.Writer         // gets what the daemon writes; nil: nothing is kept
	Dial   []grpc.DialOption // how to ask whether it serves; nil: in the clear
}

// Daemon is one greenlaned, which may be killed and started again.
type Daemon struct {
	opt  Options
	dir  string // removed by Remove
	addr string
	http string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	end  error         // how; valid once done is closed
}

// New prepares a daemon with a directory and addresses of its own.
func New(opt Options) (*Daemon, error) {
	dir, err := os.MkdirTemp("", "greenlane-")
	if err != nil {
		return nil, err
	}
	d := &Daemon{opt: opt, dir: dir}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return d, nil
}

func (d *Daemon) prepare() error {
	addrs, err := freeAddrs(2)
	if err != nil {
		return err
	}
	d.addr, d.http = addrs[0], addrs[1]
	return os.WriteFile(d.configFile(), []byte(d.opt.Config), 0o600)
}

// freeAddrs returns loopback addresses that nobody listens on.
func freeAddrs(n int) ([]string, error) {
	var addrs []string
	var held []net.Listener // until all are chosen, so that they differ
	defer func() {
		for _, l := range held {
			l.Close()
		}
	}()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		held = append(held, l)
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

func (d *Daemon) configFile() string { return filepath.Join(d.dir, "greenlaned.yaml") }

// Addr is where the gRPC API is, HTTP where /metrics and /readyz are.
func (d *Daemon) Addr() string { return d.addr }

// HTTP is the address of /metrics and /readyz.
func (d *Daemon) HTTP() string { return d.http }

// Data is the directory of the daemon's data.
func (d *Daemon) Data() string { return filepath.Join(d.dir, "data") }

// PID is the process id; 0 when the daemon does not run.
func (d *Daemon) PID() int {
	if d.cmd == nil || d.cmd.Process == nil {
		return 0
	}
	return d.cmd.Process.Pid
}

// Start starts the daemon and returns when it serves, with the time that took.
func (d *Daemon) Start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := d.Launch(); err != nil {
		return 0, err
	}
	if err := d.serving(ctx); err != nil {
		return 0, errors.Join(err, d.Kill())
	}
	return time.Since(began), nil
}

// Launch starts the daemon and does not wait until it serves.
func (d *Daemon) Launch() error {
	args := append([]string{
		"--config", d.configFile(), "--listen", d.addr, "--http", d.http, "--data", d.Data(),
	}, d.opt.Args...)
	cmd := exec.Command(d.opt.Binary, args...)
	cmd.Env = append(os.Environ(), d.opt.Env...)
	cmd.Stdout, cmd.Stderr = d.opt.Log, d.opt.Log
	own(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the daemon does not start: %w", err)
	}
	done := make(chan struct{})
	d.cmd, d.done = cmd, done
	go func() { d.end = cmd.Wait(); close(done) }()
	return nil
}

// serving waits until the daemon says that it serves.
func (d *Daemon) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	go func() {
		select {
		case <-d.done:
			cancel() // Nobody is left to wait for.
		case <-ctx.Done():
		}
	}()
	conn, err := grpc.NewClient(d.addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1.2, MaxDelay: 20 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}),
	}, d.opt.Dial...)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	health := healthpb.NewHealthClient(conn)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		res, err := health.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))
		if err == nil && res.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			if !d.Running() {
				return fmt.Errorf("the daemon ended before it served: %w", d.end)
			}
			return fmt.Errorf("the daemon does not serve: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// Kill ends the daemon at once (kill -9), and returns when it has ended.
func (d *Daemon) Kill() error {
	if !d.Running() {
		return nil
	}
	err := d.cmd.Process.Kill()
	<-d.done
	return err
}

// Stop asks the daemon to end and waits. One that has not ended after a while is
// killed, which is an error.
func (d *Daemon) Stop() error {
	if !d.Running() {
		return nil
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, d.Kill())
	}
	t := time.NewTimer(20 * time.Second)
	defer t.Stop()
	select {
	case <-d.done:
		return d.end
	case <-t.C:
		return errors.Join(errors.New("the daemon did not stop within 20 s"), d.Kill())
	}
}

// Running reports whether the process runs.
func (d *Daemon) Running() bool {
	if d.cmd == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// Remove kills the daemon if it runs, and removes its directory.
func (d *Daemon) Remove() error {
	return errors.Join(d.Kill(), os.RemoveAll(d.dir))
}

// Done is closed when the process has ended. It is of the last Start.
func (d *Daemon) Done() <-chan struct{} { return d.done }
