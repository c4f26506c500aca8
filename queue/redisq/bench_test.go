package redisq_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
	"greenlane/tiering"
)

const benchClients = 64

// benchSite has n queues in which nobody is late for an hour.
func benchSite(n int) queue.Site {
	site := queue.DefaultSite("main")
	site.Queues = nil
	for i := range n {
		q := queue.DefaultQueue("queue" + strconv.Itoa(i))
		q.Threshold = time.Hour
		site.Queues = append(site.Queues, q)
	}
	site.DefaultQueue = "queue0"
	site.OwnerLease = time.Hour
	return site
}

func openBench(b testing.TB, client redis.UniversalClient, site queue.Site, opts redisq.Options) *redisq.Engine {
	b.Helper()
	e, err := redisq.Open(context.Background(), client, site, opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { e.Close(context.Background()) })
	return e
}

// must carries a command out.
func must(b testing.TB, e queue.Engine, cmd queue.Command) queue.Result {
	res, err := e.Do(context.Background(), cmd)
	if err != nil {
		b.Errorf("%s: %v", cmd.Kind(), err)
	}
	return res
}

// BenchmarkThroughput measures commands/s of clients that each wait for the
// answer (a call arrives, its agent polls, accepts, completes) against the rate of
// a bare script that does one ZADD and one HSET, in turns.
func BenchmarkThroughput(b *testing.B) {
	server := redistest.Start(b, redistest.Options{AOF: true})
	client := server.Client()
	e := openBench(b, client, benchSite(benchClients), redisq.Options{})
	for i := range benchClients {
		must(b, e, &queue.SignIn{Agent: fmt.Sprint("a", i), Services: []queue.Service{{Queue: fmt.Sprint("queue", i), Level: 1}}})
	}
	var engine, bare float64
	rounds, length := 5, 2*time.Second
	var calls atomic.Int64
	for range rounds {
		bare += rate(length, func(int) int { return bareScript(b, client, &calls) })
		engine += rate(length, func(i int) int { return oneCall(b, e, i, benchClients, &calls) })
	}
	bare, engine = bare/float64(rounds), engine/float64(rounds)
	b.ReportMetric(engine, "commands/s")
	b.ReportMetric(bare, "bare/s")
	b.ReportMetric(engine/bare, "ratio")
	b.ReportMetric(0, "ns/op")
}

// rate runs f in every client for a while and returns how many commands there were a second.
func rate(length time.Duration, f func(client int) int) float64 {
	var n atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range benchClients {
		wg.Go(func() {
			for time.Since(begin) < length {
				n.Add(int64(f(i)))
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(begin).Seconds()
}

// oneCall is the life of a call: it arrives in queue i and agent i takes the first
// one that waits for him.
func oneCall(b testing.TB, e queue.Engine, i, queues int, calls *atomic.Int64) int {
	agent, call := fmt.Sprint("a", i), fmt.Sprintf("1700000000.%d", calls.Add(1))
	must(b, e, &queue.Arrive{Call: call, Switch: "s1", Queue: fmt.Sprint("queue", i%queues), Tier: tiering.Ordinary, Caller: tiering.Number(fmt.Sprintf("+86139%08d", calls.Load()))})
	var offer *queue.Offer
	n := 1
	for offer == nil {
		offer = must(b, e, &queue.Attach{Agent: agent, Owner: "d1", Token: "t", Presence: queue.PresentPoll, Wait: 30 * time.Second}).Offer
		n++
		if offer == nil && b.Failed() {
			return n
		}
	}
	res := must(b, e, &queue.Accept{Agent: agent, Offer: offer.Epoch})
	if res.Call != nil {
		must(b, e, &queue.Complete{Agent: agent, Call: res.Call.ID})
	}
	return n + 2
}

const bare = `redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2]) redis.call('HSET', KEYS[2], ARGV[2], ARGV[3]) return 1`

var bareRun = redis.NewScript(bare)

func bareScript(b testing.TB, client redis.UniversalClient, calls *atomic.Int64) int {
	id := calls.Add(1)
	if err := bareRun.Run(context.Background(), client, []string{"bare:{x}:z", "bare:{x}:h"}, id%100_000, id%100_000, "0123456789012345678901234567890123456789").Err(); err != nil {
		b.Error(err)
	}
	return 1
}

// fill lets n calls wait in the site's queues.
func fill(b testing.TB, e queue.Engine, queues, n int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchClients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				must(b, e, &queue.Arrive{
					Call: fmt.Sprintf("1700000000.%06d", i), Switch: "s1", Queue: fmt.Sprint("queue", int(i)%queues),
					Tier: tiering.Tiers[int(i)%4], Caller: tiering.Number(fmt.Sprintf("+86138%08d", i)), Dialed: "10086",
				})
			}
		})
	}
	wg.Wait()
}

// BenchmarkLongLines measures how long the scripts take with 100,000 calls
// waiting in 20 queues, and what a waiting call takes of Redis' memory.
func BenchmarkLongLines(b *testing.B) {
	const waiting, queues = 100_000, 20
	server := redistest.Start(b, redistest.Options{AOF: true})
	client := server.Client()
	ctx := context.Background()
	e := openBench(b, client, benchSite(queues), redisq.Options{})
	before := usedMemory(b, client)
	fill(b, e, queues, waiting)
	b.ReportMetric(float64(usedMemory(b, client)-before)/waiting, "B/call")
	for _, set := range [][]string{{"slowlog-log-slower-than", "0"}, {"slowlog-max-len", "100000"}} {
		if err := client.ConfigSet(ctx, set[0], set[1]).Err(); err != nil {
			b.Fatal(err)
		}
	}
	var services []queue.Service
	for i := range queues {
		services = append(services, queue.Service{Queue: fmt.Sprint("queue", i), Level: 1 + i%2})
	}
	for i := range benchClients {
		must(b, e, &queue.SignIn{Agent: fmt.Sprint("a", i), Services: services})
	}
	client.Do(ctx, "slowlog", "reset")
	var calls atomic.Int64
	calls.Store(1_000_000)
	rate(5*time.Second, func(i int) int { return oneCall(b, e, i, queues, &calls) })
	p50, p99, most := scriptTimes(b, client)
	b.ReportMetric(p50, "p50-us")
	b.ReportMetric(p99, "p99-us")
	b.ReportMetric(most, "max-us")
	b.ReportMetric(0, "ns/op")
}

func usedMemory(b testing.TB, client redis.UniversalClient) int64 {
	info, err := client.InfoMap(context.Background(), "memory").Result()
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// scriptTimes reads from the slow log how long the scripts took, in microseconds.
func scriptTimes(b testing.TB, client redis.UniversalClient) (p50, p99, most float64) {
	entries, err := client.SlowLogGet(context.Background(), -1).Result()
	if err != nil {
		b.Fatal(err)
	}
	var times []time.Duration
	for _, entry := range entries {
		if len(entry.Args) > 0 && (entry.Args[0] == "evalsha" || entry.Args[0] == "eval") {
			times = append(times, entry.Duration)
		}
	}
	if len(times) < 100 {
		b.Fatalf("%d scripts ran", len(times))
	}
	slices.Sort(times)
	at := func(q float64) float64 { return float64(times[int(q*float64(len(times)-1))].Microseconds()) }
	return at(0.5), at(0.99), at(1)
}
