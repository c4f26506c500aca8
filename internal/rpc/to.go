package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/callback"
	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// The enums of the core and of the API have the same numbers; a test walks them
// all. So conversion is a change of type.

func toTier(t tiering.Tier) pb.Tier                          { return pb.Tier(t) }
func toCallState(s queue.CallState) pb.CallState             { return pb.CallState(s) }
func toAgentState(s queue.AgentState) pb.AgentState          { return pb.AgentState(s) }
func toCallbackState(s callback.State) pb.CallbackState      { return pb.CallbackState(s) }
func toCallbackResult(r callback.Result) pb.CallbackResult   { return pb.CallbackResult(r) }
func toAttestation(a tiering.Attestation) pb.Attestation     { return pb.Attestation(a) }
func toEventType(t queue.EventType) pb.EventType             { return pb.EventType(t) }
func fromTier(t pb.Tier) tiering.Tier                        { return tiering.Tier(t) }
func fromCallState(s pb.CallState) queue.CallState           { return queue.CallState(s) }
func fromAgentState(s pb.AgentState) queue.AgentState        { return queue.AgentState(s) }
func fromCallbackState(s pb.CallbackState) callback.State    { return callback.State(s) }
func fromCallbackResult(r pb.CallbackResult) callback.Result { return callback.Result(r) }
func fromAttestation(a pb.Attestation) tiering.Attestation   { return tiering.Attestation(a) }

// stamp fills ts and returns it, or nil for an instant that is not set. The
// space comes from the message it belongs to, so that a call costs one
// allocation and not seven.
func stamp(ts *timestamppb.Timestamp, i instant.Instant) *timestamppb.Timestamp {
	if i.IsZero() {
		return nil
	}
	sec, ms := int64(i)/1000, int64(i)%1000
	if ms < 0 {
		sec, ms = sec-1, ms+1000
	}
	ts.Seconds, ts.Nanos = sec, int32(ms)*1e6
	return ts
}

func toTime(i instant.Instant) *timestamppb.Timestamp { return stamp(&timestamppb.Timestamp{}, i) }

// fill is stamp for a duration; negative ones mean that there is none.
func fill(d *durationpb.Duration, v time.Duration) *durationpb.Duration {
	if v < 0 {
		return nil
	}
	d.Seconds, d.Nanos = int64(v/time.Second), int32(v%time.Second)
	return d
}

func toDuration(v time.Duration) *durationpb.Duration { return fill(&durationpb.Duration{}, v) }

// toCall converts a call; now is what its wait runs to while it waits.
func toCall(site string, c *queue.Call, now instant.Instant) *pb.Call {
	if c == nil {
		return nil
	}
	m := &struct {
		call                                        pb.Call
		arrived, joined, offered, answered, endedAt timestamppb.Timestamp
		wait                                        durationpb.Duration
	}{}
	p := &m.call
	p.CallId, p.Site, p.SwitchId, p.Caller, p.Dialed, p.Queue = c.ID, site, c.Switch, string(c.Caller), c.Dialed, c.Queue
	p.Tier, p.Provisional, p.Attestation, p.UnattestedVip = toTier(c.Tier), c.Provisional, toAttestation(c.Attestation), c.UnattestedVIP
	p.PreferredAgent, p.State, p.Reason = c.PreferredAgent, toCallState(c.State), c.Reason
	if len(c.Attributes) > 0 {
		p.Attributes = make(map[string]string, len(c.Attributes))
		for _, a := range c.Attributes {
			p.Attributes[a.Key] = a.Value
		}
	}
	p.ArrivedAt = stamp(&m.arrived, c.ArrivedAt)
	p.JoinedAt = stamp(&m.joined, c.JoinedAt)
	p.OfferedAt = stamp(&m.offered, c.OfferedAt)
	p.AnsweredAt = stamp(&m.answered, c.AnsweredAt)
	p.EndedAt = stamp(&m.endedAt, c.EndedAt)
	p.AgentId, p.Sequence, p.Offers, p.Late = c.Agent, c.Seq, int32(c.Offers), c.Late
	if c.Offer != 0 {
		p.OfferId = queue.OfferID(c.Offer)
	}
	p.Wait = fill(&m.wait, max(0, c.Wait(now)))
	p.OverflowedFrom, p.CallbackId = c.OverflowedFrom, c.Callback
	return p
}

