package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "greenlane/proto/greenlane/v1"
)

// queueLog turns events into the lines of Asterisk's queue_log:
//
//	time|callid|queue|agent|EVENT|data...
//
// with the fields in the order in which app_queue writes them. A line needs more
// than its event says, such as the place in the queue at which the caller came in;
// so a queueLog keeps what live calls and signed-in agents are at. It is saved
// with the cursor.
type queueLog struct {
	Calls  map[string]*logCall  `json:"calls"`
	Agents map[string]*logAgent `json:"agents"`

	order map[string][]*logCall // the calls that wait, by queue, next one first; made from Calls

	serves func(ctx context.Context, agent string, sequence uint64) ([]string, error) // the agent's queues
	caller func(ctx context.Context, call string) (string, error)                     // the number for ENTERQUEUE
}

// logCall is a call that has not ended.
type logCall struct {
	Queue    string    `json:"queue"`
	Tier     pb.Tier   `json:"tier"`
	Joined   time.Time `json:"joined"`
	Sequence uint64    `json:"sequence"`
	Origin   int       `json:"origin"` // its place when it came into the queue
	Offered  time.Time `json:"offered"`
	Answered bool      `json:"answered"`
}

// logAgent is an agent who is signed in.
type logAgent struct {
	Queues []string `json:"queues"`
	Paused bool     `json:"paused"`
	Reason string   `json:"reason,omitempty"`
}

// none is what Asterisk writes where nobody is concerned.
const none = "NONE"

// line is one line of the log. A bar in a name would move the fields.
func line(ev *pb.Event, call, queue, agent, event string, data ...string) string {
	fields := append([]string{fmt.Sprint(ev.GetAt().AsTime().Unix()), call, queue, agent, event}, data...)
	for i, f := range fields {
		fields[i] = strings.ReplaceAll(printable(f), "|", "_")
		if i < 4 && fields[i] == "" {
			fields[i] = none
		}
	}
	return strings.Join(fields, "|")
}

// lines are what one event is in the queue log; most are nothing.
func (q *queueLog) lines(ctx context.Context, ev *pb.Event) ([]string, error) {
	ofCall, err := q.callLines(ctx, ev)
	if err != nil {
		return nil, err
	}
	ofAgent, err := q.agentLines(ctx, ev)
	return append(ofCall, ofAgent...), err
}

func (q *queueLog) callLines(ctx context.Context, ev *pb.Event) ([]string, error) {
	c := q.Calls[ev.GetCallId()]
	if c == nil {
		c = &logCall{Queue: ev.GetQueue()} // came in before what is kept: its places are not known
	}
	out := func(event string, data ...string) []string {
		return []string{line(ev, ev.GetCallId(), c.Queue, ev.GetAgentId(), event, data...)}
	}
	places := func() []string {
		return []string{fmt.Sprint(q.place(c)), fmt.Sprint(c.Origin), whole(ev.GetWait().AsDuration())}
	}
	switch ev.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_JOINED:
		c = &logCall{Queue: ev.GetQueue(), Tier: ev.GetTier(), Joined: ev.GetJoinedAt().AsTime(), Sequence: ev.GetSequence()}
		q.Calls[ev.GetCallId()] = c
		return q.enter(ctx, ev, c)
	case pb.EventType_EVENT_TYPE_CALL_RERANKED:
		q.leave(c)
		c.Tier = ev.GetTier()
		q.join(c)
	case pb.EventType_EVENT_TYPE_CALL_MOVED:
		c.Queue = ev.GetFromQueue()
		left := out("EXITWITHTIMEOUT", places()...)
		q.leave(c)
		c.Queue = ev.GetQueue()
		entered, err := q.enter(ctx, ev, c)
		return append(left, entered...), err
	case pb.EventType_EVENT_TYPE_CALL_OFFERED:
		c.Offered = ev.GetAt().AsTime()
	case pb.EventType_EVENT_TYPE_OFFER_RETURNED:
		if ringsInVain(ev.GetReason()) {
			return out("RINGNOANSWER", fmt.Sprint(c.rang(ev).Milliseconds())), nil
		}
	case pb.EventType_EVENT_TYPE_CALL_ANSWERED:
		q.leave(c)
		c.Answered = true
		return out("CONNECT", whole(ev.GetWait().AsDuration()), ev.GetOfferId(), whole(c.rang(ev))), nil
	case pb.EventType_EVENT_TYPE_CALL_COMPLETED:
		delete(q.Calls, ev.GetCallId())
		event := "COMPLETECALLER"
		if ev.GetReason() == "agent_completed" {
			event = "COMPLETEAGENT"
		}
		return out(event, whole(ev.GetWait().AsDuration()), whole(ev.GetTalk().AsDuration()), fmt.Sprint(c.Origin)), nil
	case pb.EventType_EVENT_TYPE_CALL_ABANDONED:
		data := places()
		q.leave(c)
		delete(q.Calls, ev.GetCallId())
		return out("ABANDON", data...), nil
	case pb.EventType_EVENT_TYPE_CALL_TIMED_OUT, pb.EventType_EVENT_TYPE_CALL_OVERFLOWED:
		data := places()
		q.leave(c)
		delete(q.Calls, ev.GetCallId())
		return out("EXITWITHTIMEOUT", data...), nil
	}
	return nil, nil
}

