package abuse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "greenlane/proto/greenlane/v1"
)

// VIP is the number of the one VIP of these daemons.
const VIP = "+8613800138000"

// Config is how a daemon that is attacked is set up: it trusts the switch "trunk",
// and no other.
const Config = `vip_requires_attestation: true
switches:
  - {id: trunk, trust: full}
  - {id: "*", trust: none, arrivals: 6000}
limits:
  arrivals: {per_number: 100000}
`

// Env is what such a daemon has in its environment: it collects garbage as the Go
// runtime does by itself, so that memory shows what an attack holds.
func Env() []string { return []string{"GOGC=50"} }

// Report is what an attack did.
type Report struct {
	Attack         string
	Before, During time.Duration // the 99th percentile of what a legitimate caller waits
	Calls          int           // of the legitimate switch, during the attack
	Grown          int64         // bytes of resident memory, at their highest, over those before
}

// Ratio is by how much the legitimate caller waited longer.
func (r Report) Ratio() float64 { return float64(r.During) / float64(max(1, r.Before)) }

// Run attacks a daemon for a span and reports what a legitimate switch noticed. An
// error is a promise that the daemon broke.
func Run(ctx context.Context, a Attack, t Target, span time.Duration) (Report, error) {
	out := Report{Attack: a.Name}
	// An address of its own, that no earlier attack has had turned away.
	t.from = byte(1 + slices.IndexFunc(Attacks, func(other Attack) bool { return other.Name == a.Name }))
	l, err := newLegitimate(ctx, t)
	if err != nil {
		return out, err
	}
	defer l.close()
	before, err := l.work(ctx, span)
	if err != nil {
		return out, fmt.Errorf("before the attack: %w", err)
	}
	start, err := resident(ctx, t.HTTP)
	if err != nil {
		return out, err
	}
	attack, cancel := context.WithCancel(ctx)
	defer cancel()
	attacked := make(chan error, 1)
	go func() { attacked <- a.Run(attack, t) }()
	watched := make(chan int64, 1)
	go func() { watched <- highest(attack, t.HTTP) }()
	during, err := l.work(ctx, span)
	cancel()
	err = errors.Join(err, <-attacked)
	out.Grown = <-watched - start
	out.Before, out.During, out.Calls = p99(before), p99(during), len(during)
	if err != nil {
		return out, err
	}
	return out, l.check(ctx)
}

// legitimate is the switch that is trusted: every call of its is the VIP's.
type legitimate struct {
	conns []*grpc.ClientConn
	mu    sync.Mutex
	known map[string]bool
	n     int
}

// workers is how many requests a legitimate switch makes at a time.
const workers = 4

func clientConn(addr string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

func newLegitimate(ctx context.Context, t Target) (*legitimate, error) {
	l := &legitimate{known: map[string]bool{}}
	for range workers {
		conn, err := clientConn(t.Addr)
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	_, err := pb.NewTierServiceClient(l.conns[0]).Set(ctx, &pb.TierServiceSetRequest{Caller: VIP, Tier: pb.Tier_TIER_VIP})
	return l, err
}

func (l *legitimate) close() {
	for _, c := range l.conns {
		_ = c.Close() // nothing is written to it any more
	}
}

// work has calls arrive and hang up for a span, and returns how long each arrival
// took.
func (l *legitimate) work(ctx context.Context, span time.Duration) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, span+30*time.Second)
	defer cancel()
	took := make([][]time.Duration, workers)
	faults := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			api := pb.NewSwitchServiceClient(l.conns[i])
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for began := time.Now(); time.Since(began) < span && faults[i] == nil; <-tick.C {
				var d time.Duration
				d, faults[i] = l.call(ctx, api)
				took[i] = append(took[i], d)
			}
		})
	}
	all.Wait()
	return slices.Concat(took...), errors.Join(faults...)
}

func (l *legitimate) call(ctx context.Context, api pb.SwitchServiceClient) (time.Duration, error) {
	l.mu.Lock()
	l.n++
	id := fmt.Sprintf("trunk-%p-%d", l, l.n)
	l.known[id] = true
	l.mu.Unlock()
	began := time.Now()
	res, err := api.CallArrived(ctx, &pb.CallArrivedRequest{
		SwitchId: "trunk", CallId: id, Caller: VIP, Attestation: pb.Attestation_ATTESTATION_FULL,
	})
	took := time.Since(began)
	if err != nil {
		return took, fmt.Errorf("a legitimate call: %w", err)
	}
	if c := res.GetCall(); c.GetTier() != pb.Tier_TIER_VIP || c.GetState() != pb.CallState_CALL_STATE_WAITING {
		return took, fmt.Errorf("a legitimate call is %v and %v (%s)", c.GetTier(), c.GetState(), c.GetReason())
	}
	_, err = api.CallAbandoned(ctx, &pb.CallAbandonedRequest{SwitchId: "trunk", CallId: id})
	return took, err
}

// check looks for calls that are a VIP's, or the legitimate switch's, and are not
// its own.
func (l *legitimate) check(ctx context.Context) error {
	api := pb.NewSupervisorServiceClient(l.conns[0])
	req := &pb.ListCallsRequest{Tier: pb.Tier_TIER_VIP, PageSize: 1000}
	for {
		res, err := api.ListCalls(ctx, req)
		if err != nil {
			return err
		}
		for _, c := range res.GetCalls() {
			if !l.known[c.GetCallId()] {
				return fmt.Errorf("call %s of switch %s is a VIP's", c.GetCallId(), c.GetSwitchId())
			}
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return nil
		}
	}
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*99/100)]
}

// highest returns the most that the daemon held until ctx ended, and just after.
func highest(ctx context.Context, addr string) (most int64) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for over := false; !over; {
		select {
		case <-look.C:
		case <-ctx.Done():
			over = true
		}
		// One that is too busy to answer is asked again.
		if n, err := resident(context.WithoutCancel(ctx), addr); err == nil {
			most = max(most, n)
		}
	}
	return most
}

// resident asks a daemon for its resident memory.
func resident(ctx context.Context, addr string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "process_resident_memory_bytes "); ok {
			n, err := strconv.ParseFloat(v, 64)
			return int64(n), err
		}
	}
	return 0, errors.Join(errors.New("the daemon does not tell its memory"), lines.Err())
}
