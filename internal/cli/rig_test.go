package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/load"
	"greenlane/internal/logtest"
	pb "greenlane/proto/greenlane/v1"
)

// tool is the commands of this package against one daemon.
type tool struct {
	t    *testing.T
	addr string
}

// serve runs a daemon inside the test.
func serve(t *testing.T, change ...func(*config.Config)) *tool {
	t.Helper()
	t.Setenv("GREENLANE_ADDR", "")
	t.Setenv("GREENLANE_SITE", "")
	cfg := config.Default()
	cfg.Listen, cfg.HTTP, cfg.Data = "127.0.0.1:0", "", t.TempDir()
	for _, f := range change {
		f(cfg)
	}
	return &tool{t, apptest.Start(t, cfg, app.Options{}).Addr().String()}
}

func root() *cobra.Command {
	cmd := &cobra.Command{Use: "greenlane", SilenceUsage: true, SilenceErrors: true}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return UsageError{err} })
	tiers := &cobra.Command{Use: "tiers"}
	tiers.AddCommand(TierVerbs()...)
	cmd.AddCommand(Commands()...)
	cmd.AddCommand(tiers)
	return cmd
}

// run runs one command to its end.
func (g *tool) run(ctx context.Context, args ...string) (out, errs string, code int) {
	var o, e logtest.Buffer
	code = g.into(ctx, &o, &e, args...)
	return o.String(), e.String(), code
}

// into is run with outputs that can be watched. The error's line goes to e.
func (g *tool) into(ctx context.Context, o, e *logtest.Buffer, args ...string) (code int) {
	cmd := root()
	cmd.SetOut(o)
	cmd.SetErr(e)
	cmd.SetArgs(append(args, "--addr", g.addr))
	line, code := Explain(cmd.ExecuteContext(ctx))
	e.Write([]byte(line))
	return code
}

// must runs a command that has to succeed, and returns what it prints.
func (g *tool) must(args ...string) string {
	g.t.Helper()
	out, errs, code := g.run(g.t.Context(), args...)
	if code != 0 {
		g.t.Fatalf("greenlane %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// object is must with JSON, as an object.
func (g *tool) object(args ...string) map[string]any {
	g.t.Helper()
	var v map[string]any
	out := g.must(append(args, "--output", "json")...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		g.t.Fatalf("greenlane %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return v
}

// fails runs a command that has to fail with this code and say something.
func (g *tool) fails(code int, says string, args ...string) {
	g.t.Helper()
	_, errs, got := g.run(g.t.Context(), args...)
	if got != code || !strings.Contains(errs, says) {
		g.t.Errorf("greenlane %s: exit code %d, want %d; says %q, want %q", strings.Join(args, " "), got, code, errs, says)
	}
	if strings.Contains(errs, "\n") && code != ExitPartly {
		g.t.Errorf("greenlane %s: the error is more than a line: %q", strings.Join(args, " "), errs)
	}
}

// at reads a value of an object: at(v, "offer", "call", "call_id").
func at(v any, path ...string) any {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

func (g *tool) file(name, text string) string {
	g.t.Helper()
	path := filepath.Join(g.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return path
}

// log is the whole event log.
func (g *tool) log() []*pb.Event {
	g.t.Helper()
	conn, err := load.Dial(g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	no := false
	stream, err := pb.NewSupervisorServiceClient(conn).StreamEvents(g.t.Context(), &pb.StreamEventsRequest{Follow: &no})
	if err != nil {
		g.t.Fatal(err)
	}
	var all []*pb.Event
	for {
		res, err := stream.Recv()
		if err != nil {
			return all
		}
		all = append(all, res.GetEvent())
	}
}