// enter is a call's coming into the event's queue: ENTERQUEUE with the URL that
// Greenlane has none of, the number, and the place.
func (q *queueLog) enter(ctx context.Context, ev *pb.Event, c *logCall) ([]string, error) {
	q.join(c)
	c.Origin = q.place(c)
	number, err := q.caller(ctx, ev.GetCallId())
	if err != nil {
		return nil, err
	}
	return []string{line(ev, ev.GetCallId(), c.Queue, none, "ENTERQUEUE", "", number, fmt.Sprint(c.Origin))}, nil
}

// ringsInVain says that an offer ended because the agent did not take it, and not
// because it was taken away: preempted, moved, the caller gone.
func ringsInVain(reason string) bool {
	switch reason {
	case "declined", "expired", "not_acknowledged", "agent_lost", "agent_not_ready", "agent_signed_out", "undelivered":
		return true
	}
	return false
}

func (c *logCall) rang(ev *pb.Event) time.Duration {
	if c.Offered.IsZero() {
		return 0
	}
	return ev.GetAt().AsTime().Sub(c.Offered)
}

// place is a waiting call's place in its queue, 1 for the next; 0 when it is not
// known.
func (q *queueLog) place(c *logCall) int {
	i, found := q.find(c)
	if !found {
		return 0
	}
	return i + 1
}

// find is where a call stands, or would stand, among those that wait in its queue.
func (q *queueLog) find(c *logCall) (int, bool) {
	if q.order == nil {
		q.order = map[string][]*logCall{}
		for _, o := range q.Calls {
			if !o.Answered {
				q.order[o.Queue] = append(q.order[o.Queue], o)
			}
		}
		for _, all := range q.order {
			slices.SortFunc(all, (*logCall).compare)
		}
	}
	return slices.BinarySearchFunc(q.order[c.Queue], c, (*logCall).compare)
}

// join puts a call among those that wait in its queue, unless too little is known
// of it.
func (q *queueLog) join(c *logCall) {
	if i, found := q.find(c); !found && c.Sequence > 0 && !c.Answered {
		q.order[c.Queue] = slices.Insert(q.order[c.Queue], i, c)
	}
}

func (q *queueLog) leave(c *logCall) {
	if i, found := q.find(c); found {
		q.order[c.Queue] = slices.Delete(q.order[c.Queue], i, i+1)
	}
}

// compare puts the call that is served first, first.
func (c *logCall) compare(o *logCall) int {
	return cmp.Or(
		cmp.Compare(c.Tier, o.Tier), // the best tier has the lowest number
		c.Joined.Compare(o.Joined),
		cmp.Compare(c.Sequence, o.Sequence),
	)
}

