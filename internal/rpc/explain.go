package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"greenlane/internal/identity"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// Explain implements the rpc.
func (s *supervisorService) Explain(ctx context.Context, req *pb.ExplainRequest) (*pb.ExplainResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.id("call_id", req.GetCallId())
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, err
	}
	info, err := st.engine.Call(ctx, req.GetCallId())
	if id, bound := s.bound(ctx, identity.Agent); bound && (errors.Is(err, queue.ErrCallNotFound) || err == nil && info.Call.Agent != id.Name) {
		return nil, refuse(codes.PermissionDenied, reasonNotYours, "call_id: no call of yours", nil)
	}
	if err != nil {
		return nil, toError(s.log, err)
	}
	now := st.now()
	out := &pb.ExplainResponse{
		Call: s.viewer(ctx).maskedIf(req.GetMaskCallers()).call(st.name, &info.Call, now), Position: int32(info.Position), EligibleAgents: int32(info.Working),
		IdleAgents: int32(info.Idle), AheadCallbacks: int32(info.AheadCallbacks),
		Reasons: explain(st.config, info, now), Events: make([]*pb.Event, len(info.Events)),
	}
	if _, sw := s.arrivals.configured(info.Call.Switch); info.Call.UnattestedVIP && sw.Trust > tiering.AttestationFull {
		out.Reasons = append(out.Reasons, fmt.Sprintf("What switch %s says of a number counts for no more than %s.", info.Call.Switch, sw.Trust))
	}
	for i := range info.Events {
		out.Events[i] = toEvent(&info.Events[i])
	}
	if info.Position > 0 {
		out.EstimatedWait = toDuration(info.Estimated)
		for _, t := range tiering.Tiers {
			if n, ok := info.AheadByTier[t]; ok {
				out.AheadByTier = append(out.AheadByTier, &pb.TierAhead{Tier: toTier(t), Calls: int32(n)})
			}
		}
	}
	return out, nil
}

// explanation collects sentences about one call.
type explanation struct {
	site  *queue.Site
	queue *queue.Queue
	info  *queue.CallInfo
	call  *queue.Call
	now   instant.Instant
	lines []string
	timed bool // a line tells a time
}

// explain tells where a call stands and how it came there, most telling first.
func explain(site *queue.Site, info *queue.CallInfo, now instant.Instant) []string {
	e := &explanation{site: site, info: info, call: &info.Call, now: now, lines: []string{}}
	for i := range site.Queues {
		if site.Queues[i].Name == info.Call.Queue {
			e.queue = &site.Queues[i]
		}
	}
	e.standing()
	e.tier()
	for i := range info.Events {
		e.event(&info.Events[i])
	}
	if e.timed {
		e.say("Times are those of the site's zone, %s (%s).", site.Zone, now.Time().In(site.Zone).Format("-07:00"))
	}
	return e.lines
}

func (e *explanation) say(format string, args ...any) {
	e.lines = append(e.lines, fmt.Sprintf(format, args...))
}

// clock writes an instant as the site's people read it.
func (e *explanation) clock(i instant.Instant) string {
	e.timed = true
	return i.Time().In(e.site.Zone).Format("15:04:05")
}

func (e *explanation) standing() {
	c := e.call
	switch c.State {
	case queue.CallWaiting:
		e.say("It waits in queue %s as %s since %s, %s so far%s.", c.Queue, c.Tier, e.clock(c.JoinedAt), seconds(c.Wait(e.now)), e.late())
		e.ahead()
		e.agents()
		e.held()
	case queue.CallOffered:
		e.say("It is offered to agent %s since %s (offer %s); the caller has waited %s%s.",
			c.Agent, e.clock(c.OfferedAt), queue.OfferID(c.Offer), seconds(c.Wait(e.now)), e.late())
	case queue.CallAnswered:
		e.say("Agent %s answered it at %s, after %s%s.", c.Agent, e.clock(c.AnsweredAt), seconds(c.Wait(e.now)), e.late())
	case queue.CallCompleted:
		e.say("It is over: agent %s answered it at %s, after %s%s, and it ended at %s (%s).", c.Agent, e.clock(c.AnsweredAt),
			seconds(c.Wait(e.now)), e.late(), e.clock(c.EndedAt), words(c.Reason))
	case queue.CallAbandoned:
		e.abandoned()
	case queue.CallTimedOut:
		e.say("It was released at %s, because it had waited %s, the most that queue %s allows.", e.clock(c.EndedAt), seconds(c.Wait(e.now)), c.Queue)
	case queue.CallOverflowed:
		e.say("It was handed to a destination outside at %s, after %s in line.", e.clock(c.EndedAt), seconds(c.Wait(e.now)))
	case queue.CallRefused:
		e.say("It was not let into queue %s: %s.", c.Queue, refusal(c))
	}
}

func (e *explanation) abandoned() {
	c := e.call
	if c.Tombstone {
		e.say("The caller hung up, and the switch has not told of the call's arrival yet.")
		return
	}
	how := "The caller hung up"
	if c.Reason != queue.ReasonCallerHungUp {
		how = "It ended (" + words(c.Reason) + ")"
	}
	e.say("%s at %s, after waiting %s without an answer.", how, e.clock(c.EndedAt), seconds(c.Wait(e.now)))
	if c.Callback != "" {
		e.say("It earned callback %s.", c.Callback)
	}
}

