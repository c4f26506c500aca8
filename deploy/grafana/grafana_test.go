// Package grafana holds the dashboards for Grafana, as the program in
// internal/tools/dashboards writes them. It has no code; this test runs what they
// ask against a real Prometheus that has scraped a daemon at work.
package grafana_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenlane/internal/load"
	"greenlane/internal/load/daemon"
	"greenlane/internal/load/day"
	pb "greenlane/proto/greenlane/v1"
)

// patience is how long a dashboard's figures may take to appear.
const patience = 3 * time.Minute

// noData are expressions that have nothing to show in this test: they only have
// to be understood.
var noData = map[string]string{
	"offset 1d":                              "the daemon did not run yesterday",
	"greenlaned_store_round_trip_duration_s": "the embedded engine has no server",
}

type board struct {
	UID, Title string
	Panels     []struct {
		Type, Title, Description string
		Targets                  []struct {
			Expr, RefID, LegendFormat string
		}
	}
	Templating struct {
		List []struct{ Type, Name, Query string }
	}
}

func boards(t *testing.T) map[string]*board {
	t.Helper()
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	out := map[string]*board{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b := new(board)
		if err := json.Unmarshal(text, b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		out[file] = b
	}
	return out
}

// TestPanels are complete: each has a title, says what it shows, and asks
// something under different names.
func TestPanels(t *testing.T) {
	uids := map[string]bool{}
	for file, b := range boards(t) {
		if b.UID == "" || uids[b.UID] {
			t.Errorf("%s: uid %q", file, b.UID)
		}
		uids[b.UID] = true
		for _, p := range b.Panels {
			if p.Type == "row" {
				continue
			}
			refs := map[string]bool{}
			for _, q := range p.Targets {
				if q.RefID == "" || refs[q.RefID] {
					t.Errorf("%s: %s: ref %q", file, p.Title, q.RefID)
				}
				refs[q.RefID] = true
			}
			if p.Title == "" || len(refs) == 0 {
				t.Errorf("%s: a panel %q asks %d things", file, p.Title, len(refs))
			}
		}
	}
}

// TestEveryExpressionReturnsData of a short synthetic day.
func TestEveryExpressionReturnsData(t *testing.T) {
	if testing.Short() {
		t.Skip("plays a day")
	}
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("prometheus is not here: .ci/need prometheus/prometheus")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d := startDaemon(ctx, t)
	p := startPrometheus(t, d.HTTP())
	p.waitFor(ctx, t, `up{job="greenlane"} == 1`)
	keepAPromise(ctx, t, d.Addr())
	play(ctx, t, d.Addr())

	for file, b := range boards(t) {
		for _, v := range b.Templating.List {
			if v.Type == "query" {
				p.waitForValues(ctx, t, file+" $"+v.Name, v.Query)
			}
		}
		for _, panel := range b.Panels {
			for _, q := range panel.Targets {
				p.check(ctx, t, file+": "+panel.Title, q.Expr, q.LegendFormat)
			}
		}
	}
}

func startDaemon(ctx context.Context, t *testing.T) *daemon.Daemon {
	t.Helper()
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(daemon.Options{Binary: binary, Config: `
sites:
  - name: main
    short_abandon: 20ms
    queues:
      - {name: service, threshold: 100ms, offer_timeout: 400ms, preferred_wait: 40ms}
      - {name: stocks, threshold: 100ms, offer_timeout: 400ms, preferred_wait: 40ms}
    callback: {window_from: "00:00", window_to: "24:00"}
`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Errorf("removing the daemon: %v", err)
		}
	})
	if _, err := d.Start(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

// keepAPromise has a callback made: the day at hand is too short for one that a
// caller earns.
func keepAPromise(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	conn, err := load.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	api := pb.NewCallbackServiceClient(conn)
	made, err := api.Create(ctx, &pb.CallbackServiceCreateRequest{Caller: "+8613800138000", Queue: "service", Tier: pb.Tier_TIER_MID})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetCallback().GetCallbackId()
	if _, err := api.Claim(ctx, &pb.CallbackServiceClaimRequest{CallbackId: id, Claimant: "boss"}); err != nil {
		t.Fatal(err)
	}
	if _, err := api.Report(ctx, &pb.CallbackServiceReportRequest{
		CallbackId: id, Claimant: "boss", Result: pb.CallbackResult_CALLBACK_RESULT_REACHED,
	}); err != nil {
		t.Fatal(err)
	}
}

// play lets calls come and go for as long as the test asks.
func play(ctx context.Context, t *testing.T, addr string) {
	t.Helper()
	made, err := day.Make(day.Bank(), day.Options{
		Seed: 1, Rate: 0.2, Calls: 100_000, Tiers: day.Mix{1: 0.2, 2: 0.3, 3: 0.4, 4: 0.1},
	})
	if err != nil {
		t.Fatal(err)
	}
	run, err := load.New(load.Options{
		Addr: addr, Day: made, Speed: 200, Seed: 1, Switches: 3, Streams: 1, Agents: 12, Polling: 4, Ringing: 2,
		Manners: load.DefaultManners(), ShortAbandon: 20 * time.Millisecond, Closing: time.Minute,
		Queues: map[string]string{"PS": "service", "NW": "service", "NE": "stocks", "IN": "stocks", "TT": "service", "PE": "service"},
	})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		// What the day itself finds wrong is another test's affair, and a day that is
		// broken off in the middle finds something.
		if _, err := run.Play(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the day: %v", err)
		}
	}()
	t.Cleanup(func() { run.Stop(); <-over })
}

// prometheus is a real one, of this test.
type prometheus struct{ addr string }

func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	// The same rules, evaluated every second: the test is not to wait for the hour.
	interval := regexp.MustCompile(`(?m)^ +interval: .*\n`)
	for _, file := range []string{"greenlane.rules.yml", "greenlane.alerts.yml"} {
		text, err := os.ReadFile(filepath.Join("../prometheus", file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), interval.ReplaceAllString(string(text), ""))
	}
	write(t, filepath.Join(dir, "prometheus.yml"), fmt.Sprintf(`
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ["*.rules.yml", "*.alerts.yml"]
scrape_configs:
  - {job_name: greenlane, static_configs: [{targets: [%q]}]}
`, target))
	addr := freeAddr(t)
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr, "--log.level=error")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("prometheus: %v\n%s", err, log.String())
		}
	})
	return &prometheus{addr}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

