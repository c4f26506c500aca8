package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"greenlane/internal/load/audit"
	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
)

// Run plays one day to one daemon.
type Run struct {
	opt     Options
	clock   *clock
	faults  audit.Faults
	ledger  *audit.Ledger
	figures *figures
	retries retries

	conns      []*grpc.ClientConn
	supervisor pb.SupervisorServiceClient
	callbacks  pb.CallbackServiceClient
	tiers      pb.TierServiceClient
	follower   *follower
	before     *pb.GetSnapshotResponse
	queues     []string
	known      map[string]bool
	lines      []line
	agents     []*agent
	byID       map[string]*agent
	ready      sync.WaitGroup // until every agent has signed in

	closing   chan struct{} // closed when callers who wait are hung up on, and talks end
	closeOnce sync.Once
	stopping  context.Context // ended: no more arrivals
	stop      context.CancelFunc
	calls     sync.WaitGroup
	services  sync.WaitGroup // streams and the follower
	working   sync.WaitGroup // agents
	phones    sync.WaitGroup // their sessions

	mu     sync.Mutex
	live   map[string]*caller
	placed atomic.Int64
	graded int // tiers set by hand
	began  time.Time
	ended  time.Time
	phase  atomic.Value // string
}

// New checks the options and connects to the daemon.
func New(opt Options) (*Run, error) {
	if err := opt.complete(time.Now()); err != nil {
		return nil, err
	}
	r := &Run{
		opt: opt, figures: newFigures(), closing: make(chan struct{}), live: make(map[string]*caller),
		byID: make(map[string]*agent), known: make(map[string]bool),
	}
	r.ledger = audit.NewLedger(&r.faults)
	from, _ := opt.Day.Span()
	r.clock = newClock(from, opt.Speed)
	r.stopping, r.stop = context.WithCancel(context.Background())
	r.phase.Store("connecting")
	conn, err := r.dial()
	if err != nil {
		return nil, err
	}
	r.supervisor = pb.NewSupervisorServiceClient(conn)
	r.callbacks = pb.NewCallbackServiceClient(conn)
	r.tiers = pb.NewTierServiceClient(conn)
	return r, nil
}

func (r *Run) dial() (*grpc.ClientConn, error) {
	conn, err := Dial(r.opt.Addr, r.opt.Dial...)
	if err == nil {
		r.conns = append(r.conns, conn)
	}
	return conn, err
}

// Stop ends the day early: no more calls come, who waits is hung up on, and Play
// goes on to its check.
func (r *Run) Stop() {
	r.stop()
	r.close()
}

func (r *Run) close() { r.closeOnce.Do(func() { close(r.closing) }) }

// errNotQuiet is what Play returns for a site where others are at work.
var errNotQuiet = errors.New("the site has calls of others: the check needs a site of its own (choose another --site, or wait until it is quiet)")

// Play plays the day and checks what came of it. The error says why it could
// not; what is wrong with the daemon is in the report. Ending ctx breaks the run
// off without a check; Stop ends it early with one.
func (r *Run) Play(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		r.services.Wait()
		for _, c := range r.conns {
			_ = c.Close()
		}
	}()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	shift, goHome := context.WithCancel(ctx)
	defer goHome()
	phones, hangUp := context.WithCancel(ctx)
	defer hangUp()
	r.begin(ctx, shift, phones)
	r.arrivals(ctx)
	r.drain(ctx)
	r.ended = time.Now()
	r.phase.Store("checking")
	goHome()
	r.working.Wait()
	hangUp()
	r.phones.Wait()
	r.signOut(ctx)
	after, err := r.check(ctx)
	if err != nil {
		return nil, fmt.Errorf("the check could not be made: %w", err)
	}
	return r.report(after), nil
}

// prepare learns what the daemon has, and tells it the callers' tiers.
func (r *Run) prepare(ctx context.Context) error {
	before, err := r.firstWord(ctx)
	if err != nil {
		return err
	}
	r.before = before
	for _, q := range before.GetQueues() {
		if q.GetWaiting() > 0 {
			return errNotQuiet
		}
		r.known[q.GetQueue()] = true
	}
	r.chooseQueues()
	r.phase.Store("telling the daemon who is who")
	if err := r.grade(ctx); err != nil {
		return err
	}
	open, err := callbacksOf(ctx, r.callbacks, r.opt.Site)
	if err != nil {
		return err
	}
	tiers := make([]pb.Tier, len(r.opt.CallbackTiers))
	for i, t := range r.opt.CallbackTiers {
		tiers[i] = tierOf(t)
	}
	replay := audit.NewReplay(before.GetSequence(), audit.World{
		Serves: r.serves, Rung: r.rung, Call: r.ledger.Call, CallbackTiers: tiers, ShortAbandon: r.opt.ShortAbandon,
	}, &r.faults)
	for _, cb := range open {
		replay.Know(cb)
	}
	r.follower = newFollower(r.supervisor, r.opt.Site, replay, r.opt.OnEvent, r.logFault)
	return nil
}

// firstWord is how long a daemon may take to give its first answer.
const firstWord = 5 * time.Second

