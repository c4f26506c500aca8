package redisq

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// Bounds that keep a script short.
const (
	trimStep   = 16 // ended records of a kind that one script forgets
	fireStep   = 16 // timers that one tick fires
	ownerStep  = 16 // agents that one firing takes from a dead daemon
	scanStep   = 32 // entries that are read at once when the first one may not be offered
	offersKept = 1 << 13
	runBudget  = 200 * time.Microsecond // after which a batch decides no further command
	offersTrim = 32                     // how many offers are made between two trimmings
)

// Lines: how many slots there are, and what one line takes of a score.
// 2^41 ms after the beginning of 2020 is in 2089.
const (
	slotVIP = iota
	slotMid
	slotOrdinary
	slotCallback
	slotBlacklist
	slots
)

const (
	lineEpoch = 1577836800000
	lineSpan  = 1 << 41
	// maxQueues is how many numbers there are for queues: a score is exact up to 2^53.
	maxQueues = (1 << 53) / lineSpan / slots
	// deadlines is added to a deadline, to stand beside due times in one set.
	deadlines = 1 << 51
	dayMs     = 24 * 60 * 60 * 1000
)

// kinds are the errors that a script may refuse a command with, by their name
// in the scripts.
var kinds = map[string]error{
	"INVALID": queue.ErrInvalid, "QUEUE_NOT_FOUND": queue.ErrQueueNotFound, "AGENT_NOT_FOUND": queue.ErrAgentNotFound,
	"CALL_NOT_FOUND": queue.ErrCallNotFound, "OFFER_NOT_FOUND": queue.ErrOfferNotFound,
	"CALLBACK_NOT_FOUND": queue.ErrCallbackNotFound, "CALL_EXISTS": queue.ErrCallExists,
	"CALLBACK_EXISTS": queue.ErrCallbackExists, "REQUEST_REUSED": queue.ErrRequestReused, "OFFER_ENDED": queue.ErrOfferEnded,
	"WRONG_STATE": queue.ErrWrongState,
	"STATE":       callback.ErrState, "CLAIMED": callback.ErrClaimed, "NOT_CLAIMANT": callback.ErrNotClaimant,
	"CLAIMANT": callback.ErrClaimant, "RESULT": callback.ErrResult, "DUE": callback.ErrDue, "WINDOW": callback.ErrWindow,
	"DEADLINE": callback.ErrDeadline,
}

// constants are the values that scripts write in capitals.
var constants = luaConstants()