func whole(d time.Duration) string { return fmt.Sprint(int64(d / time.Second)) }

func (q *queueLog) agentLines(ctx context.Context, ev *pb.Event) ([]string, error) {
	id := ev.GetAgentId()
	switch ev.GetType() {
	case pb.EventType_EVENT_TYPE_AGENT_SIGNED_IN, pb.EventType_EVENT_TYPE_AGENT_QUEUES_CHANGED:
		return q.member(ctx, ev)
	case pb.EventType_EVENT_TYPE_AGENT_SIGNED_OUT:
		a, err := q.agent(ctx, ev)
		delete(q.Agents, id)
		return a.each(ev, "REMOVEMEMBER", ""), err
	case pb.EventType_EVENT_TYPE_AGENT_STATE_CHANGED:
		// An agent who talks and asks for a pause is paused from then on: that is when
		// Asterisk says so, too.
		talks := ev.GetAgentState() == pb.AgentState_AGENT_STATE_TALKING
		return q.pause(ctx, ev, ev.GetAgentState() == pb.AgentState_AGENT_STATE_NOT_READY || talks && ev.GetReason() != "")
	case pb.EventType_EVENT_TYPE_CALL_COMPLETED, pb.EventType_EVENT_TYPE_CALLBACK_REPORTED:
		if a := q.Agents[id]; a != nil && a.Paused && ev.GetAgentState() == pb.AgentState_AGENT_STATE_READY {
			return q.pause(ctx, ev, false)
		}
	}
	return nil, nil
}

// member is an agent's coming to serve queues, or other queues than before.
func (q *queueLog) member(ctx context.Context, ev *pb.Event) ([]string, error) {
	now, err := q.serves(ctx, ev.GetAgentId(), ev.GetSequence())
	if err != nil {
		return nil, err
	}
	a := q.Agents[ev.GetAgentId()]
	if a == nil {
		a = &logAgent{}
		q.Agents[ev.GetAgentId()] = a
	}
	var out []string
	for _, queue := range a.Queues {
		if !slices.Contains(now, queue) {
			out = append(out, line(ev, none, queue, ev.GetAgentId(), "REMOVEMEMBER", ""))
		}
	}
	paused := ""
	if a.Paused {
		paused = "PAUSED"
	}
	for _, queue := range now {
		if !slices.Contains(a.Queues, queue) {
			out = append(out, line(ev, none, queue, ev.GetAgentId(), "ADDMEMBER", paused))
		}
	}
	a.Queues = now
	return out, nil
}

// agent is what is known of the event's agent, who may have signed in before what
// is kept.
func (q *queueLog) agent(ctx context.Context, ev *pb.Event) (*logAgent, error) {
	if a := q.Agents[ev.GetAgentId()]; a != nil {
		return a, nil
	}
	queues, err := q.serves(ctx, ev.GetAgentId(), ev.GetSequence())
	a := &logAgent{Queues: queues}
	q.Agents[ev.GetAgentId()] = a
	return a, err
}

func (q *queueLog) pause(ctx context.Context, ev *pb.Event, paused bool) ([]string, error) {
	a, err := q.agent(ctx, ev)
	if err != nil || a.Paused == paused && (!paused || a.Reason == ev.GetReason()) {
		return nil, err
	}
	a.Paused, a.Reason = paused, ""
	if !paused {
		return a.each(ev, "UNPAUSE", ""), nil
	}
	a.Reason = ev.GetReason()
	return a.each(ev, "PAUSE", ev.GetReason()), nil
}

// each is one line for each queue of the agent.
func (a *logAgent) each(ev *pb.Event, event, data string) []string {
	queues := a.Queues
	if len(queues) == 0 {
		queues = []string{none}
	}
	var out []string
	for _, queue := range queues {
		out = append(out, line(ev, none, queue, ev.GetAgentId(), event, data))
	}
	return out
}
