package screen

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	pb "greenlane/proto/greenlane/v1"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the recorded screens")

// snapshot is a daemon in the middle of a day that runs 400 times as fast.
func snapshot() *pb.GetSnapshotResponse {
	ms := func(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Millisecond) }
	target := func(v float64) *float64 { return &v }
	return &pb.GetSnapshotResponse{
		Queues: []*pb.QueueSnapshot{
			{Queue: "internet", Threshold: ms(50), Agents: &pb.AgentCounts{Idle: 2}, Tiers: []*pb.TierSnapshot{
				{Tier: pb.Tier_TIER_VIP, Target: target(0.9), Totals: &pb.TierTotals{Answered: 10, AnsweredInTime: 10}},
				{Tier: pb.Tier_TIER_MID, Target: target(0.85)},
				{Tier: pb.Tier_TIER_ORDINARY, Target: target(0.85)},
				{Tier: pb.Tier_TIER_BLACKLIST},
			}},
			{Queue: "service", Threshold: ms(50), OldestWait: ms(612), Agents: &pb.AgentCounts{}, Tiers: []*pb.TierSnapshot{
				{Tier: pb.Tier_TIER_VIP, Waiting: 1, OldestWait: ms(9), Target: target(0.9), Totals: &pb.TierTotals{Answered: 89, AnsweredInTime: 88, Abandoned: 1}},
				{Tier: pb.Tier_TIER_MID, Waiting: 3, OldestWait: ms(101), Target: target(0.85), Totals: &pb.TierTotals{Answered: 400, AnsweredInTime: 335, Abandoned: 11}},
				{Tier: pb.Tier_TIER_ORDINARY, Waiting: 17, OldestWait: ms(325), Target: target(0.85), Totals: &pb.TierTotals{Answered: 1400, AnsweredInTime: 900, Abandoned: 144}},
				{Tier: pb.Tier_TIER_BLACKLIST, Waiting: 4, OldestWait: ms(612), Totals: &pb.TierTotals{Answered: 80, AnsweredInTime: 40, Abandoned: 20}},
			}},
		},
		Agents: []*pb.Agent{
			{State: pb.AgentState_AGENT_STATE_TALKING}, {State: pb.AgentState_AGENT_STATE_TALKING}, {State: pb.AgentState_AGENT_STATE_OFFERED},
			{State: pb.AgentState_AGENT_STATE_READY}, {State: pb.AgentState_AGENT_STATE_NOT_READY}, {State: pb.AgentState_AGENT_STATE_WRAP_UP},
		},
		Callbacks: &pb.CallbackSummary{Pending: 2, Due: 1, Claimed: 1, Totals: &pb.CallbackTotals{Created: 11, Reached: 6, Cancelled: 1}},
	}
}

func model() *Model {
	m := &Model{
		Title: "a synthetic day of a bank's call centre, 400 times as fast",
		Now:   10*time.Hour + 42*time.Minute, From: 8 * time.Hour, To: 18 * time.Hour, Phase: "playing", Calls: 2133, Preempted: 19,
		News: []News{
			{At: 10*time.Hour + 39*time.Minute, Kind: Trouble, Text: "agent 7 does not answer: not ready now, and the caller keeps the place"},
			{At: 10*time.Hour + 41*time.Minute, Kind: Promise, Text: "mid caller ...0407 gave up, and will be called back"},
			{At: 10*time.Hour + 42*time.Minute, Kind: Green, Text: "VIP ...0012 goes first: agent 26's offer (ordinary) is taken back"},
		},
	}
	m.Apply(snapshot(), 400)
	return m
}

func TestScreens(t *testing.T) {
	bad := model()
	bad.Violations, bad.Promises.Missed = 2, 1
	for _, c := range []struct {
		name          string
		m             *Model
		width, height int
		style         Style
	}{
		{"usual", model(), 80, 24, Style{}},
		{"wide", model(), 110, 40, Style{}},
		{"colour", model(), 80, 24, Style{Color: true}},
		{"ascii", model(), 80, 24, Style{ASCII: true}},
		{"trouble", bad, 80, 24, Style{Color: true}},
		{"low", model(), 80, 10, Style{}},
		{"begin", &Model{Title: "a day", From: 8 * time.Hour, To: 18 * time.Hour, Now: 8 * time.Hour, Phase: "connecting"}, 80, 24, Style{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.ReplaceAll(strings.Join(Render(c.m, c.width, c.height, c.style), "\n")+"\n", "\x1b", "^")
			file := filepath.Join("testdata", c.name+".txt")
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the screen is\n%s\nit was (-rewrite records it anew)\n%s", got, want)
			}
		})
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestScreensFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model()
		for i := range m.Tiers {
			m.Tiers[i].Answered = rapid.Int64Range(0, 9_999_999).Draw(t, "answered")
			m.Tiers[i].Waiting = rapid.IntRange(0, 999_999).Draw(t, "waiting")
		}
		m.Calls = rapid.IntRange(0, 9_999_999).Draw(t, "calls")
		m.News = append(m.News, News{Text: rapid.StringN(0, 200, 400).Draw(t, "news")})
		width, height := rapid.IntRange(1, 200).Draw(t, "width"), rapid.IntRange(1, 60).Draw(t, "height")
		lines := Render(m, width, height, Style{Color: true})
		if len(lines) > height {
			t.Fatalf("%d lines for a height of %d", len(lines), height)
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(escapes.ReplaceAllString(l, "")); n > max(width, MinWidth) {
				t.Fatalf("a line of %d columns for a width of %d: %q", n, width, l)
			}
		}
	})
}

func TestLine(t *testing.T) {
	const want = "10:42  2133 calls, 25 waiting, 2 of 6 agents talk, vip 98.0 %, mid 81.5 %, ordinary 58.3 % within 20 s; " +
		"11 callbacks promised; 19 offers taken back for a VIP"
	if got := Line(model()); got != want {
		t.Errorf("the line is\n%s\nwant\n%s", got, want)
	}
}

func TestUTF8Locale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LC_ALL": "C.utf8", "LANG": "C"}, true},
		{map[string]string{"LC_ALL": "C", "LANG": "en_US.UTF-8"}, false},
		{map[string]string{}, false},
	} {
		if got := utf8Locale(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}

func TestDrawIsOneWrite(t *testing.T) {
	w := new(countingWriter)
	term := &Terminal{w: w}
	term.Draw([]string{"a", "b"})
	if w.writes != 1 || w.buf.String() != "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J" {
		t.Errorf("%d writes of %q", w.writes, w.buf.String())
	}
}

type countingWriter struct {
	buf    bytes.Buffer
	writes int
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.writes++
	return w.buf.Write(p)
}