func luaConstants() map[string]string {
	out := map[string]string{
		"TRIM_STEP": strconv.Itoa(trimStep), "FIRE_STEP": strconv.Itoa(fireStep), "OWNER_STEP": strconv.Itoa(ownerStep),
		"SCAN_STEP": strconv.Itoa(scanStep), "OFFERS_KEPT": strconv.Itoa(offersKept), "OFFERS_TRIM": strconv.Itoa(offersTrim),
		"SLOT_VIP": strconv.Itoa(slotVIP), "SLOT_MID": strconv.Itoa(slotMid), "SLOT_ORDINARY": strconv.Itoa(slotOrdinary),
		"SLOT_CALLBACK": strconv.Itoa(slotCallback), "SLOT_BLACKLIST": strconv.Itoa(slotBlacklist), "SLOTS": strconv.Itoa(slots),
		"LINE_EPOCH": strconv.FormatInt(lineEpoch, 10), "LINE_SPAN": strconv.FormatInt(lineSpan, 10),
		"DEADLINES": strconv.FormatInt(deadlines, 10), "DAY": strconv.Itoa(dayMs), "HOUR": "3600000",
		"COHORT_INTERVAL": strconv.FormatInt(queue.CohortInterval.Milliseconds(), 10),
		"RUN_BUDGET":      strconv.FormatInt(runBudget.Microseconds(), 10),
		"LAST_CALL":       "300000", "MAX_DELAY": strconv.FormatInt(180*dayMs, 10), // as in package callback
		"ATTESTATION_FULL": num(tiering.AttestationFull),
		"PRESENT_POLL":     num(queue.PresentPoll), "PRESENT_STREAM": num(queue.PresentStream), "PRESENT_RING": num(queue.PresentRing),
	}
	for name := range kinds {
		out["ERR_"+name] = strconv.Quote(name)
	}
	for i := queue.CallWaiting; i <= queue.CallRefused; i++ {
		out["CALL_"+strings.ToUpper(i.String())] = num(i)
	}
	for i := queue.AgentReady; i <= queue.AgentSignedOut; i++ {
		out["AGENT_"+strings.ToUpper(i.String())] = num(i)
	}
	for _, s := range callback.States {
		out["CALLBACK_"+strings.ToUpper(s.String())] = num(s)
	}
	for _, r := range callback.Results {
		out["RESULT_"+strings.ToUpper(r.String())] = num(r)
	}
	for _, t := range tiering.Tiers {
		out["TIER_"+strings.ToUpper(t.String())] = num(t)
	}
	for i := queue.EventCallJoined; i <= queue.EventSwitchDisconnected; i++ {
		out["EVENT_"+strings.ToUpper(i.String())] = num(i)
	}
	for prefix, words := range map[string][]string{
		"REASON_": {
			queue.ReasonNoAnswer, queue.ReasonLost, queue.ReasonNotAcknowledged, queue.ReasonBusy, queue.ReasonUnreachable,
			queue.ReasonAgentCompleted, queue.ReasonReconciled, queue.ReasonMaxWait, queue.ReasonMaxTalk, queue.ReasonOverflow,
			queue.ReasonMoved, queue.ReasonQueueClosed, queue.ReasonQueueFull, queue.ReasonProcessFull, queue.ReasonManual,
			queue.ReasonWindowClosed, queue.ReasonClaimLapsed, queue.ReasonAnswered, callback.ReasonAbandoned,
			queue.ReasonBlacklisted, queue.ReasonErased,
		},
		"END_": {callback.EndReached, callback.EndRefused, callback.EndAttempts, callback.EndDeadline},
		"WHY_": {queue.WhyLongestIdle, queue.WhyNextInLine, queue.WhyPreferredAgent, queue.WhyPreemption},
	} {
		for _, w := range words {
			out[prefix+strings.ToUpper(w)] = strconv.Quote(w)
		}
	}
	for name, word := range map[string]string{
		"DECLINED": queue.EndedDeclined, "EXPIRED": queue.EndedExpired, "PREEMPTED": queue.EndedPreempted,
		"CALLER_HUNG_UP": queue.EndedCallerHungUp, "AGENT_LOST": queue.EndedAgentLost, "NOT_ACKNOWLEDGED": queue.EndedNotAcknowledged,
		"NOT_READY": queue.EndedNotReady, "SIGNED_OUT": queue.EndedSignedOut, "MOVED": queue.EndedMoved,
		"MAX_WAIT": queue.EndedMaxWait, "CANCELLED": queue.EndedCancelled, "UNDELIVERED": queue.EndedUndelivered,
		"ACCEPTED": queue.EndedAccepted,
	} {
		out["ENDED_"+name] = strconv.Quote(word)
	}
	bounds := make([]string, 0, len(queue.WaitBounds))
	for _, b := range queue.WaitBounds {
		bounds = append(bounds, strconv.FormatInt(b, 10))
	}
	out["SITE_NAMES"], out["SITE_TABLE"] = luaSite()
	out["WAIT_BOUNDS"] = "{" + strings.Join(bounds, ",") + "}"
	out["CALL_STATES"] = namesOf(queue.CallUnset, queue.CallRefused)
	out["AGENT_STATES"] = namesOf(queue.AgentUnset, queue.AgentSignedOut)
	out["CALLBACK_STATES"] = namesOf(callback.StateUnset, callback.StateCancelled)
	out["RESULTS"] = namesOf(callback.ResultUnset, callback.ResultRefused)
	return out
}

// namesOf is a list of Lua with the names of values from first to last.
func namesOf[T interface {
	~uint8
	fmt.Stringer
}](first, last T) string {
	var names []string
	for v := first; v <= last; v++ {
		names = append(names, strconv.Quote(v.String()))
	}
	return "({" + strings.Join(names, ",") + "})"
}

func num[T ~uint8](v T) string { return strconv.Itoa(int(v)) }

// fieldNames maps the names of fields in the scripts to those in Redis.
var fieldNames = func() map[string]string {
	names, err := luaFields(callRecord{}, agentRecord{}, offerRecord{}, callbackRecord{}, eventRecord{}, answerRecord{})
	if err != nil {
		panic(err) // a mistake in the tags, which every test finds
	}
	return names
}()

func luaFields(records ...any) (map[string]string, error) {
	byLua, byRedis := map[string]string{}, map[string]string{}
	var faults []error
	for _, r := range records {
		t := reflect.TypeOf(r)
		for i := range t.NumField() {
			lua := t.Field(i).Tag.Get("lua")
			short, _, _ := strings.Cut(t.Field(i).Tag.Get("msgpack"), ",")
			if was, ok := byLua[lua]; ok && was != short {
				faults = append(faults, fmt.Errorf("%s: %s is %q and %q", t, lua, was, short))
			}
			if was, ok := byRedis[short]; ok && was != lua {
				faults = append(faults, fmt.Errorf("%s: %q is %s and %s", t, short, was, lua))
			}
			byLua[lua], byRedis[short] = short, lua
		}
	}
	return byLua, errors.Join(faults...)
}
