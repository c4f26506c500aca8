package rpc

import (
	"context"
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"greenlane/callback"
	"greenlane/internal/identity"
	"greenlane/queue"
	"greenlane/tiering"
)

const (
	wholeNumber  = "+8613800138000"
	maskedNumber = "+86*******8000"
)

// TestWhoSeesANumber is the table of who reads a caller's number in full.
func TestWhoSeesANumber(t *testing.T) {
	id := func(name string, roles identity.Role) identity.Identity {
		return identity.Identity{Name: name, Roles: roles, Sites: []string{"main"}, By: identity.ByToken}
	}
	call := func(state queue.CallState) *queue.Call {
		return &queue.Call{
			ID: "c", Switch: "sw", Agent: "a", State: state, Caller: wholeNumber,
			Attributes: []queue.Attribute{{Key: "from", Value: "sip:13800138000@pbx"}},
		}
	}
	back := func(state callback.State) *callback.Callback {
		return &callback.Callback{ID: "cb-1", ClaimedBy: "a", State: state, Caller: wholeNumber, Note: "ring 138 0013 8000"}
	}
	for _, c := range []struct {
		who                               string
		id                                identity.Identity
		offered, answered, completed      bool
		waiting, claimed, pending, ownOne bool // ownOne: an offer to agent a
	}{
		{"the back office", id("b", identity.BackOffice), true, true, true, true, true, true, true},
		{"a supervisor", id("s", identity.Supervisor), false, false, false, false, false, false, false},
		{"a supervisor who claimed it", id("a", identity.Supervisor), false, false, false, false, true, false, false},
		{"the agent who has it", id("a", identity.Agent), true, true, false, false, true, false, true},
		{"another agent", id("b", identity.Agent), false, false, false, false, false, false, false},
		{"the switch that reported it", id("sw", identity.Switch), true, true, true, true, false, false, true},
		{"another switch", id("sx", identity.Switch), false, false, false, false, false, false, false},
		{"metrics", id("m", identity.Metrics), false, false, false, false, false, false, false},
		{"nobody", identity.Identity{}, false, false, false, false, false, false, false},
	} {
		s := &Server{opts: Options{Authenticated: true}}
		v := s.viewer(identity.With(context.Background(), c.id))
		seen := func(what, number string, want bool) {
			t.Helper()
			if wanted := map[bool]string{true: wholeNumber, false: maskedNumber}[want]; number != wanted {
				t.Errorf("%s sees %s as %q, want %q", c.who, what, number, wanted)
			}
		}
		seen("an offered call", v.call("main", call(queue.CallOffered), 1).GetCaller(), c.offered)
		seen("an answered call", v.call("main", call(queue.CallAnswered), 1).GetCaller(), c.answered)
		seen("a completed call", v.call("main", call(queue.CallCompleted), 1).GetCaller(), c.completed)
		if from := v.call("main", call(queue.CallCompleted), 1).GetAttributes()["from"]; strings.Contains(from, "13800138000") != c.completed {
			t.Errorf("%s sees %q of a completed call", c.who, from)
		}
		if note := v.callback("main", back(callback.StatePending)).GetNote(); strings.Contains(note, "0013") != c.pending {
			t.Errorf("%s sees the note %q", c.who, note)
		}
		waiting := call(queue.CallWaiting)
		waiting.Agent = ""
		seen("a waiting call", v.call("main", waiting, 1).GetCaller(), c.waiting)
		seen("a claimed callback", v.callback("main", back(callback.StateClaimed)).GetCaller(), c.claimed)
		seen("a pending callback", v.callback("main", back(callback.StatePending)).GetCaller(), c.pending)
		offer := &queue.Offer{Epoch: 1, Agent: "a", Call: call(queue.CallOffered)}
		seen("an offer of a call", v.offer("main", offer, 1).GetCall().GetCaller(), c.ownOne)
		if v.maskedIf(true).call("main", call(queue.CallAnswered), 1).GetCaller() != maskedNumber {
			t.Errorf("%s sees a number that was to be masked", c.who)
		}
	}
	open := (&Server{}).viewer(context.Background())
	if got := open.call("main", call(queue.CallCompleted), 1).GetCaller(); got != wholeNumber {
		t.Errorf("where nobody is asked, %q", got)
	}
	offered := viewer{agent: "a"}.offer("main", &queue.Offer{Agent: "a", Callback: back(callback.StateOffered)}, 1)
	if offered.GetCallback().GetCaller() != wholeNumber {
		t.Errorf("the agent who is offered a callback sees %q", offered.GetCallback().GetCaller())
	}
	foreign := viewer{agent: "b"}.offer("main", &queue.Offer{Agent: "a", Callback: back(callback.StateOffered)}, 1)
	if foreign.GetCallback().GetCaller() != maskedNumber {
		t.Errorf("another agent sees %q in an offer of a callback", foreign.GetCallback().GetCaller())
	}
}

func TestTheSwitchSeesTheCallbackItsCallEarned(t *testing.T) {
	c := &queue.Call{ID: "c", Switch: "sw", State: queue.CallAbandoned, Caller: wholeNumber}
	cb := &callback.Callback{ID: "cb-1", State: callback.StatePending, Caller: wholeNumber}
	if got := (viewer{trunk: "sw"}).earned("main", cb, c).GetCaller(); got != wholeNumber {
		t.Errorf("%q", got)
	}
	if got := (viewer{trunk: "sx"}).earned("main", cb, c).GetCaller(); got != maskedNumber {
		t.Errorf("another switch: %q", got)
	}
	if (viewer{}).earned("main", nil, c) != nil {
		t.Error("a callback came from nowhere")
	}
}

func TestANumberInTheNameOfAnAttributeIsMasked(t *testing.T) {
	c := &queue.Call{ID: "c", Switch: "sw", State: queue.CallWaiting, Caller: wholeNumber, Attributes: []queue.Attribute{
		{Key: "cb +8613700137002", Value: "x"}, {Key: "cb +8613800137002", Value: "y"}, {Key: "lang", Value: "zh"},
	}}
	got := viewer{}.call("main", c, 1).GetAttributes()
	want := map[string]string{"cb +*********7002": "x", "cb +*********7002*": "y", "lang": "zh"}
	if !maps.Equal(got, want) {
		t.Errorf("a supervisor sees %v, want %v", got, want)
	}
	if _, whole := (viewer{full: true}).call("main", c, 1).GetAttributes()["cb +8613700137002"]; !whole {
		t.Error("the back office does not see the attribute as it is")
	}
}

func TestMaskedNeverShowsAllOfANumber(t *testing.T) {
	for number, want := range map[string]string{
		"": "", "1": "*", "8001": "****", "80011": "*****", "1234567": "***4567", "12345678": "****5678",
		"+8001": "+800*", "+86108001": "+86******", wholeNumber: maskedNumber,
	} {
		if got := masked(number); got != want {
			t.Errorf("masked(%q) = %q, want %q", number, got, want)
		}
	}
	if tiering.Number("").Masked() != "" {
		t.Error("a withheld number is shown")
	}
}

// TestOnlyTheViewerConvertsNumbers keeps a new handler from answering with a call
// whose number nobody masked.
func TestOnlyTheViewerConvertsNumbers(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	raw := regexp.MustCompile(`\b(toCall|toCallback|toOffer)\(`)
	for _, f := range files {
		name := f.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "viewer.go" || name == "to.go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := raw.FindString(string(text)); found != "" {
			t.Errorf("%s calls %s): a viewer must", name, found)
		}
	}
}
