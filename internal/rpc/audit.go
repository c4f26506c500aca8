package rpc

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"greenlane/internal/audit"
	"greenlane/internal/identity"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// values are how something was, is or is to be, in the audit record.
type values = map[string]string

// change is one that the audit record has to hold.
type change struct {
	rec    audit.Record
	before func() values // nil: nothing is known of it
	after  func(*queue.Result) values
}

// errUnrecorded ends a change that was made and whose outcome is not in the
// record: the intent is, and says that it may have happened.
var errUnrecorded = refuse(codes.Unavailable, "AUDIT_UNAVAILABLE",
	"the change may have been made, but its audit record could not be completed; repeat it with the same request_id", nil)

// recorded makes a change between its two records. Without a record none is made.
// do returns its error as the client gets it.
func (s *Server) recorded(rec audit.Record, before func() values, do func() (after values, err error)) error {
	under := s.opts.Audit.Begin(rec)
	var was values
	if under != nil && before != nil {
		was = before() // while the intent is on its way to the disk
	}
	if err := under.Durable(); err != nil {
		return toError(s.log, err)
	}
	after, err := do()
	if under.End(status.Code(err).String(), was, after) != nil {
		return errUnrecorded
	}
	return err
}

// doRecorded carries out a command that the record has to hold.
func (s *Server) doRecorded(ctx context.Context, st *site, cmd queue.Command, c *change) (res queue.Result, err error) {
	err = s.recorded(c.rec, c.before, func() (values, error) {
		if res, err = st.engine.Do(ctx, cmd); err != nil {
			return nil, toError(s.log, err)
		}
		after := c.after(&res)
		if res.Duplicate {
			after["duplicate"] = "true" // the first answer to a request that was repeated
		}
		return after, nil
	})
	return res, err
}

// changeOf returns what the record has to hold of a command; nil when it is
// none of its business: calls that come and go, and agents who act for themselves.
// The event log has those.
func (s *Server) changeOf(ctx context.Context, st *site, cmd queue.Command) *change {
	if s.opts.Audit == nil {
		return nil
	}
	var c change
	switch cmd := cmd.(type) {
	case *queue.MoveCall:
		c = change{
			audit.Record{Action: "call.move", Object: &audit.Object{Call: cmd.Call}, Want: values{"queue": cmd.Queue}, RequestID: cmd.Request.ID},
			func() values { return callBefore(ctx, st, cmd.Call) }, callAfter,
		}
	case *queue.Rerank:
		c = change{
			audit.Record{Action: "call.set_tier", Object: &audit.Object{Call: cmd.Call}, Want: values{"tier": cmd.Tier.String()}, RequestID: cmd.Request.ID},
			func() values { return callBefore(ctx, st, cmd.Call) }, callAfter,
		}
	case *queue.SetState:
		if !s.forced(ctx, cmd.Agent, false) {
			return nil
		}
		c = change{
			audit.Record{
				Action: "agent.set_state", Object: &audit.Object{Agent: cmd.Agent}, RequestID: cmd.Request.ID,
				Want: values{"state": cmd.State.String(), "reason": audit.Text(cmd.Reason)},
			},
			func() values { return agentBefore(ctx, st, cmd.Agent) }, agentAfter,
		}
	case *queue.SignOut:
		if !s.forced(ctx, cmd.Agent, cmd.Force) {
			return nil
		}
		c = change{
			audit.Record{
				Action: "agent.sign_out", Object: &audit.Object{Agent: cmd.Agent}, RequestID: cmd.Request.ID,
				Want: values{"force": strconv.FormatBool(cmd.Force)},
			},
			func() values { return agentBefore(ctx, st, cmd.Agent) }, agentAfter,
		}
	default:
		if !s.callbackChange(st, cmd, &c) {
			return nil
		}
	}
	c.rec.Site, c.rec.Who = st.name, s.whoOf(ctx)
	return &c
}

// callbackChange tells changes to callbacks that are made by hand, those of agents
// too: whoever claims one sees its number.
func (s *Server) callbackChange(st *site, cmd queue.Command, c *change) bool {
	switch cmd := cmd.(type) {
	case *queue.CreateCallback:
		masked, keyed := s.opts.Audit.Caller(st.name, cmd.Caller)
		c.rec = audit.Record{
			Action: "callback.create", Object: &audit.Object{Caller: masked, CallerKey: keyed, Queue: cmd.Queue}, RequestID: cmd.Request.ID,
			Want: values{"tier": cmd.Tier.String(), "due": moment(cmd.DueAt)},
		}
	case *queue.ClaimCallback:
		c.rec = audit.Record{
			Action: "callback.claim", Object: &audit.Object{Callback: cmd.Callback}, RequestID: cmd.Request.ID,
			Want: values{"claimant": cmd.Claimant},
		}
	case *queue.ReportCallback:
		c.rec = audit.Record{
			Action: "callback.report", Object: &audit.Object{Callback: cmd.Callback}, RequestID: cmd.Request.ID,
			Want: values{"claimant": cmd.Claimant, "result": cmd.Result.String()},
		}
	case *queue.RescheduleCallback:
		c.rec = audit.Record{
			Action: "callback.reschedule", Object: &audit.Object{Callback: cmd.Callback}, RequestID: cmd.Request.ID,
			Want: values{"due": moment(cmd.DueAt)},
		}
	case *queue.CancelCallback:
		c.rec = audit.Record{
			Action: "callback.cancel", Object: &audit.Object{Callback: cmd.Callback}, RequestID: cmd.Request.ID,
			Want: values{"reason": audit.Text(cmd.Reason)},
		}
	default:
		return false
	}
	c.after = func(res *queue.Result) values {
		cb := res.Callback
		if cb == nil {
			return values{}
		}
		return values{"callback": cb.ID, "state": cb.State.String(), "due": moment(cb.DueAt), "caller": cb.Caller.Masked()}
	}
	return true
}

