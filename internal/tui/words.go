package tui

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// Span is a length of time as people in a call centre read it: m:ss, or h:mm:ss.
// Fractions of a second are dropped.
func Span(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// Left is Span of what is left until something: rounded up, so that it is 0:00 only
// when it is over.
func Left(d time.Duration) string {
	return Span((d + time.Second - time.Nanosecond).Truncate(time.Second))
}

// Seconds is a threshold: "20 s", "2.5 s".
func Seconds(d time.Duration) string {
	return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
}

// Percent is a share, 0 to 1, as a percentage. It is rounded down, so that one
// below its target never looks as if it had reached it.
func Percent(share float64) string {
	v := math.Floor(share*1000+1e-6) / 10
	if v >= 100 {
		return "100 %"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " %"
}

// Goal is a target, as it was set.
func Goal(share float64) string {
	return strconv.FormatFloat(math.Round(share*1000)/10, 'f', -1, 64) + " %"
}

// Number is a phone number as people read it, full or masked as the daemon gave
// it.
func Number(number string) string {
	if number == "" {
		return "number withheld"
	}
	if rest, ok := strings.CutPrefix(number, "+86"); ok && len(rest) == 11 && rest[0] == '1' {
		return "+86 " + rest[:3] + " " + rest[3:7] + " " + rest[7:]
	}
	return Clean(number)
}

// TierName is a tier as a heading says it, and TierInk how it looks everywhere.
func TierName(t pb.Tier) string {
	switch t {
	case pb.Tier_TIER_VIP:
		return "VIP"
	case pb.Tier_TIER_MID:
		return "mid"
	case pb.Tier_TIER_ORDINARY:
		return "ordinary"
	case pb.Tier_TIER_BLACKLIST:
		return "blacklist"
	}
	return "tier " + strconv.Itoa(int(t))
}

// TierInk is how a tier looks.
func TierInk(t pb.Tier) Ink {
	switch t {
	case pb.Tier_TIER_VIP:
		return "1;32"
	case pb.Tier_TIER_MID:
		return Calm
	case pb.Tier_TIER_BLACKLIST:
		return Muted
	}
	return Plain
}

// agentWords and callWords are states as people say them.
var (
	agentWords = map[pb.AgentState]string{
		pb.AgentState_AGENT_STATE_READY: "ready", pb.AgentState_AGENT_STATE_NOT_READY: "not ready",
		pb.AgentState_AGENT_STATE_OFFERED: "ringing", pb.AgentState_AGENT_STATE_TALKING: "talking",
		pb.AgentState_AGENT_STATE_WRAP_UP: "wrap-up", pb.AgentState_AGENT_STATE_SIGNED_OUT: "signed out",
	}
	callWords = map[pb.CallState]string{
		pb.CallState_CALL_STATE_WAITING: "waiting", pb.CallState_CALL_STATE_OFFERED: "ringing", pb.CallState_CALL_STATE_ANSWERED: "talking",
		pb.CallState_CALL_STATE_COMPLETED: "completed", pb.CallState_CALL_STATE_ABANDONED: "hung up", pb.CallState_CALL_STATE_TIMED_OUT: "waited too long",
		pb.CallState_CALL_STATE_OVERFLOWED: "handed outside", pb.CallState_CALL_STATE_REFUSED: "not let in",
	}
)

// AgentState is what an agent does, in a word.
func AgentState(s pb.AgentState) string {
	if w, ok := agentWords[s]; ok {
		return w
	}
	return "state " + strconv.Itoa(int(s)) // a daemon that is newer than this tool
}

// CallState is where a call stands, in a word.
func CallState(s pb.CallState) string {
	if w, ok := callWords[s]; ok {
		return w
	}
	return "state " + strconv.Itoa(int(s))
}

// Plainly is a word of the daemon that no text is known for: "new_reason" as "new
// reason".
func Plainly(word string) string { return strings.ReplaceAll(Clean(word), "_", " ") }

// Unwrapped takes gRPC's own words off what a connection failed of.
func Unwrapped(said string) string {
	if rest, ok := strings.CutPrefix(said, `connection error: desc = "`); ok {
		rest = strings.TrimPrefix(rest, "transport: Error while dialing: ")
		return "the daemon was not reached: " + strings.TrimSuffix(rest, `"`)
	}
	return said
}
