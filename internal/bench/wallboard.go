package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

// What the wallboards are measured on.
const (
	walls      = 200
	wallQueues = 20
	wallRate   = 20 // calls a second that arrive, and wait
)

// measureWallboard opens wallboards, lets calls arrive, and measures the time from
// sending a call until each wallboard has figures that count it; and what the
// wallboards cost the daemon: its processor time with them less that without,
// under the same calls.
func measureWallboard(ctx context.Context, b *bench) (figures []Figure, err error) {
	span := 20 * time.Second
	if b.quick {
		span = 3 * time.Second
	}
	var config strings.Builder
	config.WriteString("sites:\n  - name: main\n    queues:\n")
	for i := range wallQueues {
		fmt.Fprintf(&config, "      - {name: queue-%d}\n", i)
	}
	d, conn, err := b.start(ctx, config.String(), nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), d.Remove()) }()
	w := &wallboards{sent: []time.Time{{}}, took: hdrhistogram.New(1, time.Minute.Microseconds(), 3)}
	alone, err := cpuWhile(d.PID(), func() error { return w.arrive(ctx, conn, span) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var open, all sync.WaitGroup
	for range walls {
		open.Add(1)
		opened := sync.OnceFunc(open.Done)
		all.Go(func() {
			defer opened()
			if err := w.read(ctx, "http://"+d.HTTP()+"/wallboard/stream", opened); ctx.Err() == nil {
				cancel(fmt.Errorf("a wallboard's stream ended: %w", err))
			}
		})
	}
	open.Wait()
	w.reset()
	with, err := cpuWhile(d.PID(), func() error { return w.arrive(ctx, conn, span) })
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	cancel(nil)
	all.Wait()
	share := 100 * (with - alone).Seconds() / span.Seconds()
	p99 := time.Duration(w.took.ValueAtQuantile(99)) * time.Microsecond
	return []Figure{
		{
			What: fmt.Sprintf("change until a wallboard has it, %d open, %d queues, p99", walls, wallQueues), Measured: p99.Round(time.Millisecond).String(),
			Needed: "<= 1s", OK: reached(p99 <= time.Second && w.took.TotalCount() > walls),
		},
		{
			What: fmt.Sprintf("processor time of the daemon for %d wallboards, %d calls/s", walls, wallRate), Measured: fmt.Sprintf("%.1f %% of a core", share),
			Needed: "<= 5 %", OK: reached(share <= 5),
		},
	}, nil
}

// wallboards measures when calls were sent and when wallboards counted them.
type wallboards struct {
	mu    sync.Mutex
	sent  []time.Time // by how many calls wait then; the first is none
	first int         // of sent, that counts
	took  *hdrhistogram.Histogram
}

func (w *wallboards) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = len(w.sent)
	w.took.Reset()
}

// arrive lets calls arrive at a steady rate.
func (w *wallboards) arrive(ctx context.Context, conn *grpc.ClientConn, span time.Duration) error {
	api := pb.NewSwitchServiceClient(conn)
	tick := time.NewTicker(time.Second / wallRate)
	defer tick.Stop()
	for range int(span.Seconds() * wallRate) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		w.mu.Lock()
		n := len(w.sent)
		w.sent = append(w.sent, time.Now())
		w.mu.Unlock()
		_, err := api.CallArrived(ctx, &pb.CallArrivedRequest{
			SwitchId: "switch-1", CallId: "call-" + strconv.Itoa(n), Caller: "+86138" + strconv.Itoa(10_000_000+n),
			Queue: "queue-" + strconv.Itoa(n%wallQueues),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read is one wallboard.
func (w *wallboards) read(ctx context.Context, url string, opened func()) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept-Encoding", "gzip") // set by hand, it is not undone for us
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		return err
	}
	lines := bufio.NewReaderSize(z, 64<<10)
	seen := 0
	for event := ""; ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			event = strings.TrimSpace(name)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || event != "snapshot" {
			continue
		}
		var shot struct{ Tiers []struct{ Waiting int } }
		if err := json.Unmarshal([]byte(data), &shot); err != nil {
			return err
		}
		n := 0
		for _, t := range shot.Tiers {
			n += t.Waiting
		}
		w.counted(seen, n, time.Now())
		seen = n
		opened()
	}
}

// counted records that a wallboard has the calls beyond seen, up to n.
func (w *wallboards) counted(seen, n int, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := max(seen+1, w.first); i <= n && i < len(w.sent); i++ {
		_ = w.took.RecordValue(min(now.Sub(w.sent[i]), time.Minute).Microseconds()) // In range by the line itself.
	}
}

// cpuWhile returns the processor time that a process used while do ran.
func cpuWhile(pid int, do func() error) (time.Duration, error) {
	before, err := cpuOf(pid)
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	after, err := cpuOf(pid)
	return after - before, err
}

// cpuOf reads a process's processor time, of user and system, from /proc.
func cpuOf(pid int) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may contain anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	const user, system, perTick = 11, 12, 10 * time.Millisecond // USER_HZ is 100 on Linux
	if len(fields) <= system {
		return 0, fmt.Errorf("/proc/%d/stat is not as it was", pid)
	}
	var ticks int64
	for _, f := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * perTick, nil
}
