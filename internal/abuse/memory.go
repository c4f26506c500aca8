package abuse

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// highest returns the most that the daemon held until ctx ended, and just after.
func (t Target) highest(ctx context.Context) (most int64) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for over := false; !over; {
		select {
		case <-look.C:
		case <-ctx.Done():
			over = true
		}
		// One that is too busy to answer is asked again.
		if n, err := t.resident(context.WithoutCancel(ctx)); err == nil {
			most = max(most, n)
		}
	}
	return most
}

// resident returns how much memory the daemon holds. Where the system tells it, the
// daemon is not asked: a scrape is work, too.
func (t Target) resident(ctx context.Context) (int64, error) {
	if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", t.PID)); err == nil {
		var all, pages int64
		if _, err := fmt.Sscan(string(text), &all, &pages); err == nil {
			return pages * int64(os.Getpagesize()), nil
		}
	}
	n, err := t.metric(ctx, "process_resident_memory_bytes")
	return int64(n), err
}

// metric asks a daemon for the sum of a metric's values; labels may follow the name,
// as they are written: name{port="grpc".
func (t Target) metric(ctx context.Context, name string) (sum float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.scheme()+"://"+t.HTTP+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: t.tls(), DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the metrics: %s", res.Status)
	}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), name) {
			continue
		}
		n, err := strconv.ParseFloat(lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, lines.Err()
}
