package queue

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

const (
	defaultPage = 100
	largestPage = 1000
)

func pageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, largestPage)
}

// Call answers as Engine.Call does, without Events; Call.Events has their
// sequence numbers. The result is a copy.
func (m *Machine) Call(id string) (*CallInfo, error) {
	c := m.calls.get(id)
	if c == nil {
		return nil, refuse(ErrCallNotFound, "call_id", "%q is no call this site knows", id)
	}
	info := &CallInfo{Call: *m.copy(c), Estimated: -1}
	if c.State != CallWaiting && c.State != CallOffered {
		return info, nil
	}
	q := c.q
	info.Position = c.position()
	info.Estimated = q.estimate(info.Position)
	info.Working = q.working
	info.Idle = q.idleAgents()
	info.AheadByTier = map[tiering.Tier]int{}
	if info.Position == 0 {
		return info, nil
	}
	r := c.rank()
	for _, t := range tiering.Tiers {
		switch s := slotOf(t); {
		case s < c.slot:
			info.AheadByTier[t] = q.lines[s].len()
		case s == c.slot:
			info.AheadByTier[t] = q.lines[s].index(r)
		}
	}
	info.AheadCallbacks = q.escalatedAhead(c)
	info.AheadByTier[tiering.Mid] -= info.AheadCallbacks
	if slotCallback < c.slot {
		info.AheadCallbacks += q.lines[slotCallback].len()
	}
	return info, nil
}

// escalatedAhead returns how many callbacks rank before c as mid-tier calls.
func (q *queueState) escalatedAhead(c *call) int {
	if c.slot < slotMid {
		return 0
	}
	n := 0
	q.lines[slotMid].scan(func(e *entry) bool {
		if c.slot == slotMid && !e.rank().before(c.rank()) {
			return false
		}
		if e.cb != nil {
			n++
		}
		return true
	})
	return n
}

func (q *queueState) idleAgents() int {
	n := 0
	for _, l := range q.levels {
		n += l.t.Len()
	}
	return n
}

// Agent answers as Engine.Agent does.
func (m *Machine) Agent(id string) (*Agent, *Offer, error) {
	a, err := m.agent(id)
	if err != nil {
		return nil, nil, err
	}
	res := Result{Agent: &a.Agent, Offer: a.liveOffer(&room{})}
	res = res.Clone()
	return res.Agent, res.Offer, nil
}

// Agents answers as Engine.Agents does.
func (m *Machine) Agents(f AgentFilter) ([]Agent, string, error) {
	if f.Queue != "" {
		if _, err := m.queue(f.Queue); err != nil {
			return nil, "", err
		}
	}
	n := pageSize(f.Limit)
	var page []Agent
	next := ""
	m.agentList.Ascend(f.After, func(id string, a *agent) bool {
		if id == f.After || len(f.States) > 0 && !slices.Contains(f.States, a.State) ||
			f.Queue != "" && !slices.ContainsFunc(a.Services, func(s Service) bool { return s.Queue == f.Queue }) {
			return true
		}
		if len(page) == n {
			next = page[n-1].ID
			return false
		}
		page = append(page, *a.Clone())
		return true
	})
	return page, next, nil
}

// Callbacks answers as Engine.Callbacks does.
func (m *Machine) Callbacks(f CallbackFilter) ([]callback.Callback, string, error) {
	from, err := parseRank(f.After)
	if err != nil {
		return nil, "", err
	}
	rankOf := func(c *callback.Callback) rank { return rank{c.DueAt, c.Seq} }
	var page []callback.Callback
	for _, cb := range m.callbacks {
		if f.Queue != "" && cb.Queue != f.Queue || f.Caller != "" && cb.Caller != f.Caller || len(f.States) > 0 && !slices.Contains(f.States, cb.State) || !from.before(rankOf(&cb.Callback)) {
			continue
		}
		page = append(page, cb.Callback)
	}
	slices.SortFunc(page, func(a, b callback.Callback) int { return rankOf(&a).compare(rankOf(&b)) })
	n := pageSize(f.Limit)
	next := ""
	if len(page) > n {
		page = page[:n]
		next = rankOf(&page[n-1]).token()
	}
	return page, next, nil
}

// Positions answers as Engine.Positions does, queue by queue in the order of
// service.
func (m *Machine) Positions(switchID string) []Position {
	var out []Position
	for _, q := range m.queueList {
		n := 0
		for s := range q.lines {
			q.lines[s].scan(func(e *entry) bool {
				n++
				if c := e.call; c != nil && c.from.Switch == switchID {
					out = append(out, Position{c.ID, n, q.estimate(n)})
				}
				return true
			})
		}
	}
	m.eachHeld(func(c *call) {
		if c.from.Switch == switchID {
			p := c.position()
			out = append(out, Position{c.ID, p, c.q.estimate(p)})
		}
	})
	return out
}

// eachHeld visits the calls that wait for their preferred agent.
func (m *Machine) eachHeld(visit func(*call)) {
	if m.held == 0 {
		return // there may be ten thousand agents to look at
	}
	m.agentList.Scan(func(_ string, a *agent) bool {
		if a.held != nil {
			a.held.Scan(func(e *entry) bool {
				visit(e.call)
				return true
			})
		}
		return true
	})
}

