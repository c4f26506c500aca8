package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

const memoryWaiting = 1_000_000

// measureMemory lets many calls wait in a daemon and reads the size of its live
// heap off its collector's trace, before and after, and its resident set off the
// system. Both have the daemon's own share taken off. The collector runs often, so
// that it need not be waited for.
func measureMemory(ctx context.Context, b *bench) (figures []Figure, err error) {
	n := memoryWaiting
	if b.quick {
		n /= 20
	}
	trace := new(gcTrace)
	d, conn, err := b.start(ctx, bigConfig, []string{"GODEBUG=gctrace=1", "GOGC=10"}, trace)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), d.Remove()) }()
	heapBefore, err := liveHeap(ctx, conn, trace)
	if err != nil {
		return nil, err
	}
	rssBefore, err := resident(d.PID())
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, conn, n); err != nil {
		return nil, err
	}
	if got, err := waiting(ctx, conn); err != nil || got != n {
		return nil, fmt.Errorf("%d calls wait, %d were sent: %w", got, n, err)
	}
	heap, err := liveHeap(ctx, conn, trace)
	if err != nil {
		return nil, err
	}
	rss, err := resident(d.PID())
	if err != nil {
		return nil, err
	}
	perCall := float64(heap-heapBefore) / float64(n)
	return []Figure{
		{
			What: fmt.Sprintf("memory per waiting call at %d, live heap", n), Measured: fmt.Sprintf("%.0f B", perCall),
			Needed: "<= 700 B", OK: reached(perCall <= 700),
		},
		{What: fmt.Sprintf("memory per waiting call at %d, resident set", n), Measured: fmt.Sprintf("%.0f B", float64(rss-rssBefore)/float64(n))},
	}, nil
}

// gcTrace reads the lines that GODEBUG=gctrace=1 writes.
type gcTrace struct {
	mu     sync.Mutex
	buf    []byte
	cycles int
	live   int64 // bytes, after the latest cycle
}

// The heap when a cycle began, when its marking ended, and what of it is live.
var gcLine = regexp.MustCompile(`(?m)^gc \d+ .* (\d+)->(\d+)->(\d+) MB, .*\n`)

func (g *gcTrace) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.buf = append(g.buf, p...)
	end := bytes.LastIndexByte(g.buf, '\n') + 1
	for _, m := range gcLine.FindAllSubmatch(g.buf[:end], -1) {
		mb, err := strconv.ParseInt(string(m[3]), 10, 64)
		if err == nil {
			g.cycles++
			g.live = mb << 20
		}
	}
	g.buf = append(g.buf[:0], g.buf[end:]...)
	return len(p), nil
}

func (g *gcTrace) now() (cycles int, live int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cycles, g.live
}

// liveHeap makes the daemon work until its collector has run some cycles, and
// returns the smallest heap that one left. The first frees what is garbage of
// the past. What the work allocates while a cycle marks counts as live in that
// cycle: the work is slow, so that this is little.
func liveHeap(ctx context.Context, conn *grpc.ClientConn, g *gcTrace) (int64, error) {
	const cycles = 3
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	api := pb.NewSupervisorServiceClient(conn)
	req := &pb.ListCallsRequest{PageSize: 1000, States: []pb.CallState{pb.CallState_CALL_STATE_WAITING}}
	slowly := time.NewTicker(20 * time.Millisecond)
	defer slowly.Stop()
	began, _ := g.now()
	least := int64(-1)
	for seen := began; seen < began+cycles; {
		page, err := api.ListCalls(ctx, req)
		if err != nil {
			return 0, fmt.Errorf("the collector did not run: %w", err)
		}
		req.PageToken = page.GetNextPageToken()
		<-slowly.C
		now, live := g.now()
		if now > seen && (least < 0 || live < least) {
			least = live
		}
		seen = now
	}
	return least, nil
}

// resident returns the resident set of a process, in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("the system does not tell the resident set")
}
