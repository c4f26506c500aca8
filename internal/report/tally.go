package report

import (
	"slices"
	"time"

	"greenlane/metrics"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// tally counts events as they come.
type tally struct {
	from, to     time.Time
	interval     time.Duration
	shortAbandon time.Duration
	queues       map[string]bool // those wanted; empty: all

	known    time.Time // not every event up to this instant is kept; zero: all are
	cells    []map[lineKey]*Figures
	busy     []metrics.AgentTime
	agents   map[string]mark
	promises map[string]promise

	open    int64 // calls of the range that wait or talk
	lastAt  time.Time
	lastSeq uint64
	events  int64
}

type lineKey struct {
	queue string
	tier  tiering.Tier
}

// mark is what an agent does, since when.
type mark struct {
	state queue.AgentState
	since time.Time
}

// promise is a callback that was promised in the range and is open.
type promise struct {
	cell *Figures
	at   time.Time
}

func newTally(from, to time.Time, interval, shortAbandon time.Duration, queues []string) *tally {
	n := int((to.Sub(from) + interval - 1) / interval)
	t := &tally{
		from: from, to: to, interval: interval, shortAbandon: shortAbandon, queues: map[string]bool{},
		cells: make([]map[lineKey]*Figures, n), busy: make([]metrics.AgentTime, n), agents: map[string]mark{}, promises: map[string]promise{},
	}
	for i := range t.cells {
		t.cells[i] = map[lineKey]*Figures{}
	}
	for _, q := range queues {
		t.queues[q] = true
	}
	return t
}

// cell returns the figures of what joined at an instant; nil when that is not
// asked for, or not known.
func (t *tally) cell(joined time.Time, queueName string, tier pb.Tier) *Figures {
	if joined.Before(t.from) || !joined.Before(t.to) || !t.known.IsZero() && !joined.After(t.known) || len(t.queues) > 0 && !t.queues[queueName] {
		return nil
	}
	cells := t.cells[joined.Sub(t.from)/t.interval]
	key := lineKey{queueName, tiering.Tier(tier)}
	if cells[key] == nil {
		cells[key] = &Figures{}
	}
	return cells[key]
}

// add counts one event.
func (t *tally) add(e *pb.Event) {
	at := e.GetAt().AsTime()
	t.events++
	t.lastSeq, t.lastAt = e.GetSequence(), at
	if e.GetAgentId() != "" && e.GetAgentState() != pb.AgentState_AGENT_STATE_UNSPECIFIED {
		t.agent(e.GetAgentId(), agentState(e.GetAgentState()), at)
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_JOINED:
		t.at(e, e.GetQueue(), e.GetTier(), func(f *Figures) { f.Joined++; f.Waiting++; t.open++ })
	case pb.EventType_EVENT_TYPE_CALL_LATE:
		t.at(e, e.GetQueue(), e.GetTier(), func(f *Figures) { f.Counts.LateWaiting++ })
	case pb.EventType_EVENT_TYPE_CALL_MOVED:
		t.move(e, e.GetFromQueue(), e.GetTier())
	case pb.EventType_EVENT_TYPE_CALL_RERANKED:
		t.move(e, e.GetQueue(), e.GetFromTier())
	case pb.EventType_EVENT_TYPE_CALL_COMPLETED:
		t.at(e, e.GetQueue(), e.GetTier(), func(f *Figures) { f.Completed++; f.Talk += e.GetTalk().AsDuration(); t.open-- })
	case pb.EventType_EVENT_TYPE_CALL_REFUSED:
		t.at(e, e.GetQueue(), e.GetTier(), func(f *Figures) { f.Counts.Refused++ })
	case pb.EventType_EVENT_TYPE_CALL_ANSWERED, pb.EventType_EVENT_TYPE_CALL_ABANDONED, pb.EventType_EVENT_TYPE_CALL_TIMED_OUT,
		pb.EventType_EVENT_TYPE_CALL_OVERFLOWED:
		t.at(e, e.GetQueue(), e.GetTier(), func(f *Figures) { t.ended(e, f) })
	default:
		t.callback(e, at)
	}
}

// at hands the event's cell to count, if it has one.
func (t *tally) at(e *pb.Event, queueName string, tier pb.Tier, count func(*Figures)) {
	if f := t.cell(e.GetJoinedAt().AsTime(), queueName, tier); f != nil {
		count(f)
	}
}

// move takes a waiting call from one queue and tier to where the event says it
// is now.
func (t *tally) move(e *pb.Event, fromQueue string, fromTier pb.Tier) {
	shift := func(n int64) func(*Figures) {
		return func(f *Figures) {
			f.Waiting += n
			t.open += n
			if e.GetLate() {
				f.Counts.LateWaiting += n
			}
		}
	}
	t.at(e, fromQueue, fromTier, shift(-1))
	t.at(e, e.GetQueue(), e.GetTier(), shift(1))
}

// ended counts the end of a wait.
func (t *tally) ended(e *pb.Event, f *Figures) {
	wait, c := e.GetWait().AsDuration(), &f.Counts
	f.Waiting--
	f.Longest = max(f.Longest, wait)
	if e.GetLate() {
		c.LateWaiting--
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALL_ANSWERED:
		c.AnsweredWait += wait.Milliseconds()
		if e.GetLate() {
			c.AnsweredLate++
		} else {
			c.AnsweredInTime++
		}
		return // still open: they talk
	case pb.EventType_EVENT_TYPE_CALL_ABANDONED:
		c.AbandonedWait += wait.Milliseconds()
		switch {
		case wait < t.shortAbandon:
			c.AbandonedShort++
		case e.GetLate():
			c.AbandonedLate++
		default:
			c.AbandonedInTime++
		}
	case pb.EventType_EVENT_TYPE_CALL_TIMED_OUT:
		c.TimedOut++
	case pb.EventType_EVENT_TYPE_CALL_OVERFLOWED:
		c.Overflowed++
	}
	t.open--
}

// callback follows promises from their making to their end.
func (t *tally) callback(e *pb.Event, at time.Time) {
	id := e.GetCallbackId()
	if e.GetType() == pb.EventType_EVENT_TYPE_CALLBACK_CREATED {
		if f := t.cell(at, e.GetQueue(), e.GetTier()); f != nil {
			f.Promised++
			t.promises[id] = promise{f, at}
		}
		return
	}
	p, ok := t.promises[id]
	if !ok {
		return
	}
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_CALLBACK_REPORTED:
		if r := e.GetReason(); r != "reached" && r != "refused" {
			return // tried again, or failed: the callback itself says which
		}
		if at.Sub(p.at) <= metrics.KeepPromise {
			p.cell.Promises.Kept++
		} else {
			p.cell.Promises.Broken++
		}
	case pb.EventType_EVENT_TYPE_CALLBACK_MISSED:
		p.cell.Promises.Broken++
	case pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED:
		p.cell.Withdrawn++
	default:
		return
	}
	delete(t.promises, id)
}

