package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"greenlane/metrics/prom"
	pb "greenlane/proto/greenlane/v1"
)

// The large site that is scraped.
const (
	scrapeQueues  = 200
	scrapeAgents  = 10_000
	scrapeWaiting = 100_000
)

// measureScrape scrapes a daemon with a large site the way Prometheus does, and
// measures the time until the last byte is there, and the size.
func measureScrape(ctx context.Context, b *bench) (figures []Figure, err error) {
	scrapes, agents, waiting := 21, scrapeAgents, scrapeWaiting
	if b.quick {
		scrapes, agents, waiting = 5, scrapeAgents/10, scrapeWaiting/10
	}
	var queues strings.Builder
	for i := range scrapeQueues {
		fmt.Fprintf(&queues, "{name: %s}, ", scrapeQueue(i))
	}
	d, conn, err := b.start(ctx, fmt.Sprintf("sites: [{name: main, queues: [%s]}]\n", queues.String()), nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), d.Remove()) }()
	if err := signIn(ctx, conn, agents); err != nil {
		return nil, err
	}
	if err := fillQueues(ctx, conn, waiting); err != nil {
		return nil, err
	}
	var took []float64
	var size int
	for range scrapes {
		span, n, err := scrape(ctx, "http://"+d.HTTP()+"/metrics")
		if err != nil {
			return nil, err
		}
		took, size = append(took, span.Seconds()), n
	}
	t := time.Duration(median(took) * float64(time.Second))
	return []Figure{
		{
			What: fmt.Sprintf("scrape, %d queues, %d agents, %d waiting", scrapeQueues, agents, waiting), Measured: t.Round(100 * time.Microsecond).String(),
			Needed: "<= 50ms", OK: reached(t <= 50*time.Millisecond),
		},
		{What: "size of the scrape, not compressed", Measured: fmt.Sprintf("%.2f MB", float64(size)/1e6), Needed: "<= 2 MB", OK: reached(size <= 2_000_000)},
	}, nil
}

func scrapeQueue(i int) string { return fmt.Sprintf("queue-%03d", i) }

// signIn signs agents in, each for four queues.
func signIn(ctx context.Context, conn *grpc.ClientConn, n int) error {
	api := pb.NewAgentServiceClient(conn)
	next := make(chan int)
	var all sync.WaitGroup
	faults := make(chan error, clients)
	for range clients {
		all.Go(func() {
			for i := range next {
				req := &pb.SignInRequest{AgentId: "agent-" + strconv.Itoa(i)}
				for j := range 4 {
					req.Queues = append(req.Queues, &pb.AgentQueue{Queue: scrapeQueue((i + 50*j) % scrapeQueues), Level: int32(j + 1)})
				}
				if _, err := api.SignIn(ctx, req); err != nil {
					select {
					case faults <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	close(faults)
	return <-faults // nil when there is none
}

// fillQueues lets calls wait in every queue.
func fillQueues(ctx context.Context, conn *grpc.ClientConn, n int) error {
	api := pb.NewSwitchServiceClient(conn)
	for from := 0; from < n; from += perReconcile {
		req := &pb.ReconcileRequest{SwitchId: "switch-" + strconv.Itoa(from/perReconcile)}
		for i := from; i < min(from+perReconcile, n); i++ {
			req.Calls = append(req.Calls, &pb.LiveCall{
				CallId: "call-" + strconv.Itoa(i), Caller: "+86138" + strconv.Itoa(10_000_000+i), Queue: scrapeQueue(i % scrapeQueues),
			})
		}
		if _, err := api.Reconcile(ctx, req); err != nil {
			return err
		}
	}
	return nil
}

// scrape asks as Prometheus does, compression included, and returns how long it
// took and how large the text is.
func scrape(ctx context.Context, url string) (time.Duration, int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, 0, err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	req.Header.Set("Accept-Encoding", "gzip")
	began := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, err
	}
	body, err := io.ReadAll(res.Body)
	took := time.Since(began)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return 0, 0, err
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Encoding") != "gzip" {
		return 0, 0, fmt.Errorf("%s: %s, encoded %q", url, res.Status, res.Header.Get("Content-Encoding"))
	}
	plain, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		return 0, 0, err
	}
	n, err := io.Copy(io.Discard, plain)
	return took, int(n), err
}

// measureCounting measures what counting costs a request: the processor time of
// everything that is counted for an arriving call and its commit, against the
// processor time that the daemon spends on a request, in turns.
func measureCounting(ctx context.Context, b *bench) (figures []Figure, err error) {
	rounds, span := 5, 2*time.Second
	if b.quick {
		rounds, span = 1, time.Second
	}
	d, conn, err := b.start(ctx, bigConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), d.Remove()) }()
	c, err := newCrowd(d.Addr(), clients)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	var requests, counting, share []float64
	for range rounds {
		before, err := processorOf(d.PID())
		if err != nil {
			return nil, err
		}
		began := time.Now()
		rate, err := c.rate(ctx, span)
		if err != nil {
			return nil, err
		}
		took := time.Since(began)
		after, err := processorOf(d.PID())
		if err != nil {
			return nil, err
		}
		whole := float64(after-before) / (rate * took.Seconds())
		own, err := countingCost()
		if err != nil {
			return nil, err
		}
		requests, counting, share = append(requests, whole), append(counting, own), append(share, 100*own/whole)
	}
	return []Figure{{
		What: "counting an arrival, of a request's processor time",
		Measured: fmt.Sprintf("%.2f %% (%s of %s)", median(share),
			time.Duration(median(counting)).String(), time.Duration(median(requests)).Round(100*time.Nanosecond).String()),
		Needed: "< 2 %", OK: reached(median(share) < 2),
	}}, nil
}

// countingCost returns the nanoseconds of processor time in which the daemon
// counts one arrival: the request, the lookup of its tier, and a commit of its
// own, as if no two shared one; the clock is read as often as there.
func countingCost() (float64, error) {
	d, err := prom.NewDaemon(prometheus.NewRegistry(), "bench")
	if err != nil {
		return 0, err
	}
	commits := d.Commits("main")
	const n = 300_000
	began := processorTime()
	for range n {
		start := time.Now()
		d.Lookup("known", time.Since(start))
		commits(1, time.Since(start), time.Since(start))
		d.Request("/greenlane.v1.SwitchService/CallArrived", "OK", time.Since(start))
	}
	return float64(processorTime()-began) / n, nil
}

// processorOf returns what another process has used of its cores.
func processorOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name of the process, in brackets, may hold anything.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("the system does not tell the processor time")
	}
	var ticks int64
	for _, f := range fields[11:13] { // of the user, of the system
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * (time.Second / 100), nil // USER_HZ is 100 on every Linux that Go knows
}
