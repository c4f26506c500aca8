package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/load"
	"greenlane/internal/report"
	pb "greenlane/proto/greenlane/v1"
)

func TestTimesOfAReport(t *testing.T) {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	// In Shanghai it is already the third of March.
	site := &report.Site{Zone: zone, Now: time.Date(2026, 3, 2, 16, 30, 0, 0, time.UTC)}
	for s, want := range map[string]string{
		"now": "2026-03-03T00:30:00+08:00", "today": "2026-03-03T00:00:00+08:00", "yesterday": "2026-03-02T00:00:00+08:00",
		"09:15": "2026-03-03T09:15:00+08:00", "2026-03-01": "2026-03-01T00:00:00+08:00", "2026-03-01 08:00": "2026-03-01T08:00:00+08:00",
		"2026-03-01T08:00:30": "2026-03-01T08:00:30+08:00", "2026-03-01T08:00:00Z": "2026-03-01T08:00:00Z",
	} {
		got, err := parseTime("--from", s, site)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %s, %v; want %s", s, got.Format(time.RFC3339), err, want)
		}
	}
	if _, err := parseTime("--to", "tomorrowish", site); err == nil || !strings.Contains(err.Error(), "--to") {
		t.Errorf("%v", err)
	}
}

// TestReport of a daemon at work, as an operator asks for it.
func TestReport(t *testing.T) {
	addr := serve(t)
	conn, err := load.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := pb.NewSwitchServiceClient(conn).CallArrived(t.Context(), &pb.CallArrivedRequest{SwitchId: "s", CallId: "c", Caller: "13800138000"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.json")
	if _, err := execute("report", "--addr", addr, "--format", "json", "--output", file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Totals []struct {
			Queue, Tier string
			Counts      map[string]int
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Totals) != 1 || got.Totals[0].Queue != "default" || got.Totals[0].Tier != "ordinary" || got.Totals[0].Counts["waiting"] != 1 {
		t.Errorf("%+v", got)
	}
	if out, err := execute("report", "--addr", addr); err != nil || !strings.Contains(out, "ordinary") || strings.Contains(out, "13800138000") {
		t.Errorf("%v: %s", err, out)
	}
	for _, bad := range [][]string{
		{"--format", "pdf"}, {"--from", "soon"}, {"--from", "now", "--to", "today"}, {"--interval", "1ms"}, {"--zone", "Mars"}, {"--queue", "nosuch"},
		{"--site", "nosuch"}, {"--output", filepath.Join(file, "x")},
	} {
		if out, err := execute(append([]string{"report", "--addr", addr}, bad...)...); err == nil {
			t.Errorf("%v gave no error but %s", bad, out)
		}
	}
}

// serve runs a daemon inside the test.
func serve(t *testing.T) (addr string) {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.HTTP, cfg.Data = "127.0.0.1:0", "", t.TempDir()
	return apptest.Start(t, cfg, app.Options{}).Addr().String()
}

// TestEnvironmentNamesDaemonAndSite for every command that asks a daemon, where the
// command line does not.
func TestEnvironmentNamesDaemonAndSite(t *testing.T) {
	each(command(), func(cmd *cobra.Command) {
		if addr := cmd.Flags().Lookup("addr"); addr != nil && !strings.Contains(addr.Usage, "GREENLANE_ADDR") {
			t.Errorf("%s does not say that GREENLANE_ADDR stands in for --addr", cmd.CommandPath())
		}
	})
	for _, args := range []string{
		"report", "load --calls 1 --from 9 --to 9.5 --speed 3000 --agents 1 --polling 0 --ringing 0 --orderly", "top --once", "call list",
	} {
		t.Setenv("GREENLANE_ADDR", serve(t))
		t.Setenv("GREENLANE_SITE", "nosuch")
		if out, err := execute(strings.Fields(args)...); err == nil || !strings.Contains(err.Error()+out, "nosuch") {
			t.Errorf("greenlane %s in a site that there is none of: %v: %s", args, err, out)
		}
		if out, err := execute(append(strings.Fields(args), "--site", "main")...); err != nil {
			t.Errorf("greenlane %s --site main: %v: %s", args, err, out)
		}
	}
}