// failed tells that an open callback has used up its attempts.
func (t *tally) failed(id string) {
	if p, ok := t.promises[id]; ok {
		p.cell.Promises.Broken++
		delete(t.promises, id)
	}
}

// agent notes what an agent does from now on, and adds up what he did.
func (t *tally) agent(id string, s queue.AgentState, at time.Time) {
	if m, ok := t.agents[id]; ok {
		t.spend(m, at)
	}
	if s == queue.AgentSignedOut {
		delete(t.agents, id)
		return
	}
	t.agents[id] = mark{s, at}
}

// spend adds the time from a mark on to the intervals that it lies in.
func (t *tally) spend(m mark, until time.Time) {
	begin := later(m.since, t.from)
	until = earlier(until, t.to)
	for begin.Before(until) {
		i := int(begin.Sub(t.from) / t.interval)
		end := earlier(t.from.Add(time.Duration(i+1)*t.interval), until)
		t.busy[i].Add(m.state, end.Sub(begin))
		begin = end
	}
}

// settled reports whether nothing that comes later can change the figures: the
// range is over for a good while, nobody of it waits or talks, no callback of it
// is open. A call that is reconciled after an outage has its old arrival, hence
// the while.
func (t *tally) settled() bool {
	return t.lastAt.After(t.to.Add(time.Hour)) && t.open <= 0 && len(t.promises) == 0
}

// finish turns the counts into a report's intervals. now is how far the log was
// read.
func (t *tally) finish(now time.Time, gaps []Span, targets func(lineKey) float64) []Interval {
	for _, m := range t.agents {
		t.spend(m, now)
	}
	out := make([]Interval, len(t.cells))
	for i := range out {
		iv := &out[i]
		iv.From = t.from.Add(time.Duration(i) * t.interval)
		iv.To = earlier(iv.From.Add(t.interval), t.to)
		iv.State = stateOf(iv.Span, gaps)
		if iv.State == Missing {
			continue
		}
		iv.Agents = t.busy[i]
		waits := false
		for key, f := range t.cells[i] {
			if len(gaps) > 0 { // ends without their beginnings, and the other way round
				f.Waiting, f.Counts.LateWaiting = max(0, f.Waiting), max(0, f.Counts.LateWaiting)
			}
			waits = waits || f.Waiting > 0
			if !f.empty() {
				iv.Lines = append(iv.Lines, Line{key.queue, key.tier, targets(key), *f})
			}
		}
		slices.SortFunc(iv.Lines, byQueue)
		if iv.State == Complete && (waits || iv.To.After(now)) {
			iv.State = Running
		}
		if waits && slices.ContainsFunc(gaps, func(g Span) bool { return g.From.After(iv.From) }) {
			iv.State = Partial // their ends may lie in the gap
		}
	}
	return out
}

// stateOf says how much of an interval the gaps have left.
func stateOf(s Span, gaps []Span) State {
	for _, g := range gaps {
		switch {
		case !g.From.After(s.From) && !g.To.Before(s.To):
			return Missing
		case g.From.Before(s.To) && g.To.After(s.From):
			return Partial
		}
	}
	return Complete
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// agentState reads the API's word for what an agent does.
func agentState(s pb.AgentState) queue.AgentState {
	switch s {
	case pb.AgentState_AGENT_STATE_READY:
		return queue.AgentReady
	case pb.AgentState_AGENT_STATE_OFFERED:
		return queue.AgentOffered
	case pb.AgentState_AGENT_STATE_TALKING:
		return queue.AgentTalking
	case pb.AgentState_AGENT_STATE_WRAP_UP:
		return queue.AgentWrapUp
	case pb.AgentState_AGENT_STATE_NOT_READY:
		return queue.AgentNotReady
	default:
		return queue.AgentSignedOut
	}
}
