package load

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"greenlane/internal/load/audit"
	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
)

// caller is one call from its arrival to its end, as its switch sees it.
type caller struct {
	run      *Run
	id       string
	drawn    day.Call
	line     line
	switchID string
	chance   *rand.Rand
	bySwitch bool // the switch reports the end, not the agent

	sent     time.Time
	answered chan struct{} // closed when an agent has the call
	over     chan struct{} // closed when the call has ended
	once     [2]sync.Once
}

// newCaller makes one of the day's calls a live one.
func (r *Run) newCaller(drawn day.Call) *caller {
	key := uint64(drawn.Index)<<8 | uint64(drawn.Attempt)&0xff
	chance := rand.New(rand.NewPCG(r.opt.Seed, key))
	s := drawn.Index % len(r.lines)
	id := r.opt.Name + "-" + strconv.Itoa(drawn.Index)
	if drawn.Attempt > 0 {
		id += "r" + strconv.Itoa(drawn.Attempt)
	}
	return &caller{
		run: r, id: id, drawn: drawn, line: r.lines[s], switchID: r.switchID(s), chance: chance,
		bySwitch: chance.Float64() < r.opt.Manners.BySwitch,
		answered: make(chan struct{}), over: make(chan struct{}),
	}
}

func (c *caller) setAnswered() { c.once[0].Do(func() { close(c.answered) }) }
func (c *caller) setOver()     { c.once[1].Do(func() { close(c.over) }) }

// live plays the call to its end.
func (c *caller) live(ctx context.Context) {
	r := c.run
	defer r.forget(c)
	defer c.setOver()
	req := c.arrival()
	c.sent = time.Now()
	r.ledger.Open(audit.Told{
		ID: c.id, Switch: c.switchID, Queue: req.GetQueue(), Caller: req.GetCaller(),
		Preferred: req.GetPreferredAgent(), Tier: tierOf(c.drawn.Tier),
	}, c.sent)
	if c.chance.Float64() < r.opt.Manners.Overtaken {
		c.hangUp(ctx)
	}
	if c.chance.Float64() < r.opt.Manners.Twice {
		again := proto.Clone(req).(*pb.CallArrivedRequest)
		again.RequestId += "/again"
		r.calls.Go(func() { c.arrive(ctx, again) })
	}
	state, ok := c.arrive(ctx, req)
	if !ok || ended(state) {
		return
	}
	c.wait(ctx)
}

func (c *caller) arrival() *pb.CallArrivedRequest {
	r := c.run
	req := &pb.CallArrivedRequest{
		RequestId: c.id + "/arrived", Site: r.opt.Site, SwitchId: c.switchID, CallId: c.id,
		Caller: r.opt.Day.Number(c.drawn), Queue: r.queueOf(c.drawn.Type),
		Attestation: pb.Attestation_ATTESTATION_FULL,
		Attributes:  map[string]string{"type": c.drawn.Type},
	}
	if req.GetCaller() != "" && tierOf(c.drawn.Tier) == pb.Tier_TIER_VIP && c.chance.Float64() < r.opt.Manners.Preferring && len(r.agents) > 0 {
		req.PreferredAgent = r.agents[c.drawn.Caller%len(r.agents)].id
	}
	return req
}

// arrive reports the arrival, and records the answer.
func (c *caller) arrive(ctx context.Context, req *pb.CallArrivedRequest) (pb.CallState, bool) {
	got, err := c.line.arrived(ctx, req)
	if err != nil {
		c.run.unwanted(ctx, c.id, "CallArrived", err)
		return 0, false
	}
	c.run.ledger.Arrived(got, time.Now())
	return got.GetState(), true
}

// wait waits for an answer, as long as the caller's patience lasts.
func (c *caller) wait(ctx context.Context) {
	patience := time.NewTimer(time.Until(c.sent.Add(c.run.clock.real(c.drawn.Patience))))
	defer patience.Stop()
	select {
	case <-c.answered:
		c.talk(ctx)
		return
	case <-c.over:
		// The switch was told to let the caller go; it does, and says so.
		c.end(ctx)
		return
	case <-patience.C:
	case <-c.run.closing:
	case <-ctx.Done():
		return
	}
	if c.hangUp(ctx) == pb.CallState_CALL_STATE_ABANDONED {
		c.run.redial(ctx, c.drawn)
	}
}

// hangUp reports that the caller gave up. The call may have been answered in
// this moment; it is over then, too.
func (c *caller) hangUp(ctx context.Context) pb.CallState {
	r := c.run
	r.ledger.GaveUp(c.id, time.Now())
	got, cb, err := c.line.abandoned(ctx, &pb.CallAbandonedRequest{
		RequestId: c.id + "/abandoned", Site: r.opt.Site, SwitchId: c.switchID, CallId: c.id,
	})
	if err != nil {
		r.unwanted(ctx, c.id, "CallAbandoned", err)
		return 0
	}
	r.ledger.HungUp(got, cb, time.Now())
	return got.GetState()
}

// talk waits for the end of the conversation, or reports it.
func (c *caller) talk(ctx context.Context) {
	if !c.bySwitch {
		select {
		case <-c.over:
			return
		case <-ctx.Done():
			return
		}
	}
	if c.run.talkFor(ctx, c.drawn.Service, c.over) {
		c.end(ctx)
	}
}

// end reports that the call is over.
func (c *caller) end(ctx context.Context) {
	got, err := c.line.ended(ctx, &pb.CallEndedRequest{
		RequestId: c.id + "/ended", Site: c.run.opt.Site, SwitchId: c.switchID, CallId: c.id,
	})
	if err != nil {
		c.run.unwanted(ctx, c.id, "CallEnded", err)
		return
	}
	c.run.ledger.Ended(got)
}

// ended reports whether a call in this state has ended.
func ended(s pb.CallState) bool { return s >= pb.CallState_CALL_STATE_COMPLETED }

// unwanted records an error that the daemon should not have given.
func (r *Run) unwanted(ctx context.Context, call, what string, err error) {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return // The run is being broken off.
	}
	r.faults.Add(audit.Fault{Rule: audit.RuleAnswer, Call: call, Text: what + ": " + err.Error()})
}