// firstWord asks the daemon how the site stands before anything happened. A
// daemon that is not there yet may come, for a while.
func (r *Run) firstWord(ctx context.Context) (*pb.GetSnapshotResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, firstWord)
	defer cancel()
	s, err := call(ctx, &r.retries, r.supervisor.GetSnapshot, &pb.GetSnapshotRequest{Site: r.opt.Site})
	if again(err) {
		return nil, fmt.Errorf("no daemon answers at %s: %s (start one with `greenlaned`, or name another with --addr)",
			r.opt.Addr, status.Convert(err).Message())
	}
	return s, err
}

func (r *Run) logFault(format string, args ...any) {
	r.faults.Add(audit.Fault{Rule: audit.RuleLog, Text: fmt.Sprintf(format, args...)})
}

// chooseQueues finds the queues that the calls go to and the agents serve.
func (r *Run) chooseQueues() {
	used := make(map[string]bool)
	for _, c := range r.opt.Day.Calls {
		used[r.queueOf(c.Type)] = true
	}
	if len(used) == 0 {
		used[r.queueOf("")] = true // A part of the day in which nobody calls.
	}
	for _, q := range r.before.GetQueues() {
		if used[q.GetQueue()] {
			r.queues = append(r.queues, q.GetQueue())
		}
	}
}

// queueOf returns the queue for a call type: its own, "default", or the first.
func (r *Run) queueOf(kind string) string {
	for _, q := range []string{r.opt.Queues[kind], "default"} {
		if r.known[q] {
			return q
		}
	}
	return r.before.GetQueues()[0].GetQueue()
}

func (r *Run) switchID(i int) string { return r.opt.Name + "-switch-" + strconv.Itoa(i+1) }

// begin starts the follower, the switches and the agents, and the day once every
// agent has signed in. Agents work until shift ends, their sessions are open
// until phones ends.
func (r *Run) begin(ctx, shift, phones context.Context) {
	r.phase.Store("signing in")
	r.hire()
	r.services.Go(func() { r.follower.run(ctx) })
	r.openLines(ctx)
	for _, a := range r.agents {
		if p, ok := a.phone.(*sessionPhone); ok {
			r.phones.Go(func() { p.run(phones) })
		}
		r.ready.Add(1)
		r.working.Go(func() { a.work(ctx, shift) })
	}
	signedIn := make(chan struct{})
	go func() { r.ready.Wait(); close(signedIn) }()
	select {
	case <-signedIn:
	case <-ctx.Done():
	}
	r.began = time.Now()
	r.clock.start()
	r.phase.Store("playing")
}

// arrivals lets the day's calls come, each at its time.
func (r *Run) arrivals(ctx context.Context) {
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.stopping, cancel)()
	for _, c := range r.opt.Day.Calls {
		if !r.clock.sleepUntil(stop, c.At) {
			return
		}
		r.place(ctx, c)
	}
}

// place starts a call's life.
func (r *Run) place(ctx context.Context, drawn day.Call) {
	c := r.newCaller(drawn)
	r.mu.Lock()
	r.live[c.id] = c
	r.mu.Unlock()
	r.placed.Add(1)
	r.calls.Go(func() { c.live(ctx) })
}

func (r *Run) forget(c *caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.live, c.id)
}

func (r *Run) callerOf(id string) *caller {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.live[id]
}

// redial lets a caller who gave up ring again, when the caller is one who does.
func (r *Run) redial(ctx context.Context, drawn day.Call) {
	next, ok := r.opt.Day.Redial(drawn, r.clock.now())
	if !ok {
		return
	}
	r.calls.Go(func() {
		if r.clock.sleepUntil(r.stopping, next.At) {
			r.place(ctx, next)
		}
	})
}

// drain waits until every call is over. Callers who still wait long after the
// day's end are hung up on.
func (r *Run) drain(ctx context.Context) {
	r.phase.Store("waiting for the last calls to end")
	done := make(chan struct{})
	go func() { r.calls.Wait(); close(done) }()
	_, to := r.opt.Day.Span()
	closing := time.NewTimer(r.clock.real(to + r.opt.Closing - r.clock.now()))
	defer closing.Stop()
	select {
	case <-done:
	case <-closing.C:
	case <-ctx.Done():
	}
	r.stop()
	r.close()
	<-done
}

// signOut signs every agent out. One whose work could not be ended, because the
// run is being broken off, leaves it.
func (r *Run) signOut(ctx context.Context) {
	var all sync.WaitGroup
	for _, a := range r.agents {
		all.Go(func() {
			if err := a.desk.signOut(ctx); err != nil {
				r.unwanted(ctx, "", "SignOut", err)
			}
		})
	}
	all.Wait()
}

// ignoreFor is how long an offer lives by itself, and a little more.
func (r *Run) ignoreFor(h *held) time.Duration {
	return h.GetExpiresAt().AsTime().Sub(h.GetOfferedAt().AsTime()) + 200*time.Millisecond
}

// Progress is how far a run is.
type Progress struct {
	Phase   string
	Now     time.Duration // time of the day
	Calls   int           // reported so far
	Live    int           // not yet over
	Retries int64
}

// Progress tells how far the run is.
func (r *Run) Progress() Progress {
	r.mu.Lock()
	live := len(r.live)
	r.mu.Unlock()
	return Progress{
		Phase: r.phase.Load().(string), Now: r.clock.now(), Calls: int(r.placed.Load()), Live: live, Retries: r.retries.n.Load(),
	}
}

// Caller returns the number of a call's caller; empty when it is withheld or the
// call is not the run's.
func (r *Run) Caller(callID string) string {
	number, _, _ := r.ledger.Call(callID)
	return number
}