// forced reports whether somebody else than the agent changes the agent's state.
// Where nobody is asked who they are, and of a gateway that speaks for every agent,
// only a sign-out by force counts.
func (s *Server) forced(ctx context.Context, agent string, force bool) bool {
	who := s.who(ctx)
	if who.By == identity.ByNobody || who.Name == identity.AnyName && who.Roles.Has(identity.Agent) {
		return force
	}
	return who.Name != agent || !who.Roles.Has(identity.Agent)
}

// whoOf tells the record who makes a request, and from where.
func (s *Server) whoOf(ctx context.Context) *audit.Who {
	id := s.who(ctx)
	who := &audit.Who{Name: id.Name, By: id.By}
	if id.By != identity.ByNobody {
		who.Roles = id.Roles.String()
	}
	if p, ok := peer.FromContext(ctx); ok {
		who.Peer = p.Addr.String()
	}
	return who
}

func callBefore(ctx context.Context, st *site, id string) values {
	info, err := st.engine.Call(ctx, id)
	if err != nil {
		return nil
	}
	return callValues(&info.Call)
}

func callAfter(res *queue.Result) values { return callValues(res.Call) }

func callValues(c *queue.Call) values {
	if c == nil {
		return values{}
	}
	return values{"queue": c.Queue, "tier": c.Tier.String(), "state": c.State.String()}
}

func agentBefore(ctx context.Context, st *site, id string) values {
	agent, _, err := st.engine.Agent(ctx, id)
	if err != nil {
		return nil
	}
	return agentValues(agent)
}

func agentAfter(res *queue.Result) values { return agentValues(res.Agent) }

func agentValues(a *queue.Agent) values {
	if a == nil {
		return values{}
	}
	return values{"state": a.State.String(), "reason": audit.Text(a.Reason)}
}

// moment writes an instant; the zero one is "".
func moment(t instant.Instant) string {
	if t.IsZero() {
		return ""
	}
	return t.Time().UTC().Format(time.RFC3339)
}

// tierChange is the record of a change of one caller's tier.
func (s *Server) tierChange(ctx context.Context, st *site, c tiering.Change, requestID string) audit.Record {
	masked, keyed := s.opts.Audit.Caller(st.name, c.Number)
	rec := audit.Record{
		Action: "tier.set", Site: st.name, Who: s.whoOf(ctx), Object: &audit.Object{Caller: masked, CallerKey: keyed},
		Want: values{"tier": c.Tier.String()}, RequestID: requestID,
	}
	switch {
	case c.Op == tiering.OpPardon:
		rec.Action, rec.Want = "blacklist.remove", values{}
	case c.Tier == tiering.Blacklist:
		rec.Action, rec.Want = "blacklist.add", values{"reason": audit.Text(c.Note)}
	}
	if !c.Ends.IsZero() {
		rec.Want["ends"] = moment(c.Ends)
	}
	return rec
}

// tierBefore is the caller's standing as the directory has it now.
func (s *Server) tierBefore(ctx context.Context, st *site, caller tiering.Number) values {
	entry, _, err := s.opts.Directory.Lookup(ctx, st.name, caller)
	if err != nil {
		return nil
	}
	return standingValues(entry.At(st.now()))
}

func standingValues(standing tiering.Standing) values {
	return values{"tier": standing.Tier.String(), "ends": moment(standing.Ends), "known": strconv.FormatBool(standing.Known)}
}

// batchChange is the record of a batch: each caller with the tier asked
// for.
func (s *Server) batchChange(ctx context.Context, st *site, changes []tiering.Change, requestID string) audit.Record {
	rec := audit.Record{
		Action: "tier.batch", Site: st.name, Who: s.whoOf(ctx), RequestID: requestID,
		Want: values{"callers": strconv.Itoa(len(changes))},
	}
	if s.opts.Audit == nil {
		return rec
	}
	rec.Items = make([]audit.Item, len(changes))
	for i := range changes {
		item := &rec.Items[i]
		item.Caller, item.CallerKey = s.opts.Audit.Caller(st.name, changes[i].Number)
		item.Tier = changes[i].Tier.String()
	}
	return rec
}

// batchAfter says how many callers of a batch have their tier, and which have not.
func batchAfter(results []tiering.Result) values {
	var failed []string
	for i := range results {
		if results[i].Err != nil {
			failed = append(failed, strconv.Itoa(i))
		}
	}
	out := values{"applied": strconv.Itoa(len(results) - len(failed)), "failed": strconv.Itoa(len(failed))}
	if failed != nil {
		out["failed_items"] = strings.Join(failed, ",") // counted from 0
	}
	return out
}