// late tells how the wait compares with the threshold.
func (e *explanation) late() string {
	if e.queue == nil {
		return ""
	}
	limit := e.queue.Threshold
	switch wait := e.call.Wait(e.now); {
	case wait > limit:
		return fmt.Sprintf(", beyond the %s in which it should be answered", seconds(limit))
	case e.call.State == queue.CallAnswered || e.call.State == queue.CallCompleted:
		return fmt.Sprintf(", within the %s in which it should be", seconds(limit))
	default:
		return fmt.Sprintf(" of the %s in which it should be answered", seconds(limit))
	}
}

func (e *explanation) ahead() {
	if e.info.Position == 0 {
		return
	}
	var parts []string
	for _, t := range tiering.Tiers {
		if n := e.info.AheadByTier[t]; n > 0 {
			parts = append(parts, plural(n, t.String()+" call"))
		}
	}
	if n := e.info.AheadCallbacks; n > 0 {
		parts = append(parts, plural(n, "due callback"))
	}
	before := "nobody is before it"
	if len(parts) > 0 {
		before = strings.Join(parts, " and ") + " of the queue before it"
	}
	e.say("It is number %d of its queue: %s; agents who serve other queues too may have callers of a better tier there.", e.info.Position, before)
}

func (e *explanation) agents() {
	switch {
	case e.info.Working == 0:
		e.say("Nobody can answer it now: no agent who serves queue %s is at work.", e.call.Queue)
	case e.info.Idle == 0:
		e.say("%s at work in queue %s, and none is free and reachable.", are(e.info.Working, "agent"), e.call.Queue)
	default:
		e.say("%s at work in queue %s, %d of them free: they declined it, or it waits for one of them.", are(e.info.Working, "agent"), e.call.Queue, e.info.Idle)
	}
	if d := e.info.Estimated; d >= 0 && e.info.Position > 0 {
		e.say("At the usual pace it would be answered in about %s.", seconds(d.Round(time.Second)))
	}
}

func (e *explanation) held() {
	if c := e.call; !c.HeldUntil.IsZero() {
		e.say("It waits for its preferred agent %s alone until %s.", c.PreferredAgent, e.clock(c.HeldUntil))
	}
	if n := len(e.call.DeclinedBy); n > 0 {
		e.say("%s declined or did not answer it, and gets it again only when nobody else can serve it.", strings.Join(e.call.DeclinedBy, ", "))
	}
}

func (e *explanation) tier() {
	c := e.call
	if c.Provisional {
		e.say("Its tier is a guess: the tier directory has not answered yet.")
	}
	if c.UnattestedVIP {
		e.say("The number is a VIP's, but the switch did not vouch for it, so it is served as %s.", c.Tier)
	}
	if c.OverflowedFrom != "" {
		e.say("It came from queue %s at %s and kept its place by arrival and its clock.", c.OverflowedFrom, e.clock(c.QueuedAt))
	}
}

var because = map[string]string{
	queue.WhyLongestIdle:    "of the free agents of the best level this one was idle longest",
	queue.WhyNextInLine:     "the agent came free, and this was the first in line",
	queue.WhyPreferredAgent: "it asks for this agent",
	queue.WhyPreemption:     "the green channel took the agent's offer of a lower tier back for it",
}

// event tells one step of the call's way.
func (e *explanation) event(ev *queue.Event) {
	at := func() string { return e.clock(ev.At) }
	switch ev.Type {
	case queue.EventCallJoined:
		e.say("%s: it joined queue %s as %s.", at(), ev.Queue, ev.Tier)
	case queue.EventCallOffered:
		e.say("%s: it was offered to agent %s, because %s.", at(), ev.Agent, because[ev.Why])
	case queue.EventOfferReturned:
		e.say("%s: the offer to agent %s ended (%s), and it went back to its old place.", at(), ev.Agent, words(ev.Reason))
	case queue.EventCallMoved:
		e.say("%s: it was moved from queue %s to %s (%s).", at(), ev.FromQueue, ev.Queue, words(ev.Reason))
	case queue.EventCallReranked:
		e.say("%s: its tier changed from %s to %s.", at(), ev.FromTier, ev.Tier)
	case queue.EventCallLate:
		e.say("%s: it passed the time in which it should be answered.", at())
	case queue.EventCallReleasedToAll:
		e.say("%s: it stopped waiting for agent %s alone.", at(), ev.Agent)
	}
}

func refusal(c *queue.Call) string {
	switch c.Reason {
	case queue.ReasonQueueClosed:
		return "the queue was closed"
	case queue.ReasonQueueFull:
		return fmt.Sprintf("the queue had no room left for tier %s", c.Tier)
	case queue.ReasonProcessFull:
		return "the site had no room left for any call"
	case queue.ReasonBlacklisted:
		return "the caller is on the blacklist, and this site rejects those"
	case queue.ReasonNumberFlood:
		return "more calls of its number came within a minute than are let in"
	case queue.ReasonSwitchFlood:
		return "more calls of its switch came within a minute than are let in"
	}
	return words(c.Reason)
}

func words(reason string) string { return strings.ReplaceAll(reason, "_", " ") }

func seconds(d time.Duration) string {
	if d >= 10*time.Second {
		d = d.Truncate(time.Second)
	}
	return d.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}
