package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"greenlane/internal/config"
	"greenlane/internal/logtest"
)

func TestTopOnce(t *testing.T) {
	g := serve(t, func(c *config.Config) {
		billing := c.Sites[0].Queues[0]
		billing.Name = "billing"
		c.Sites[0].Queues = append(c.Sites[0].Queues, billing)
	})
	g.must("tiers", "set", "13800138000", "vip")
	g.must("call", "place", "c1", "--from", "13800138000", "--queue", "billing")
	g.must("agent", "sign-in", "7001", "--queue", "billing")
	g.must("agent", "not-ready", "7001", "--reason", "lunch")
	out := g.must("top", "--once", "--sort", "waiting")
	lines := strings.Split(out, "\n")
	if !strings.HasPrefix(lines[0], "QUEUE ") || !strings.HasPrefix(lines[1], "billing") || !strings.Contains(lines[1], "vip") || !strings.Contains(lines[1], "90 %") {
		t.Errorf("top says:\n%s", out)
	}
	if !strings.Contains(out, "1 not ready") || !strings.Contains(out, "answered in time / (answered + abandoned)") || strings.Contains(out, "\x1b") {
		t.Errorf("top says:\n%s", out)
	}
	got := g.object("top", "--once", "--queue", "default")
	if queues, _ := at(got, "queues").([]any); len(queues) != 1 || at(queues[0], "queue") != "default" {
		t.Errorf("top says %v", got)
	}
	if agents, _ := at(got, "agents").([]any); len(agents) != 0 {
		t.Errorf("agents of another queue: %v", agents)
	}
	g.fails(ExitNotFound, `queue "nope" is unknown; there are: billing, default`, "top", "--once", "--queue", "nope")
	g.fails(ExitUsage, "--sort:", "top", "--sort", "size")
	g.fails(ExitUsage, "--interval:", "top", "--interval", "1ms")
	g.fails(ExitUsage, "for --once", "top", "--output", "json")
	g.fails(ExitUsage, "there is no terminal", "top")
}

// TestSoftphoneAnswersByItself: without a terminal a softphone prints what happens.
func TestSoftphoneAnswersByItself(t *testing.T) {
	g := serve(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var o, e logtest.Buffer
	code := make(chan int, 1)
	go func() {
		code <- g.into(ctx, &o, &e, "softphone", "--agent", "robot", "--queues", "default", "--auto", "--handle", "1ms")
	}()
	happens := func(event string) {
		t.Helper()
		select {
		case <-o.Await(func(s string) bool { return strings.Contains(s, `"event":"`+event+`"`) }):
		case c := <-code:
			t.Fatalf("it ended with %d before %q: %s%s", c, event, o.String(), e.String())
		}
	}
	happens("connected")
	g.must("call", "place", "c1", "--from", "13800138000")
	happens("offer")
	happens("accepted")
	happens("completed")
	happens("call_ended")
	stop()
	if c := <-code; c != 0 {
		t.Errorf("exit code %d: %s", c, e.String())
	}
	if !strings.Contains(o.String(), `"event":"signed_out"`) {
		t.Errorf("it is not signed out: %s", o.String())
	}
	for _, line := range strings.Split(strings.TrimSpace(o.String()), "\n") {
		var r struct {
			At, Event string
			Offer     struct {
				Call struct{ Caller string }
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.At == "" || r.Event == "" {
			t.Errorf("%s: %v", line, err)
		}
		if r.Event == "offer" && r.Offer.Call.Caller != "+8613800138000" {
			t.Errorf("the offer says %s", line)
		}
	}
	if out := g.must("call", "list", "--all"); !strings.Contains(out, "completed") {
		t.Errorf("the call is not completed: %s", out)
	}
}

func TestSoftphoneUsage(t *testing.T) {
	g := serve(t)
	g.fails(ExitUsage, "--agent:", "softphone", "--queues", "default")
	g.fails(ExitUsage, "--queues:", "softphone", "--agent", "a")
	g.fails(ExitUsage, "--queues:", "softphone", "--agent", "a", "--queues", "default:0")
	g.fails(ExitUsage, "--decline:", "softphone", "--agent", "a", "--queues", "default", "--auto", "--decline", "1.5")
	g.fails(ExitUsage, "--decline:", "softphone", "--agent", "a", "--queues", "default", "--auto", "--decline", "NaN")
	g.fails(ExitUsage, "--handle:", "softphone", "--agent", "a", "--queues", "default", "--auto", "--handle", "-1s")
	g.fails(ExitUsage, "--result:", "softphone", "--agent", "a", "--queues", "default", "--auto", "--result", "maybe")
	g.fails(ExitUsage, "there is no terminal; for scripts there are --auto", "softphone", "--agent", "a", "--queues", "default")
	g.fails(ExitNotFound, "nope", "softphone", "--agent", "a", "--queues", "nope", "--auto")
}
