package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/config"
	"greenlane/internal/load/screen"
	pb "greenlane/proto/greenlane/v1"
)

func TestTheDaemonTakesTheConfiguration(t *testing.T) {
	for _, speed := range []float64{1, 60, 423.5, 3600, 100_000} {
		file := filepath.Join(t.TempDir(), "demo.yaml")
		if err := os.WriteFile(file, []byte(configText(speed)), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(file, config.Flags{})
		if err != nil {
			t.Errorf("at %v times: %v\n%s", speed, err, configText(speed))
			continue
		}
		q := cfg.Sites[0].Queues
		if len(q) != 4 || speed == 1 && q[0].Threshold.D() != 20*time.Second || speed == 60 && q[0].Threshold.D() != 333*time.Millisecond {
			t.Errorf("at %v times: %d queues, threshold %v", speed, len(q), q[0].Threshold.D())
		}
		if got := cfg.Sites[0].ShortAbandon.D(); got != shortAbandon(speed) {
			t.Errorf("at %v times: short abandon %v, the check uses %v", speed, got, shortAbandon(speed))
		}
	}
}

func TestNews(t *testing.T) {
	r := newReporter()
	r.now = func() time.Duration { return 9 * time.Hour }
	r.caller = func(id string) string { return map[string]string{"1": "+8613800000012", "2": "+8613800000407"}[id] }
	for _, e := range []*pb.Event{
		{Type: pb.EventType_EVENT_TYPE_CALL_JOINED, CallId: "1"},
		{Type: pb.EventType_EVENT_TYPE_OFFER_RETURNED, CallId: "2", AgentId: "x-agent-007", Tier: pb.Tier_TIER_ORDINARY, Reason: "preempted"},
		{Type: pb.EventType_EVENT_TYPE_CALL_OFFERED, CallId: "1", AgentId: "x-agent-007", Why: "preemption"},
		{Type: pb.EventType_EVENT_TYPE_CALLBACK_CREATED, CallId: "2", CallbackId: "cb-1", Tier: pb.Tier_TIER_MID},
		{Type: pb.EventType_EVENT_TYPE_OFFER_RETURNED, CallId: "2", AgentId: "x-agent-010", Reason: "expired"},
		// Too soon after the last one of its kind to be read.
		{Type: pb.EventType_EVENT_TYPE_CALLBACK_REPORTED, CallbackId: "cb-1", AgentId: "x-agent-007", Reason: "no_answer"},
	} {
		r.Observe(e)
	}
	var m screen.Model
	r.fill(&m)
	var got []string
	for _, n := range m.News {
		got = append(got, n.Text)
	}
	want := []string{
		"VIP ...0012 goes first: agent 7's offer (ordinary) is taken back",
		"mid caller ...0407 gave up, and will be called back",
		"agent 10 does not answer: not ready now, and the caller keeps the place",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the news are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if m.Preempted != 1 {
		t.Errorf("%d preemptions", m.Preempted)
	}
	for _, c := range []struct {
		e    *pb.Event
		want string
	}{
		{&pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_REPORTED, CallbackId: "cb-1", AgentId: "x-agent-007", Reason: "no_answer"}, "agent 7 calls ...0407 back: no answer"},
		{&pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED, CallbackId: "cb-1"}, "...0407 rang again and was answered: no callback is needed"},
		{&pb.Event{Type: pb.EventType_EVENT_TYPE_CALLBACK_CREATED, CallId: "9", Tier: pb.Tier_TIER_MID}, "mid caller (no number) gave up, and will be called back"},
		{&pb.Event{Type: pb.EventType_EVENT_TYPE_CALL_LATE}, ""},
	} {
		if _, got := r.tell(c.e); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestTheTailOfTheLogIsKept(t *testing.T) {
	log := new(tail)
	if log.last() != "" {
		t.Errorf("an empty log ends with %q", log.last())
	}
	for range 1000 {
		if n, err := log.Write([]byte(strings.Repeat("x", 99) + "\n")); n != 100 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = log.Write([]byte("the end\n"))
	if got := log.last(); !strings.HasSuffix(got, "the end") || len(got) > 3*keptLog {
		t.Errorf("%d bytes, ending with %q", len(got), got[len(got)-20:])
	}
}
