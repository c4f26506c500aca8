package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/load/daemon"
	"greenlane/internal/logtest"
)

// sequences are those of JSON lines.
func sequences(t *testing.T, text string) []uint64 {
	t.Helper()
	var all []uint64
	for line := range strings.Lines(text) {
		var ev struct {
			Sequence string `json:"sequence"`
		}
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		n, err := strconv.ParseUint(ev.Sequence, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// count checks that the sequences are 1 to n, each once and in order.
func count(t *testing.T, all []uint64, n int) {
	t.Helper()
	if len(all) != n {
		t.Errorf("%d events, want %d", len(all), n)
	}
	for i, seq := range all {
		if seq != uint64(i+1) {
			t.Fatalf("event %d stands at place %d", seq, i+1)
		}
	}
}

func TestARangeOfTheLog(t *testing.T) {
	g := serve(t)
	for i := range 6 {
		g.must("call", "place", fmt.Sprint("c", i))
	}
	g.must("call", "abandon", "c3")
	count(t, sequences(t, g.must("events")), 7)
	if got := sequences(t, g.must("events", "--after", "2", "--until", "4")); len(got) != 2 || got[0] != 3 || got[1] != 4 {
		t.Errorf("after 2 until 4 is %v", got)
	}
	if got := sequences(t, g.must("events", "--type", "call-abandoned")); len(got) != 1 || got[0] != 7 {
		t.Errorf("the one that hung up is %v", got)
	}
	g.fails(ExitTrimmed, "--after 0", "events", "--after", "99")
	g.fails(ExitTrimmed, "--after 0", "events", "--after", "99", "--format", "queue_log")
	g.fails(ExitUsage, "json or queue_log", "events", "--format", "xml")
	g.fails(ExitUsage, "--cursor", "events", "--cursor", "/nowhere/at/all")
	g.fails(ExitUsage, "no ordinary file", "callbacks", "export", "--to", t.TempDir())
	g.fails(ExitUsage, "--type", "events", "--format", "queue_log", "--type", "call-joined")
	g.fails(ExitUsage, "is no cursor file", "events", "--cursor", g.file("cursor", "{"))
	if out := g.must("events", "--after", "7", "--until", "3"); out != "" {
		t.Errorf("nothing was asked for, and came: %s", out)
	}
}

func TestACursorGoesOnWhereItWas(t *testing.T) {
	g := serve(t)
	dir := t.TempDir()
	cursorFile, to := filepath.Join(dir, "cursor"), filepath.Join(dir, "log")
	read := func(args ...string) {
		g.must(append([]string{"events", "--cursor", cursorFile, "--to", to}, args...)...)
	}
	read() // an empty log
	for i := range 5 {
		g.must("call", "place", fmt.Sprint("c", i))
	}
	read("--until", "3")
	read()
	read()
	// A run that was killed has written lines, and half of one, that its cursor does
	// not know.
	before, err := os.ReadFile(cursorFile)
	if err != nil {
		t.Fatal(err)
	}
	g.must("call", "place", "c5")
	read()
	if err := os.WriteFile(cursorFile, before, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(to, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"sequence":"7","at":"20`)
	f.Close()
	read()
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	count(t, sequences(t, string(text)), 6)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	g.fails(ExitUsage, "belongs to site", "events", "--cursor", cursorFile, "--format", "queue_log")
	// The file was rotated: what comes is appended to the new one.
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	g.must("call", "place", "c6")
	read()
	if text, err = os.ReadFile(to); err != nil {
		t.Fatal(err)
	}
	if got := sequences(t, string(text)); len(got) != 1 || got[0] != 7 {
		t.Errorf("the new file has %v", got)
	}
}

// TestFollowingOverAKill: a reader that follows misses nothing and doubles nothing
// when the daemon is killed under it, and a second reader goes on after the first.
func TestFollowingOverAKill(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills a daemon")
	}
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.New(daemon.Options{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Remove() })
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	g := &tool{t, d.Addr()}
	cursorFile := filepath.Join(t.TempDir(), "cursor")
	var out logtest.Buffer
	follow := func(ctx context.Context, errs *logtest.Buffer) <-chan int {
		code := make(chan int, 1)
		go func() { code <- g.into(ctx, &out, errs, "events", "--follow", "--cursor", cursorFile) }()
		return code
	}
	lines := func(n int) <-chan struct{} {
		return out.Await(func(s string) bool { return strings.Count(s, "\n") >= n })
	}
	until := func(c <-chan struct{}, what string) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(time.Minute):
			t.Fatalf("%s did not come; so far:\n%s", what, out.String())
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var errs logtest.Buffer
	code := follow(ctx, &errs)
	n := 0
	place := func() {
		n++
		g.must("call", "place", fmt.Sprint("c", n), "--request-id", fmt.Sprint("r", n))
	}
	for kills := 1; kills <= 3; kills++ {
		for range 20 {
			place()
		}
		until(lines(n), "what was placed")
		away := errs.Await(func(s string) bool { return strings.Count(s, "is away; waiting for it") == kills })
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		until(away, "that the daemon is away")
		if _, err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		place()
		until(lines(n), "what was placed after the restart")
		until(errs.Await(func(s string) bool { return strings.Count(s, "is away") == strings.Count(s, "is back") }), "that the daemon is back")
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("broken off, it ends with %d: %s", got, errs.String())
	}
	place()
	ctx, stop = context.WithCancel(t.Context())
	code = follow(ctx, new(logtest.Buffer))
	until(lines(n), "what was placed while nobody read")
	stop()
	<-code
	count(t, sequences(t, out.String()), n)
}

// TestQueueLog is a queue's day in Asterisk's words.
func TestQueueLog(t *testing.T) {
	g := serve(t, func(c *config.Config) {
		usual := c.Sites[0].Queues[0]
		spare, brisk := usual, usual
		spare.Name, brisk.Name, brisk.OfferTimeout = "spare", "brisk", config.Duration(150*time.Millisecond)
		c.Sites[0].Queues = append(c.Sites[0].Queues, spare, brisk)
	})
	offered := func() string {
		t.Helper()
		return at(g.object("agent", "next", "a|1"), "offer", "offer_id").(string)
	}
	g.must("tiers", "set", "13800138009", "vip")
	g.must("agent", "sign-in", "a|1", "--queue", "brisk")
	g.must("call", "place", "c0", "--queue", "brisk", "--from", "13800138000")
	offered() // and nobody answers
	var out logtest.Buffer
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- g.into(ctx, &out, new(logtest.Buffer), "events", "--follow", "--format", "queue_log", "--callers")
	}()
	select {
	case <-out.Await(func(s string) bool { return strings.Contains(s, "|brisk|a_1|PAUSE|no_answer\n") }):
	case <-time.After(time.Minute):
		t.Fatalf("no pause came:\n%s", out.String())
	}
	stop()
	<-done
	g.must("call", "abandon", "c0")
	g.must("agent", "ready", "a|1")
	g.must("agent", "sign-in", "a|1", "--queue", "spare", "--queue", "default")
	g.must("call", "place", "c1", "--from", "13800138001")
	g.must("call", "place", "c2", "--from", "13800138002")
	g.must("call", "place", "c3", "--from", "13800138009") // a VIP: before the others
	g.must("call", "abandon", "c2")
	g.must("agent", "accept", "a|1", offered())
	g.must("agent", "not-ready", "a|1", "--reason", "tea")
	g.must("agent", "complete", "a|1")
	g.must("agent", "ready", "a|1")
	g.must("agent", "accept", "a|1", offered())
	g.must("call", "end", "c1")
	g.must("agent", "sign-out", "a|1")

	// How long things took depends on the machine; TestQueueLogOfRareEvents has that.
	got := g.must("events", "--format", "queue_log", "--callers")
	for pattern, with := range map[string]string{
		`(?m)^\d{10}\|`: "T|", `RINGNOANSWER\|[1-9]\d{2,4}\n`: "RINGNOANSWER|MS\n", `(ABANDON\|\d+\|\d+)\|\d+\n`: "$1|S\n",
		`CONNECT\|\d+\|(o-\d+)\|\d+\n`: "CONNECT|S|$1|S\n", `(COMPLETE[A-Z]+)\|\d+\|\d+\|`: "$1|S|S|",
	} {
		got = regexp.MustCompile(pattern).ReplaceAllString(got, with)
	}
	want := `T|NONE|default|a_1|ADDMEMBER|
T|NONE|spare|a_1|ADDMEMBER|
T|c0|brisk|NONE|ENTERQUEUE||+8613800138000|1
T|c0|brisk|a_1|RINGNOANSWER|MS
T|NONE|default|a_1|PAUSE|no_answer
T|NONE|spare|a_1|PAUSE|no_answer
T|c0|brisk|NONE|ABANDON|1|1|S
T|NONE|default|a_1|UNPAUSE|
T|NONE|spare|a_1|UNPAUSE|
T|c1|default|NONE|ENTERQUEUE||+8613800138001|1
T|c2|default|NONE|ENTERQUEUE||+8613800138002|2
T|c3|default|NONE|ENTERQUEUE||+8613800138009|1
T|c2|default|NONE|ABANDON|3|2|S
T|c3|default|a_1|CONNECT|S|o-2|S
T|NONE|default|a_1|PAUSE|tea
T|NONE|spare|a_1|PAUSE|tea
T|c3|default|a_1|COMPLETEAGENT|S|S|1
T|NONE|default|a_1|UNPAUSE|
T|NONE|spare|a_1|UNPAUSE|
T|c1|default|a_1|CONNECT|S|o-3|S
T|c1|default|a_1|COMPLETECALLER|S|S|1
T|NONE|default|a_1|REMOVEMEMBER|
T|NONE|spare|a_1|REMOVEMEMBER|
`
	if got != want {
		t.Errorf("the log is\n%s\nwant\n%s", got, want)
	}

	// Read in two parts over a cursor it is the same, and so it is from the middle:
	// what came before is learnt from without being written.
	cursorFile := filepath.Join(t.TempDir(), "cursor")
	whole := g.must("events", "--format", "queue_log")
	for until := 1; until < 20; until += 3 {
		part := g.must("events", "--format", "queue_log", "--cursor", cursorFile, "--until", fmt.Sprint(until))
		part += g.must("events", "--format", "queue_log", "--cursor", cursorFile)
		if part != whole {
			t.Errorf("in two parts at %d it is\n%s", until, part)
		}
		if err := os.Remove(cursorFile); err != nil {
			t.Fatal(err)
		}
		if rest := g.must("events", "--format", "queue_log", "--after", fmt.Sprint(until)); !strings.HasSuffix(whole, rest) {
			t.Errorf("after %d it is\n%s", until, rest)
		}
	}
}
