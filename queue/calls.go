package queue

import (
	"cmp"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// arrive admits a call, or says why not.
func (m *Machine) arrive(cmd *Arrive) (Result, error) {
	if cmd.Call == "" {
		return Result{}, refuse(ErrInvalid, "call_id", "must not be empty")
	}
	if cmd.Caller != "" { // both indexes are far away in a large site: they are waited for together
		m.warmed += m.byCaller.warm(m.byCaller.hash(string(cmd.Caller)))
	}
	known := m.calls.get(cmd.Call)
	if known != nil {
		if !sameSwitch(known, cmd.Switch) {
			return Result{}, refuse(ErrCallExists, "call_id", "%q is a call of switch %q", cmd.Call, known.from.Switch)
		}
		if !known.Tombstone {
			res := m.callResult(known)
			res.Duplicate = true
			return res, nil
		}
	}
	q, err := m.routeTo(cmd)
	if err != nil {
		return Result{}, err
	}
	if known != nil {
		return m.arriveTooLate(known, q, cmd), nil
	}
	c := m.rooms.take()
	m.newCall(c, cmd, q, m.now)
	if reason := cmp.Or(m.refusal(c), cmd.Refuse); reason != "" {
		c.State, c.Reason, c.EndedAt = CallRefused, reason, m.now
		m.countEnd(c, CallRefused)
		m.emitCall(c, &Event{Type: EventCallRefused, Reason: reason})
		m.keepEnded(c)
		return m.callResult(c), nil
	}
	m.join(c)
	return m.callResult(c), nil
}

func sameSwitch(c *call, id string) bool {
	return id == "" || c.from.Switch == "" || c.from.Switch == id
}

// routeTo finds the queue a call goes to.
func (m *Machine) routeTo(cmd *Arrive) (*queueState, error) {
	name := cmd.Queue
	if name == "" {
		name = m.site.Routes[cmd.Dialed]
	}
	if name == "" {
		name = m.site.DefaultQueue
	}
	if name == "" {
		return nil, refuse(ErrInvalid, "queue", "must be given: the site has no default queue and no route for this number")
	}
	return m.queue(name)
}

func (m *Machine) queue(name string) (*queueState, error) {
	q := m.queues[name]
	if q == nil {
		return nil, refuse(ErrQueueNotFound, "queue", "%q is no queue of site %s", name, m.site.Name)
	}
	return q, nil
}

// newCall records in c, which is empty, a call that has joined at the given instant.
func (m *Machine) newCall(c *call, cmd *Arrive, q *queueState, joined instant.Instant) {
	m.meta.CallSeq++
	c.ID, c.from, c.Caller, c.Seq, c.State = cmd.Call, m.sameOrigin(cmd.Switch, cmd.Dialed), cmd.Caller, m.meta.CallSeq, CallWaiting
	c.Tier, c.Provisional, c.Attestation, c.UnattestedVIP = cmd.Tier, cmd.Provisional, cmd.Attestation, cmd.UnattestedVIP
	c.ArrivedAt, c.JoinedAt, c.QueuedAt = cmd.ArrivedAt, joined, m.now
	if cmd.PreferredAgent != "" || len(cmd.Attributes) > 0 {
		c.rare = &rareCall{PreferredAgent: cmd.PreferredAgent, Attributes: cmd.Attributes}
	}
	if !c.Tier.Valid() {
		c.Tier = tiering.Ordinary
	}
	m.linkCall(c, q)
}

// linkCall makes a call known.
func (m *Machine) linkCall(c *call, q *queueState) {
	c.entry = entry{q: q, call: c, slot: slotOf(c.Tier), dirty: c.dirty}
	c.timer = newTimer(c, classCall, c.Seq)
	q.open++
	m.keepCall(c)
	m.touchCall(c)
}

// refusal says why a call cannot be admitted, "" when it can: opening hours,
// the policy for the blacklist, and capacity, of which the lowest tiers may use
// the smallest share.
func (m *Machine) refusal(c *call) string {
	q := c.q
	switch {
	case !q.cfg.Hours.Open(m.now.Time()):
		return ReasonQueueClosed
	case c.Tier == tiering.Blacklist && m.site.RejectBlacklist:
		return ReasonBlacklisted
	case m.site.MaxWaiting > 0 && m.waiting >= m.site.MaxWaiting:
		return ReasonProcessFull
	case q.cfg.Capacity > 0 && c.Tier != tiering.VIP && q.waiting >= q.cfg.Room(c.Tier):
		return ReasonQueueFull
	}
	return ""
}

// Room returns up to how many waiting calls a tier is admitted.
func (q *Queue) Room(t tiering.Tier) int {
	share, ok := q.Shares[t]
	if !ok {
		share = 1
	}
	if share == 0 {
		return 0
	}
	// A share is meant as written in decimals: 0.9 of 10 is 9. Whoever has a share has
	// at least one place.
	return max(1, int(float64(q.Capacity)*share+1e-9))
}

// join puts an admitted call into its queue and tries to serve it.
func (m *Machine) join(c *call) {
	m.waiting++
	countWaiting(c, 1)
	m.totals(c.q, c.Tier).Joined++
	m.emitCall(c, &Event{Type: EventCallJoined})
	m.lineUpOrHold(&c.entry)
	m.armCall(c)
	m.place(&c.entry)
}

// lineUpOrHold lets a call wait for its preferred agent when he works but is
// not free, else lines it up for everyone.
func (m *Machine) lineUpOrHold(e *entry) {
	c, wait := e.call, e.q.cfg.PreferredWait
	if a := m.preferred(c); a != nil && wait > 0 && a.State.Working() && a.serves(e.q) != nil &&
		(!a.RingBySwitch || m.ringable(e)) {
		c.holdUntil(m.now.Add(wait))
		m.hold(e, a)
		return
	}
	m.lineUp(e)
}

// estimate returns the expected wait at a position: the callers up to and with
// this one, shared among the agents who work, each keeping one for the mean
// handle time. -1 when nobody works.
func (q *queueState) estimate(position int) time.Duration {
	switch {
	case position == 0:
		return 0
	case q.working == 0:
		return -1
	default:
		return time.Duration(int64(position)*q.rec.HandleTime/int64(q.working)) * time.Millisecond
	}
}

// position returns a waiting call's place in its queue, 1 = next, 0 when it
// does not wait in line. A call held for its preferred agent counts where it
// would stand.
func (c *call) position() int {
	if !c.lined && c.held == nil {
		return 0
	}
	return c.q.ahead(&c.entry) + 1
}

func (m *Machine) callResult(c *call) Result {
	res := Result{Call: m.show(c)}
	if c.State == CallWaiting {
		res.Position = c.position()
		res.EstimatedWait = c.q.estimate(res.Position)
	}
	return res
}
