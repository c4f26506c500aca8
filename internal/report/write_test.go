package report_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"greenlane/internal/report"
	pb "greenlane/proto/greenlane/v1"
)

var update = flag.Bool("update", false, "rewrite testdata")

// busyMorning has a missing half hour, agents, a callback and a caller who waits.
func busyMorning() *site {
	s := morning()
	s.write("10:02:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_AGENT_SIGNED_IN, AgentId: "anna", AgentState: pb.AgentState_AGENT_STATE_READY})
	s.write("10:12:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_AGENT_STATE_CHANGED, AgentId: "anna", AgentState: pb.AgentState_AGENT_STATE_TALKING})
	s.write("10:15:00", &pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_CREATED, CallbackId: "cb", Queue: "billing", Tier: mid})
	s.call("10:40:00", "", mid, nothing)
	s.inOrder().now = at("10:50:00")
	s.log = s.log[:len(s.log)-2] // the call at eleven is yet to come
	for i, e := range s.log {
		if e.GetAt().AsTime().Equal(at("09:31:00")) {
			s.trimmed = uint64(i)
		}
	}
	return s
}

// TestFormats: what each format says of one morning, to be read.
func TestFormats(t *testing.T) {
	r := busyMorning().report(t, func(o *report.Options) { o.To = at("10:50:00") })
	for name, write := range report.Formats {
		var out strings.Builder
		if err := write(r, &out); err != nil {
			t.Fatal(err)
		}
		file := "testdata/morning." + name
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s differs from %s:\n%s", name, file, out.String())
		}
	}
}

// TestThePageAsksForNothing outside itself, and has no script.
func TestThePageAsksForNothing(t *testing.T) {
	text, err := os.ReadFile("testdata/morning.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, banned := range []string{"http:", "https:", "src=", "href=", "url(", "<script", "@import", "<link"} {
		if strings.Contains(string(text), banned) {
			t.Errorf("the page has %q", banned)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "Content-Security-Policy", `class="missing"`, "Missing: 2026-03-02 09:00 to 2026-03-02 09:31"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestALongRangeIsDrawnInFewColumns: a month by five minutes.
func TestALongRangeIsDrawnInFewColumns(t *testing.T) {
	s := morning()
	s.now = at("23:00:00")
	r := s.report(t, func(o *report.Options) { o.From, o.Interval = nine.AddDate(0, -1, 0), 5*time.Minute })
	var out strings.Builder
	if err := r.HTML(&out); err != nil {
		t.Fatal(err)
	}
	columns := len(regexp.MustCompile(`class="hit"`).FindAllString(out.String(), -1)) / 4
	if len(r.Intervals) < 8000 || columns < 90 || columns > 200 {
		t.Errorf("%d columns of %d intervals", columns, len(r.Intervals))
	}
	if out.Len() > 1<<20 {
		t.Errorf("the page has %d bytes", out.Len())
	}
}