// Snapshot answers as Engine.Snapshot does.
func (m *Machine) Snapshot(now instant.Instant) *Snapshot {
	s := m.Statistics(now)
	m.agentList.Scan(func(_ string, a *agent) bool {
		s.Agents = append(s.Agents, *a.Clone())
		return true
	})
	return s
}

// Statistics answers as Engine.Statistics does.
func (m *Machine) Statistics(now instant.Instant) *Snapshot {
	now = max(now, m.now)
	s := &Snapshot{
		Site: m.site.Name, At: now, Seq: m.meta.LastEvent, GreenChannelViolations: m.meta.Violations,
		AgentStates: m.agentStates.byState(),
	}
	local := now.Time().In(m.site.Zone)
	midnight := instant.Of(time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, m.site.Zone))
	oldest := m.oldest()
	for _, q := range m.queueList {
		qs := QueueSnapshot{
			Name: q.cfg.Name, Open: q.cfg.Hours.Open(now.Time()), Threshold: q.cfg.Threshold, Capacity: q.cfg.Capacity,
			Agents: q.agents.byState(), Idle: q.idleAgents(), Working: q.working, CallbacksWaiting: q.callbacksWaiting(),
		}
		for _, t := range tiering.Tiers {
			qs.Tiers = append(qs.Tiers, q.tierSnapshot(t, now, midnight, oldest[tierKey{q, t}]))
		}
		s.Queues = append(s.Queues, qs)
	}
	s.Callbacks = m.callbackSnapshot()
	return s
}

// Cohorts answers as Engine.Cohorts does.
func (m *Machine) Cohorts(from, to instant.Instant) []Cohort {
	var out []Cohort
	for _, q := range m.queueList {
		for _, t := range tiering.Tiers {
			kept := q.tiers[t].cohorts
			for i := len(kept) - 1; i >= 0 && kept[i].Start >= from; i-- {
				if kept[i].Start < to {
					out = append(out, kept[i].Cohort)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Cohort) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), strings.Compare(a.Queue, b.Queue), cmp.Compare(a.Tier, b.Tier))
	})
	return out
}

// shortView is how far the short view of a snapshot reaches back: the interval
// at hand and the five before it.
const shortView = 5 * CohortInterval

func (q *queueState) tierSnapshot(t tiering.Tier, now, midnight, oldest instant.Instant) TierSnapshot {
	ts := &q.tiers[t]
	out := TierSnapshot{Tier: t, Waiting: ts.waiting, LateWaiting: ts.late, Target: q.cfg.Targets[t]}
	if oldest != 0 {
		out.OldestWait = max(0, now.Sub(oldest))
	}
	if ts.totals != nil {
		out.Totals = ts.totals.Totals
	}
	recent := cohortStart(now).Add(-shortView)
	for i := len(ts.cohorts) - 1; i >= 0; i-- {
		c := ts.cohorts[i]
		if c.Start < midnight && c.Start < recent {
			break
		}
		if c.Start >= midnight {
			out.Today.Add(&c.Counts)
		}
		if c.Start >= recent {
			out.Last30Min.Add(&c.Counts)
		}
	}
	return out
}

func (q *queueState) callbacksWaiting() int {
	n := q.lines[slotCallback].len()
	q.lines[slotMid].scan(func(e *entry) bool {
		if e.cb != nil {
			n++
		}
		return true
	})
	return n
}

type tierKey struct {
	q *queueState
	t tiering.Tier
}

// oldest returns when the oldest waiting or offered call of each queue and tier
// joined.
func (m *Machine) oldest() map[tierKey]instant.Instant {
	out := map[tierKey]instant.Instant{}
	see := func(c *call) {
		k := tierKey{c.q, c.Tier}
		if at, ok := out[k]; !ok || c.JoinedAt < at {
			out[k] = c.JoinedAt
		}
	}
	isCall := func(e *entry) bool { return e.call != nil }
	for _, q := range m.queueList {
		for s := range q.lines {
			if e := q.lines[s].first(isCall); e != nil {
				see(e.call)
			}
		}
	}
	for i := range m.live {
		t := &m.live[i]
		for o := t.head; o != nil; o = o.next {
			if o.e.call != nil {
				see(o.e.call)
			}
		}
	}
	m.eachHeld(see)
	return out
}

func (m *Machine) callbackSnapshot() CallbackSnapshot {
	s := CallbackSnapshot{ByState: map[callback.State]int{}, Totals: m.meta.Callbacks}
	for st, n := range m.endedStates {
		if n != 0 {
			s.ByState[callback.State(st)] = n
		}
	}
	for _, cb := range m.openCallbacks {
		s.ByState[cb.State]++
		if s.NextDue == 0 || cb.DueAt < s.NextDue {
			s.NextDue = cb.DueAt
		}
		if s.NextDeadline == 0 || cb.Deadline < s.NextDeadline {
			s.NextDeadline = cb.Deadline
		}
	}
	return s
}
