package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/load/audit"
	pb "greenlane/proto/greenlane/v1"
)

func (r *Run) openLines(ctx context.Context) {
	for i := range r.opt.Switches {
		conn, err := r.dial()
		if err != nil {
			r.logFault("switch %d: %v", i+1, err)
			continue
		}
		if i >= r.opt.Streams {
			r.lines = append(r.lines, newUnaryLine(conn, &r.retries))
			continue
		}
		l := newStreamLine(conn, r.opt.Site, r.switchID(i), r.before.GetSequence(), r, &r.retries, r.logFault)
		r.lines = append(r.lines, l)
		r.services.Go(func() { l.run(ctx) })
	}
}

// agentsPerConn is how many agents share a connection.
const agentsPerConn = 32

// hire makes the agents, each with a phone: spread evenly, so that every kind of
// phone serves every queue.
func (r *Run) hire() {
	var conn *grpc.ClientConn
	kinds := shuffledKinds(r.opt)
	for i, k := range kinds {
		if i%agentsPerConn == 0 {
			var err error
			if conn, err = r.dial(); err != nil {
				r.logFault("agent %d: %v", i+1, err)
				return
			}
		}
		a := &agent{run: r, id: fmt.Sprintf("%s-agent-%03d", r.opt.Name, i+1), chance: rand.New(rand.NewPCG(r.opt.Seed, uint64(i)+1<<40))}
		a.desk = newDesk(conn, r.opt.Site, a.id, &r.retries)
		req := &pb.SignInRequest{RequestId: a.desk.request("sign-in"), Site: r.opt.Site, AgentId: a.id, Endpoint: fmt.Sprintf("SIP/%d", 1001+i)}
		a.serves = services(i, r.queues)
		for _, s := range a.serves {
			req.Queues = append(req.Queues, &pb.AgentQueue{Queue: s.Queue, Level: int32(s.Level)})
		}
		if i%3 == 2 {
			a.wrapUp = r.opt.Manners.WrapUp
		}
		req.WrapUp = durationpb.New(r.clock.real(a.wrapUp))
		r.givePhone(a, k, conn, req)
		r.agents = append(r.agents, a)
		r.byID[a.id] = a
	}
}

// kind is how an agent is reached.
type kind uint8

const (
	bySession kind = iota
	byPolling
	byRinging
)

// shuffledKinds spreads the kinds of phones over the agents.
func shuffledKinds(opt Options) []kind {
	kinds := make([]kind, opt.Agents)
	for i := range opt.Polling {
		kinds[i] = byPolling
	}
	for i := range opt.Ringing {
		kinds[opt.Polling+i] = byRinging
	}
	chance := rand.New(rand.NewPCG(opt.Seed, 7))
	chance.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	return kinds
}

// pollFor is how long a poll waits: at most five minutes of the day.
func (r *Run) pollFor() time.Duration {
	return min(max(r.clock.real(5*time.Minute), 200*time.Millisecond), 20*time.Second)
}

func (r *Run) givePhone(a *agent, k kind, conn *grpc.ClientConn, req *pb.SignInRequest) {
	switch k {
	case byPolling:
		a.phone, a.signIn = &pollPhone{desk: a.desk, wait: r.pollFor()}, req
	case byRinging:
		req.RingBySwitch = true
		a.phone, a.signIn = newRingPhone(a.desk), req
	default:
		a.phone = newSessionPhone(conn, a.desk, req, r.logFault)
	}
}

// serves is audit.World.Serves.
func (r *Run) serves(id string) []audit.Service {
	if a := r.byID[id]; a != nil {
		return a.serves
	}
	return nil
}

// rung is audit.World.Rung.
func (r *Run) rung(id string) bool {
	a := r.byID[id]
	if a == nil {
		return false
	}
	_, ok := a.phone.(*ringPhone)
	return ok
}

// streams is audit.Final.Streams.
func (r *Run) streams(switchID string) bool {
	for i := range r.opt.Streams {
		if r.switchID(i) == switchID {
			return true
		}
	}
	return false
}
