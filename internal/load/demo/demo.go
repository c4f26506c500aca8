package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/load"
	"greenlane/internal/load/daemon"
	"greenlane/internal/load/screen"
	pb "greenlane/proto/greenlane/v1"
)

// Options say what to show.
type Options struct {
	Binary string // of the daemon
	Title  string
	Load   load.Options // Addr and ShortAbandon are filled in
	Out    *os.File     // the screen, and the report after it
	OnStop func(stop func())
}

// Run starts a daemon, plays the day, stops the daemon, removes its data and
// prints what came of it.
func Run(ctx context.Context, opt Options) (*load.Report, error) {
	log := new(tail)
	d, err := daemon.New(daemon.Options{Binary: opt.Binary, Config: configText(opt.Load.Speed), Log: log})
	if err != nil {
		return nil, err
	}
	report, err := play(ctx, d, opt)
	err = errors.Join(err, d.Stop(), d.Remove())
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, log.last())
	}
	report.Print(opt.Out)
	return report, nil
}

func play(ctx context.Context, d *daemon.Daemon, opt Options) (*load.Report, error) {
	if _, err := d.Start(ctx); err != nil {
		return nil, err
	}
	news := newReporter()
	opt.Load.Addr, opt.Load.ShortAbandon, opt.Load.OnEvent = d.Addr(), shortAbandon(opt.Load.Speed), news.Observe
	run, err := load.New(opt.Load)
	if err != nil {
		return nil, err
	}
	news.now = func() time.Duration { return run.Progress().Now }
	news.caller = run.Caller
	opt.OnStop(run.Stop)

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-d.Done():
			cancel(errors.New("the daemon ended"))
		case <-ctx.Done():
		}
	}()
	show := newShow(opt, run, news)
	stop := show.start(ctx, d.Addr())
	report, err := run.Play(ctx)
	stop()
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return report, err
}

// show keeps the screen up to date.
type show struct {
	opt   Options
	run   *load.Run
	news  *reporter
	mu    sync.Mutex
	model screen.Model
}

func newShow(opt Options, run *load.Run, news *reporter) *show {
	s := &show{opt: opt, run: run, news: news}
	s.model.Title = opt.Title
	s.model.From, s.model.To = opt.Load.Day.Span()
	return s
}

// How often the daemon tells how it stands, the screen is drawn, and a line is
// written where there is no screen.
const (
	watchEvery = 200 * time.Millisecond
	drawEvery  = 200 * time.Millisecond
	lineEvery  = 5 * time.Second
)

// start begins to show, until the returned function is called.
func (s *show) start(ctx context.Context, addr string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { s.watch(ctx, addr) })
	wait.Go(func() { s.draw(ctx) })
	return func() { cancel(); wait.Wait() }
}

// watch takes the daemon's snapshots into the model.
func (s *show) watch(ctx context.Context, addr string) {
	conn, err := load.Dial(addr)
	if err != nil {
		return
	}
	defer conn.Close()
	api := pb.NewSupervisorServiceClient(conn)
	stream, err := api.Watch(ctx, &pb.WatchRequest{MinInterval: durationpb.New(watchEvery)}, grpc.WaitForReady(true))
	for err == nil {
		var res *pb.WatchResponse
		if res, err = stream.Recv(); err == nil {
			s.mu.Lock()
			s.model.Apply(res.GetSnapshot(), s.opt.Load.Speed)
			s.mu.Unlock()
		}
	}
}

// frame returns the model as of now.
func (s *show) frame() *screen.Model {
	p := s.run.Progress()
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.model
	m.Now, m.Phase, m.Calls, m.Retries = p.Now, p.Phase, p.Calls, p.Retries
	s.news.fill(&m)
	return &m
}

func (s *show) draw(ctx context.Context) {
	t, ok := screen.Open(s.opt.Out)
	if !ok {
		s.lines(ctx)
		return
	}
	t.Begin()
	defer t.End()
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		width, height := t.Size()
		t.Draw(screen.Render(s.frame(), width, height, t.Style))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// lines writes a line now and then.
func (s *show) lines(ctx context.Context) {
	fmt.Fprintln(s.opt.Out, s.model.Title)
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintln(s.opt.Out, screen.Line(s.frame()))
		case <-ctx.Done():
			return
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

var _ io.Writer = (*tail)(nil)

// keptLog is how much of the daemon's log is shown when it fails.
const keptLog = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if len(t.buf) > 2*keptLog {
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-keptLog:]...)
	}
	return len(p), nil
}

// last returns the last lines, for an error.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return ""
	}
	return "\nthe daemon's log ends with:\n" + string(bytes.TrimSpace(t.buf))
}
