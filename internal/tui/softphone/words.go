package softphone

import (
	"time"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// endWords are why an offer ended without an answer, as OfferRescinded.reason has
// it.
var endWords = map[string]string{
	"declined": "you declined it", "expired": "not answered in time", "preempted": "a VIP needs you", "caller_hung_up": "the caller hung up",
	"agent_lost": "the connection was lost", "not_acknowledged": "it did not reach this screen in time", "agent_not_ready": "you are not ready",
	"agent_signed_out": "you do not serve the queue any more", "moved": "the call went to another queue", "max_wait": "the call waited too long",
	"cancelled": "the callback is no longer wanted", "undelivered": "the connection was lost", "over": "it was over already",
}

func reasonWord(reason string) string {
	if w, ok := endWords[reason]; ok {
		return w
	}
	return tui.Plainly(reason)
}

// endWord is why a call is over, as Call.reason has it.
func endWord(reason string) string {
	switch reason {
	case "caller_hung_up":
		return "the caller hung up"
	case "agent_completed":
		return "you ended it"
	case "switch_ended":
		return "the switch ended it"
	case "max_talk":
		return "it lasted for the most that is allowed"
	case "reconciled":
		return "the switch no longer has it"
	}
	return tui.Plainly(reason)
}

// whyWord is why the agent got an offer, as Offer.why has it.
func whyWord(why string) string {
	switch why {
	case "longest_idle":
		return "you have been free longest"
	case "preferred_agent":
		return "the caller's own agent"
	case "next_in_line":
		return "next in line"
	case "preemption":
		return "VIP: took the place of your earlier offer"
	}
	return tui.Plainly(why)
}

// pauseWord is why an agent is not ready, as Agent.reason has it.
func pauseWord(reason string) string {
	switch reason {
	case "", "not_ready":
		return ""
	case "no_answer":
		return "you did not answer an offer"
	case "not_acknowledged":
		return "an offer did not reach this screen"
	case "lost":
		return "the connection was lost"
	case "busy":
		return "your phone was busy"
	case "unreachable":
		return "your phone could not be reached"
	}
	return tui.Plainly(reason)
}

// The usual reasons: of not being ready, and of declining. They are kept as they
// stand here, for reports.
var (
	pauseReasons   = []string{"break", "lunch", "meeting", "training", "paperwork"}
	declineReasons = []string{"busy", "wrong skill", "wrong language", "known caller"}
)

// results are what may come of a callback, in the order of their keys.
var results = []pb.CallbackResult{
	pb.CallbackResult_CALLBACK_RESULT_REACHED, pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER,
	pb.CallbackResult_CALLBACK_RESULT_BUSY, pb.CallbackResult_CALLBACK_RESULT_REFUSED,
}

var resultWords = map[pb.CallbackResult]string{
	pb.CallbackResult_CALLBACK_RESULT_REACHED: "reached", pb.CallbackResult_CALLBACK_RESULT_NO_ANSWER: "no answer",
	pb.CallbackResult_CALLBACK_RESULT_BUSY: "busy", pb.CallbackResult_CALLBACK_RESULT_REFUSED: "wants no call",
}

// clockTime is an instant in the zone of whoever looks: the time alone on the same
// day.
func clockTime(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format("15:04")
	}
	return at.Format("01-02 15:04")
}
