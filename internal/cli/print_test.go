package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
)

func TestTable(t *testing.T) {
	tab := table{head: []string{"A", "LONGER", "C"}}
	tab.add(cell{text: "x"}, cell{text: "\x1b[31mred\nline"}, cell{text: "z", color: red})
	tab.add(cell{text: "12345"}, cell{text: "\u7b49\u5019\u4e2d"}, cell{text: "end"})
	var b bytes.Buffer
	if err := tab.write(&b, style{}); err != nil {
		t.Fatal(err)
	}
	if want := "A      LONGER         C\nx      ?[31mred?line  z\n12345  \u7b49\u5019\u4e2d         end\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	if err := tab.write(&b, style{on: true}); err != nil {
		t.Fatal(err)
	}
	if want := "\x1b[1mA\x1b[0m      \x1b[1mLONGER\x1b[0m         \x1b[1mC\x1b[0m\nx      ?[31mred?line  \x1b[31mz\x1b[0m\n12345  \u7b49\u5019\u4e2d         end\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

// TestColours are for terminals: a file and a pipe have none. (The pseudo terminal
// master of Linux is a terminal for this purpose.)
func TestColours(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if styleFor(file).on || styleFor(&bytes.Buffer{}).on {
		t.Error("what is no terminal is coloured")
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there are no pseudo terminals")
	}
	defer tty.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	if !styleFor(tty).on {
		t.Error("a terminal is not coloured")
	}
	t.Setenv("TERM", "dumb")
	if styleFor(tty).on {
		t.Error("a dumb terminal is coloured")
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	if styleFor(tty).on {
		t.Error("NO_COLOR is not respected")
	}
}

func TestWords(t *testing.T) {
	if got := word(pb.AgentState_AGENT_STATE_NOT_READY); got != "not-ready" {
		t.Error(got)
	}
	if got := word(pb.AgentState(99)); got != "99" {
		t.Error(got)
	}
	for _, s := range []string{"not-ready", "NOT_READY"} {
		if got, err := parseWord[pb.AgentState]("x", s); err != nil || got != pb.AgentState_AGENT_STATE_NOT_READY {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	if _, err := parseWord[pb.Tier]("x", "unspecified"); err == nil {
		t.Error("the value that means nothing is a word")
	}
}

func TestTimesOfTheCommandLine(t *testing.T) {
	now := time.Date(2026, 3, 2, 10, 0, 0, 0, time.FixedZone("CST", 8*3600))
	for text, want := range map[string]string{
		"+90m": "2026-03-02T11:30:00+08:00", "16:30": "2026-03-02T16:30:00+08:00", "2026-03-05": "2026-03-05T00:00:00+08:00",
		"2026-03-05 08:00": "2026-03-05T08:00:00+08:00", "2026-03-05T08:00": "2026-03-05T08:00:00+08:00",
	} {
		if got, err := readTime(text, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	if _, err := readTime("25:00", now); err == nil {
		t.Error("25:00 is a time")
	}
}

func TestExitCodes(t *testing.T) {
	known := map[int]bool{}
	for _, row := range ExitCodes {
		known[row.Code] = true
	}
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		line, code := Explain(status.Error(c, "it said so"))
		if !known[code] || (c == codes.OK) != (code == 0) || c != codes.OK && line == "" {
			t.Errorf("%v: %q and exit code %d", c, line, code)
		}
	}
	wrapped := fmt.Errorf("at line 7: %w", status.Error(codes.NotFound, "no such call"))
	if line, code := Explain(wrapped); line != "at line 7: no such call" || code != ExitNotFound {
		t.Errorf("%q, %d", line, code)
	}
	for err, want := range map[error]int{
		ErrPartly: ExitPartly, errNoOffer: ExitNoOffer, context.Canceled: ExitFailed, errors.New("x"): ExitFailed, usagef("x"): ExitUsage,
	} {
		if _, code := Explain(err); code != want {
			t.Errorf("%v: exit code %d, want %d", err, code, want)
		}
	}
}