type answer struct {
	Status, Error string
	Data          json.RawMessage
}

type series struct {
	Metric map[string]string
	Value  [2]any
}

// ask asks once; an error is one of reaching Prometheus.
func (p *prometheus) ask(ctx context.Context, path string, args url.Values) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.addr+path+"?"+args.Encode(), http.NoBody)
	if err != nil {
		return a, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer res.Body.Close()
	return a, json.NewDecoder(res.Body).Decode(&a)
}

// until asks again and again, a few times a second, until there is something.
func (p *prometheus) until(ctx context.Context, t *testing.T, what, path string, args url.Values, found func(answer) bool) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	var a answer
	var err error
	for {
		if a, err = p.ask(ctx, path, args); err == nil {
			if a.Status != "success" {
				t.Errorf("%s: %v: %s", what, args, a.Error)
				return
			}
			if found(a) {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v has no data: %s %v", what, args, a.Data, err)
		}
	}
}

func (p *prometheus) waitFor(ctx context.Context, t *testing.T, expr string) {
	t.Helper()
	p.until(ctx, t, "at the start", "/api/v1/query", url.Values{"query": {expr}}, func(a answer) bool { return len(vector(a)) > 0 })
}

func vector(a answer) []series {
	var v struct{ Result []series }
	if json.Unmarshal(a.Data, &v) != nil {
		return nil
	}
	return v.Result
}

var labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)

func (p *prometheus) waitForValues(ctx context.Context, t *testing.T, what, query string) {
	t.Helper()
	m := labelValues.FindStringSubmatch(query)
	if m == nil {
		t.Errorf("%s: %s is not understood", what, query)
		return
	}
	p.until(ctx, t, what, "/api/v1/label/"+m[2]+"/values", url.Values{"match[]": {fill(m[1])}}, func(a answer) bool {
		var values []string
		return json.Unmarshal(a.Data, &values) == nil && len(values) > 0
	})
}

// fill puts values in the place of a dashboard's variables.
func fill(expr string) string {
	return strings.NewReplacer("$site", ".*", "$queue", ".*", "$instance", ".*", "$__rate_interval", "10s").Replace(expr)
}

var legendLabel = regexp.MustCompile(`{{(\w+)}}`)

// check waits until the expression returns something that is a number, with the
// labels that its legend names.
func (p *prometheus) check(ctx context.Context, t *testing.T, what, expr, legend string) {
	t.Helper()
	for part := range noData {
		if strings.Contains(expr, part) {
			p.until(ctx, t, what, "/api/v1/query", url.Values{"query": {fill(expr)}}, func(answer) bool { return true })
			return
		}
	}
	p.until(ctx, t, what, "/api/v1/query", url.Values{"query": {fill(expr)}}, func(a answer) bool {
		some := false
		for _, s := range vector(a) {
			if v, ok := s.Value[1].(string); !ok || v == "NaN" || strings.HasSuffix(v, "Inf") {
				continue
			}
			some = true
			for _, l := range legendLabel.FindAllStringSubmatch(legend, -1) {
				if s.Metric[l[1]] == "" {
					t.Errorf("%s: the legend names %s, which %s has not", what, l[1], expr)
				}
			}
		}
		return some
	})
}
