package load

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"greenlane/internal/load/audit"
	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// Options say what to play, to whom, and how.
type Options struct {
	Addr string            // of the daemon's gRPC API
	Dial []grpc.DialOption // how to reach it; nil: in the clear
	Site string            // empty: main
	Name string            // makes call, switch and agent ids unique; empty: from the clock

	Day   *day.Day
	Speed float64 // seconds of the day per real second; 0 means 1
	Seed  uint64  // for everything the day does not decide

	Switches int // how many switches report the calls
	Streams  int // so many of them by Connect streams, the others by unary calls
	Agents   int
	Polling  int // so many agents by NextCall, ...
	Ringing  int // so many by a phone that a streaming switch rings, the others by Session

	// Queues is the queue of each call type. Types that are not in it, or whose
	// queue the daemon does not have, go to the daemon's first queue or "default".
	Queues  map[string]string
	Manners Manners

	// Rules are what the check must know of the daemon's configuration.
	CallbackTiers []tiering.Tier // nil: mid
	ShortAbandon  time.Duration  // in the daemon's time; 0: 5 s; negative: 0

	// Closing is how long after the end of the day (in the day's time) callers who
	// still wait are hung up on. 0: one hour.
	Closing time.Duration

	// OnEvent, when set, sees every event of the log, in order.
	OnEvent func(*pb.Event)
}

// Manners are how people and switches behave, in the day's time.
type Manners struct {
	Reaction   time.Duration // an agent's mean time from offer to accept
	Decline    float64       // share of offers that an agent declines
	Ignore     float64       // share of offers that an agent does not answer at all
	Recover    time.Duration // until an agent who did not answer is ready again
	WrapUp     time.Duration // of every third agent
	Break      float64       // chance of a break after a call
	BreakFor   time.Duration
	Hurried    float64       // share of accepts sent although the offer was rescinded
	Twice      float64       // share of switch events that are reported twice
	Overtaken  float64       // share of hang-ups that overtake their arrival
	BySwitch   float64       // share of calls whose end the switch reports, not the agent
	Preferring float64       // share of VIP calls that ask for an agent
	Callback   time.Duration // how long an agent works on a callback
}

// DefaultManners returns those of a call centre on a usual day, with a share of
// everything that goes wrong.
func DefaultManners() Manners {
	return Manners{
		Reaction: 3 * time.Second, Decline: 0.01, Ignore: 0.004, Recover: time.Minute, WrapUp: 10 * time.Second,
		Break: 0.01, BreakFor: 5 * time.Minute, Hurried: 0.2, Twice: 0.02, Overtaken: 0.003,
		BySwitch: 0.5, Preferring: 0.15, Callback: 2 * time.Minute,
	}
}

// DefaultQueues returns the queue of each call type of the statistics.
func DefaultQueues() map[string]string {
	return map[string]string{
		"PS": "service", "NW": "new-customers", "NE": "stocks", "IN": "internet", "TT": "service", "PE": "service",
	}
}

// complete fills in defaults and returns what is wrong.
func (o *Options) complete(now time.Time) error {
	o.Site = cmp.Or(o.Site, "main")
	o.Name = cmp.Or(o.Name, fmt.Sprintf("%x", now.UnixMilli()&0xffffffff))
	o.Speed = cmp.Or(o.Speed, 1)
	o.Closing = cmp.Or(o.Closing, time.Hour)
	o.ShortAbandon = cmp.Or(o.ShortAbandon, 5*time.Second)
	if o.CallbackTiers == nil {
		o.CallbackTiers = []tiering.Tier{tiering.Mid}
	}
	if o.Queues == nil {
		o.Queues = DefaultQueues()
	}
	var faults []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	need(o.Day != nil, "day: must be given")
	need(o.Addr != "", "addr: must be the host:port of a daemon")
	need(o.Speed > 0 && o.Speed <= 1e6, "speed: %v must be above 0 and at most 1,000,000", o.Speed)
	need(o.Switches >= 1 && o.Switches <= 1000, "switches: %d must be 1 to 1000", o.Switches)
	need(o.Streams >= 0 && o.Streams <= o.Switches, "streams: %d must be 0 to the number of switches, %d", o.Streams, o.Switches)
	need(o.Agents >= 0 && o.Agents <= 100_000, "agents: %d must be 0 to 100,000", o.Agents)
	need(o.Polling >= 0 && o.Ringing >= 0 && o.Polling+o.Ringing <= o.Agents,
		"polling and ringing: %d and %d must not be more than the agents, %d", o.Polling, o.Ringing, o.Agents)
	need(o.Ringing == 0 || o.Streams > 0, "ringing: phones are rung by switches with a stream, and none has one")
	return errors.Join(faults...)
}

// tierOf returns a tier as the API has it.
func tierOf(t tiering.Tier) pb.Tier { return pb.Tier(t) }

// services returns which queues an agent serves: each has one queue at level 1,
// in turn, and the others at level 2; every fourth serves its own queue only.
func services(agent int, queues []string) []audit.Service {
	own := agent % len(queues)
	out := []audit.Service{{Queue: queues[own], Level: 1}}
	if agent%4 == 3 && len(queues) > 1 {
		return out
	}
	for i, q := range queues {
		if i != own {
			out = append(out, audit.Service{Queue: q, Level: 2})
		}
	}
	return out
}
