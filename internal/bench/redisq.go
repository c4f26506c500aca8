//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

const (
	engineClients = 64
	engineWaiting = 100_000
	engineQueues  = 20
	offersASecond = 500

	needEngineRatio  = 0.5
	needScriptP99    = time.Millisecond
	needElsewhereP99 = 10 * time.Millisecond
	needCallBytes    = 700
)

// measureRedisq measures the Redis engine: its commands against a bare script in
// turns, its scripts with long lines, what a waiting call takes, and an offer to
// an agent who is connected to another daemon.
func measureRedisq(ctx context.Context, b *bench) (figures []Figure, err error) {
	dir, err := os.MkdirTemp(b.dir, "redisq-")
	if err != nil {
		return nil, err
	}
	span, rounds, waiting := 2*time.Second, 5, engineWaiting
	if b.quick {
		span, rounds, waiting = 500*time.Millisecond, 1, engineWaiting/10
	}
	for _, part := range []func(*engineRun) []Figure{
		func(r *engineRun) []Figure { return r.rates(rounds, span) },
		func(r *engineRun) []Figure { return r.longLines(waiting, 2*span) },
		func(r *engineRun) []Figure { return r.elsewhere(2 * span) },
	} {
		more, err := runEngine(ctx, dir, part)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// runEngine runs one part on a Redis of its own.
func runEngine(ctx context.Context, dir string, part func(*engineRun) []Figure) (figures []Figure, err error) {
	s := &stand{dir: dir}
	r := &engineRun{stand: s, ctx: ctx}
	defer func() {
		if fault, ok := recover().(standFault); ok {
			err = fault.error
		}
		s.end()
		if first, ok := r.fault.Load().(error); ok {
			err = errors.Join(err, first)
		}
	}()
	r.client = redistest.Start(s, redistest.Options{AOF: true}).Client()
	return part(r), nil
}

// engineRun is a Redis with engines on it.
type engineRun struct {
	*stand
	ctx    context.Context
	client redis.UniversalClient
	calls  atomic.Int64
	fault  atomic.Value // the first error of a client
}

func (r *engineRun) failed(err error) bool {
	if err != nil {
		r.fault.CompareAndSwap(nil, err)
	}
	return r.fault.Load() != nil
}

// open opens an engine whose site has n queues, in which nobody is late.
func (r *engineRun) open(n int) *redisq.Engine {
	site := queue.DefaultSite("main")
	site.Queues = nil
	for i := range n {
		q := queue.DefaultQueue("queue" + strconv.Itoa(i))
		q.Threshold = time.Hour
		site.Queues = append(site.Queues, q)
	}
	site.DefaultQueue, site.OwnerLease = "queue0", time.Hour
	e, err := redisq.Open(r.ctx, r.client, site, redisq.Options{})
	if err != nil {
		r.Fatalf("%v", err)
	}
	r.Cleanup(func() { r.failed(e.Close(context.Background())) })
	return e
}

func (r *engineRun) signIn(e *redisq.Engine, services func(agent int) []queue.Service) {
	for i := range engineClients {
		if _, err := e.Do(r.ctx, &queue.SignIn{Agent: fmt.Sprint("a", i), Services: services(i)}); err != nil {
			r.Fatalf("%v", err)
		}
	}
}

// rate runs f in every client for a while and returns how many commands there
// were a second.
func (r *engineRun) rate(span time.Duration, f func(client int) int) float64 {
	var n atomic.Int64
	var all sync.WaitGroup
	begin := time.Now()
	for i := range engineClients {
		all.Go(func() {
			for time.Since(begin) < span && !r.failed(r.ctx.Err()) {
				n.Add(int64(f(i)))
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

// life is a call that arrives, and its agent who takes the first that waits.
func (r *engineRun) life(e *redisq.Engine, client, queues int) (commands int) {
	agent, n := fmt.Sprint("a", client), r.calls.Add(1)
	do := func(cmd queue.Command) queue.Result {
		commands++
		res, err := e.Do(r.ctx, cmd)
		r.failed(err)
		return res
	}
	do(&queue.Arrive{
		Call: fmt.Sprintf("1700000000.%d", n), Switch: "s1", Queue: fmt.Sprint("queue", client%queues), Tier: tiering.Ordinary,
		Caller: tiering.Number(fmt.Sprintf("+86139%08d", n)),
	})
	var offer *queue.Offer
	for offer == nil && r.fault.Load() == nil {
		offer = do(&queue.Attach{Agent: agent, Owner: "d1", Token: "t", Presence: queue.PresentPoll, Wait: 30 * time.Second}).Offer
	}
	if offer == nil {
		return commands
	}
	if c := do(&queue.Accept{Agent: agent, Offer: offer.Epoch}).Call; c != nil {
		do(&queue.Complete{Agent: agent, Call: c.ID})
	}
	return commands
}

var bareScript = redis.NewScript(`redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2]) redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) return 1`)

func (r *engineRun) bare(int) int {
	id := r.calls.Add(1) % 100_000
	r.failed(bareScript.Run(r.ctx, r.client, []string{"bare:{x}:z", "bare:{x}:h"}, id, id, "0123456789012345678901234567890123456789").Err())
	return 1
}

func (r *engineRun) rates(rounds int, span time.Duration) []Figure {
	e := r.open(engineClients)
	r.signIn(e, func(i int) []queue.Service { return []queue.Service{{Queue: fmt.Sprint("queue", i), Level: 1}} })
	var ratios, commands []float64
	for range rounds {
		bare := r.rate(span, r.bare)
		engine := r.rate(span, func(i int) int { return r.life(e, i, engineClients) })
		ratios, commands = append(ratios, engine/bare), append(commands, engine)
	}
	ratio := median(ratios)
	return []Figure{{
		What:     fmt.Sprintf("redis engine: %.0f commands/s of %d clients, of the rate of a bare script, in turns", median(commands), engineClients),
		Measured: fmt.Sprintf("%.2f", ratio), Needed: fmt.Sprintf(">= %.1f", needEngineRatio), OK: reached(ratio >= needEngineRatio),
	}}
}

// fill lets n calls wait.
func (r *engineRun) fill(e *redisq.Engine, n int) {
	var all sync.WaitGroup
	for range engineClients {
		all.Go(func() {
			for i := r.calls.Add(1); i <= int64(n) && r.fault.Load() == nil; i = r.calls.Add(1) {
				_, err := e.Do(r.ctx, &queue.Arrive{
					Call: fmt.Sprintf("1700000000.%06d", i), Switch: "s1", Queue: fmt.Sprint("queue", int(i)%engineQueues),
					Tier: tiering.Tiers[int(i)%4], Caller: tiering.Number(fmt.Sprintf("+86138%08d", i)), Dialed: "10086",
				})
				r.failed(err)
			}
		})
	}
	all.Wait()
}

func (r *engineRun) longLines(waiting int, span time.Duration) []Figure {
	e := r.open(engineQueues)
	memory := func() float64 {
		used, err := usedMemory(r.ctx, r.client)
		if err != nil {
			r.Fatalf("%v", err)
		}
		return used
	}
	before := memory()
	r.fill(e, waiting)
	each := (memory() - before) / float64(waiting)
	r.calls.Store(10 * engineWaiting)
	var services []queue.Service
	for i := range engineQueues {
		services = append(services, queue.Service{Queue: fmt.Sprint("queue", i), Level: 1 + i%2})
	}
	r.signIn(e, func(int) []queue.Service { return services })
	for _, args := range [][]any{
		{"config", "set", "slowlog-log-slower-than", "0", "slowlog-max-len", "1000000"}, {"slowlog", "reset"},
	} {
		if err := r.client.Do(r.ctx, args...).Err(); err != nil {
			r.Fatalf("%v", err)
		}
	}
	r.rate(span, func(i int) int { return r.life(e, i, engineQueues) })
	entries, err := r.client.SlowLogGet(r.ctx, -1).Result()
	if err != nil {
		r.Fatalf("%v", err)
	}
	var took []time.Duration
	for _, entry := range entries {
		if len(entry.Args) > 0 && (entry.Args[0] == "evalsha" || entry.Args[0] == "eval") {
			took = append(took, entry.Duration)
		}
	}
	p99 := part99(r, took)
	return []Figure{{
		What:     fmt.Sprintf("redis engine: script p99 with %d calls waiting in %d queues", waiting, engineQueues),
		Measured: p99.String(), Needed: fmt.Sprintf("<= %v", needScriptP99), OK: reached(p99 <= needScriptP99),
	}, {
		What: "redis engine: used_memory per waiting call", Measured: fmt.Sprintf("%.0f B", each),
		Needed: fmt.Sprintf("<= %d B", needCallBytes), OK: reached(each <= needCallBytes),
	}}
}

// part99 returns the 99th of 100.
func part99(r *engineRun, took []time.Duration) time.Duration {
	if len(took) < 100 {
		r.Fatalf("only %d were timed", len(took))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

func (r *engineRun) elsewhere(span time.Duration) []Figure {
	here, there := r.open(1), r.open(1)
	r.signIn(there, func(int) []queue.Service { return []queue.Service{{Queue: "queue0", Level: 1}} })
	for i := range engineClients {
		agent := fmt.Sprint("a", i)
		if _, err := there.Do(r.ctx, &queue.Attach{Agent: agent, Owner: "d2", Token: agent, Presence: queue.PresentStream}); err != nil {
			r.Fatalf("%v", err)
		}
	}
	last, err := there.LastEvent(r.ctx)
	if err != nil {
		r.Fatalf("%v", err)
	}
	var sent sync.Map // call -> when it was sent
	var took []time.Duration
	var working sync.WaitGroup
	ctx, stop := context.WithCancel(r.ctx)
	defer stop()
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			events, err := there.Events(ctx, last, 0)
			if err != nil {
				return // It is over.
			}
			now := time.Now()
			for _, ev := range events {
				last = ev.Seq
				if began, ok := sent.Load(ev.Call); ok && ev.Type == queue.EventCallOffered {
					took = append(took, now.Sub(began.(time.Time)))
					working.Go(func() {
						_, err := there.Do(r.ctx, &queue.Accept{Agent: ev.Agent, Offer: ev.Offer})
						r.failed(err)
						_, err = there.Do(r.ctx, &queue.Complete{Agent: ev.Agent, Call: ev.Call})
						r.failed(err)
					})
				}
			}
		}
	})
	tick := time.NewTicker(time.Second / offersASecond)
	defer tick.Stop()
	var sending sync.WaitGroup
	for i := range int(span.Seconds() * offersASecond) {
		<-tick.C
		call := fmt.Sprint("c", i)
		sending.Go(func() {
			sent.Store(call, time.Now())
			_, err := here.Do(r.ctx, &queue.Arrive{Call: call, Switch: "s1", Queue: "queue0", Tier: tiering.Ordinary})
			r.failed(err)
		})
	}
	sending.Wait()
	stop()
	reading.Wait()
	working.Wait()
	p99 := part99(r, took)
	return []Figure{{
		What:     fmt.Sprintf("redis engine: from arrival to the offer at another daemon, %d calls/s, p99", offersASecond),
		Measured: p99.String(), Needed: fmt.Sprintf("<= %v", needElsewhereP99), OK: reached(p99 <= needElsewhereP99),
	}}
}
