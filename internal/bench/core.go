package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// The two lines that are compared, and how the core is measured with them.
const (
	shortLine = 1_000
	longLine  = 1_000_000
	coreCalls = 1_000_000
)

// coreSlices is how many parts a measurement has, in which the two lines take turns.
const coreSlices = 40

// measureCore measures arrive, match, accept and complete on the state machine
// itself, with 1,000 and with 1,000,000 calls waiting, each in a process of its own
// that has one core. The two take turns, some hundredths of a second each, so that
// whatever else uses the machine's caches weighs on both alike.
func measureCore(ctx context.Context, b *bench) ([]Figure, error) {
	rounds := 5
	if b.quick {
		rounds = 1
	}
	var short, long, ratio []float64
	for range rounds {
		s, l, err := coreRound(ctx, b)
		if err != nil {
			return nil, err
		}
		short, long, ratio = append(short, s), append(long, l), append(ratio, l/s)
	}
	rate, worse := 1e9/median(short), median(ratio)
	return []Figure{
		{What: "core: calls/s on one core, 1,000 waiting", Measured: fmt.Sprintf("%.0f", rate), Needed: ">= 400000", OK: reached(rate >= 400_000)},
		{What: "core: calls/s on one core, 1,000,000 waiting", Measured: fmt.Sprintf("%.0f", 1e9/median(long))},
		{What: "core: cost per call, 1,000,000 against 1,000 waiting", Measured: fmt.Sprintf("%.2f times", worse), Needed: "<= 1.5 times", OK: reached(worse <= 1.5)},
	}, nil
}

// coreRound returns the nanoseconds of processor time that one call costs while
// few and while many wait.
func coreRound(ctx context.Context, b *bench) (short, long float64, err error) {
	calls := coreCalls
	if b.quick {
		calls /= 10
	}
	few, err := startCore(ctx, b, shortLine, calls)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, few.stop()) }()
	many, err := startCore(ctx, b, longLine, calls)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, many.stop()) }()
	for range coreSlices {
		if err := errors.Join(few.measure(calls/coreSlices), many.measure(calls/coreSlices)); err != nil {
			return 0, 0, err
		}
	}
	return few.perCall(), many.perCall(), nil
}

// coreProcess is a child that runs a core: for each number of calls that it reads
// it lets so many live, and answers with the processor time that they cost.
type coreProcess struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *json.Decoder
	calls int
	cost  time.Duration
}

// startCore returns when the calls wait.
func startCore(ctx context.Context, b *bench, waiting, calls int) (*coreProcess, error) {
	p := &coreProcess{cmd: exec.CommandContext(ctx, b.self, "child-core", strconv.Itoa(waiting), strconv.Itoa(calls))}
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	var ready time.Duration
	if err := p.out.Decode(&ready); err != nil {
		return nil, fmt.Errorf("the core with %d waiting: %w", waiting, errors.Join(err, p.stop()))
	}
	return p, nil
}

func (p *coreProcess) measure(calls int) error {
	if _, err := fmt.Fprintln(p.in, calls); err != nil {
		return err
	}
	var cost time.Duration
	if err := p.out.Decode(&cost); err != nil {
		return err
	}
	p.calls, p.cost = p.calls+calls, p.cost+cost
	return nil
}

func (p *coreProcess) perCall() float64 { return float64(p.cost) / float64(p.calls) }

// stop ends the child, which goes when nothing more comes in.
func (p *coreProcess) stop() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// coreChild runs one line, see coreProcess. Its arguments are how many calls wait
// and how many will live at most.
func coreChild(args []string) error {
	waiting, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	calls, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(1)
	warm := coreCalls / 10 // as many as are kept: from then on each arrival has one forgotten
	c, err := newCore(waiting, waiting+warm+calls)
	if err != nil {
		return err
	}
	if err := c.live(warm); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(processorTime()); err != nil {
		return err
	}
	for {
		var n int
		if _, err := fmt.Scanln(&n); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		began := processorTime()
		if err := c.live(n); err != nil {
			return err
		}
		if err := out.Encode(processorTime() - began); err != nil {
			return err
		}
	}
}

// core is a state machine with a line of waiting calls and an agent.
type core struct {
	m     *queue.Machine
	now   instant.Instant
	next  int    // calls so far
	offer uint64 // the agent's live offer

	// What the commands say is made beforehand, and they are used again, so that
	// what is measured is the machine's work and garbage and not the driver's.
	texts    string // ids and numbers of all calls, one after the other
	arrive   queue.Arrive
	accept   queue.Accept
	complete queue.Complete
}

// coreTiers are the tiers of the calls, by turns: no VIPs, who would never wait.
var coreTiers = [...]tiering.Tier{tiering.Mid, tiering.Ordinary, tiering.Ordinary, tiering.Ordinary, tiering.Blacklist}

// idLen and numberLen are the lengths of an id and a number in core.texts.
const (
	idLen     = len("switch-1-00000000")
	numberLen = len("+8613800000000")
)

// newCore lets some of the given number of calls wait.
func newCore(waiting, calls int) (*core, error) {
	m, err := queue.NewMachine(queue.DefaultSite("main"))
	if err != nil {
		return nil, err
	}
	c := &core{m: m, now: instant.Of(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	var texts strings.Builder
	texts.Grow(calls * (idLen + numberLen))
	for i := range calls {
		fmt.Fprintf(&texts, "switch-1-%08d+86138%08d", i, i)
	}
	c.texts = texts.String()
	for range waiting {
		if _, err := c.apply(c.arrival()); err != nil {
			return nil, err
		}
		m.TakeChanges()
	}
	for _, cmd := range []queue.Command{
		&queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}, WrapUp: -1},
		&queue.Attach{Agent: "anna", Owner: "d1", Token: "t1", Presence: queue.PresentStream},
	} {
		if _, err := c.apply(cmd); err != nil {
			return nil, err
		}
	}
	m.TakeChanges()
	_, offer, err := m.Agent("anna")
	if err != nil || offer == nil {
		return nil, fmt.Errorf("the agent has no offer: %w", err)
	}
	c.offer = offer.Epoch
	return c, nil
}

func (c *core) apply(cmd queue.Command) (queue.Result, error) { return c.m.Apply(c.now, cmd) }

// arrival is the next call. It has no request_id: what makes a retry safe is no
// part of this figure.
func (c *core) arrival() *queue.Arrive {
	i := c.next
	c.next++
	text := c.texts[i*(idLen+numberLen):]
	c.arrive = queue.Arrive{
		Call: text[:idLen], Switch: "switch-1", Caller: tiering.Number(text[idLen : idLen+numberLen]),
		Tier: coreTiers[i%len(coreTiers)], ArrivedAt: c.now,
	}
	return &c.arrive
}

// live lets n calls arrive; for each, the first in line is accepted and
// completed, so that the line stays as long as it is.
func (c *core) live(n int) error {
	for i := range n {
		if i%400 == 0 {
			c.now++ // 400,000 calls a second.
		}
		if i%400_000 == 0 {
			if _, err := c.apply(&queue.RenewOwner{Owner: "d1"}); err != nil {
				return err
			}
		}
		if _, err := c.apply(c.arrival()); err != nil {
			return err
		}
		c.accept = queue.Accept{Agent: "anna", Offer: c.offer}
		res, err := c.apply(&c.accept)
		if err != nil {
			return err
		}
		c.complete = queue.Complete{Agent: "anna", Call: res.Call.ID}
		if res, err = c.apply(&c.complete); err != nil {
			return err
		}
		c.offer = res.Agent.Offer
		c.m.TakeChanges()
	}
	return nil
}

// processorTime is what this process has used of its cores.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