func toCallback(site string, c *callback.Callback) *pb.Callback {
	if c == nil {
		return nil
	}
	m := &struct {
		callback                                        pb.Callback
		due, deadline, created, arrived, claim, endedAt timestamppb.Timestamp
		attempt, escalated                              timestamppb.Timestamp
	}{}
	p := &m.callback
	p.CallbackId, p.Site, p.Caller, p.Queue, p.Tier = c.ID, site, string(c.Caller), c.Queue, toTier(c.Tier)
	p.State, p.DueAt, p.Deadline = toCallbackState(c.State), stamp(&m.due, c.DueAt), stamp(&m.deadline, c.Deadline)
	p.Attempts, p.Reason, p.CallId = int32(c.Attempts), c.Reason, c.CallID
	p.CreatedAt, p.ArrivedAt = stamp(&m.created, c.CreatedAt), stamp(&m.arrived, c.ArrivedAt)
	p.LastResult, p.ClaimedBy, p.ClaimUntil = toCallbackResult(c.LastResult), c.ClaimedBy, stamp(&m.claim, c.ClaimUntil)
	p.EndedAt, p.EndReason, p.Note = stamp(&m.endedAt, c.EndedAt), c.EndReason, c.Note
	p.LastAttemptAt, p.EscalatedAt = stamp(&m.attempt, c.LastAttemptAt), stamp(&m.escalated, c.EscalatedAt)
	return p
}

func toOffer(site string, o *queue.Offer, now instant.Instant) *pb.Offer {
	if o == nil {
		return nil
	}
	m := &struct {
		offer            pb.Offer
		offered, expires timestamppb.Timestamp
	}{}
	p := &m.offer
	p.OfferId, p.AgentId, p.Epoch = queue.OfferID(o.Epoch), o.Agent, o.Epoch
	p.OfferedAt, p.ExpiresAt = stamp(&m.offered, o.OfferedAt), stamp(&m.expires, o.ExpiresAt)
	p.Call, p.Callback, p.Why = toCall(site, o.Call, now), toCallback(site, o.Callback), o.Why
	return p
}

func toAgent(site string, a *queue.Agent) *pb.Agent {
	if a == nil {
		return nil
	}
	m := &struct {
		agent             pb.Agent
		since, idle, wrap timestamppb.Timestamp
		wrapUp            durationpb.Duration
	}{}
	p := &m.agent
	p.AgentId, p.Site, p.Endpoint, p.State, p.Reason = a.ID, site, a.Endpoint, toAgentState(a.State), a.Reason
	p.Queues = make([]*pb.AgentQueue, len(a.Services))
	queues := make([]pb.AgentQueue, len(a.Services))
	for i, s := range a.Services {
		queues[i].Queue, queues[i].Level = s.Queue, int32(s.Level)
		p.Queues[i] = &queues[i]
	}
	p.Since, p.CallId, p.CallbackId, p.RingBySwitch = stamp(&m.since, a.Since), a.Call, a.Callback, a.RingBySwitch
	if a.Offer != 0 {
		p.OfferId = queue.OfferID(a.Offer)
	}
	p.WrapUp = fill(&m.wrapUp, time.Duration(a.WrapUp)*time.Millisecond)
	p.NotReadyAfter = a.NextPause
	p.WrapUpUntil = stamp(&m.wrap, a.WrapUntil)
	p.Available = a.Presence != queue.Absent
	if a.State == queue.AgentReady {
		p.IdleSince = stamp(&m.idle, a.IdleSince)
	}
	return p
}

// masked is a number for those who have no need of the whole.
func masked(caller string) string { return tiering.Number(caller).Masked() }
