package queue

import (
	"slices"

	"github.com/tidwall/btree"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// slot is a rank class of waiting entries: what DESIGN section 3 compares first.
type slot uint8

const (
	slotVIP slot = iota
	slotMid
	slotOrdinary
	slotCallback
	slotBlacklist
	slots
)

func slotOf(t tiering.Tier) slot {
	switch t {
	case tiering.VIP:
		return slotVIP
	case tiering.Mid:
		return slotMid
	case tiering.Blacklist:
		return slotBlacklist
	default:
		return slotOrdinary
	}
}

// entry is what can wait in a line and be offered: a call or a callback.
type entry struct {
	q     *queueState
	call  *call     // one of call
	cb    *cbRecord // and cb is set
	offer *offer    // the live offer
	held  *agent    // waits for this agent only
	slot  slot
	lined bool // stands in q's line
	dirty bool // touched since TakeChanges
}

// rank is an entry's place within its slot.
type rank struct {
	at  instant.Instant
	seq uint64
}

func (r rank) before(o rank) bool { return r.at < o.at || r.at == o.at && r.seq < o.seq }

func (e *entry) rank() rank {
	if e.call != nil {
		return rank{e.call.JoinedAt, e.call.Seq}
	}
	if e.slot == slotMid {
		return rank{e.cb.ArrivedAt, e.cb.Seq}
	}
	return rank{e.cb.DueAt, e.cb.Seq}
}

func (e *entry) declinedBy() []string {
	if e.call != nil {
		return e.call.few().DeclinedBy
	}
	return e.cb.declined
}

func (e *entry) addDeclined(agentID string) {
	if slices.Contains(e.declinedBy(), agentID) {
		return
	}
	if e.call != nil {
		few := e.call.own()
		few.DeclinedBy = append(few.DeclinedBy, agentID)
	} else {
		e.cb.declined = append(e.cb.declined, agentID)
	}
}

// before is the one comparison of two entries that wait for the same agent:
// tier, then the agent's level for the queue, then arrival.
func before(a *entry, aLevel int, b *entry, bLevel int) bool {
	if a.slot != b.slot {
		return a.slot < b.slot
	}
	if aLevel != bLevel {
		return aLevel < bLevel
	}
	return a.rank().before(b.rank())
}

// idlers are the idle agents of one queue at one level, longest idle first.
type idlers struct {
	level int
	t     *btree.BTreeG[idler]
}

type idler struct {
	since instant.Instant
	ord   uint64
	a     *agent
}

func idlerLess(a, b idler) bool { return a.since < b.since || a.since == b.since && a.ord < b.ord }

// queueState is a queue at work.
type queueState struct {
	cfg         Queue
	rec         QueueRecord
	lines       [slots]line
	tiers       [len(tiering.Tiers) + 1]tierState // indexed by Tier
	levels      []*idlers                         // by level
	working     int                               // agents who serve it and work
	workingRing int                               // of these, those whose phone the switch rings
	agents      agentCounts                       // who serve it, signed-out ones too
	waiting     int                               // calls waiting or offered
	open        int                               // calls that have not ended, and open callbacks
	declined    map[*entry]struct{}               // lined entries that somebody declined
	lanes       laneSet
	dirty       bool
}

type tierState struct {
	waiting int
	late    int
	cohorts []*cohort // by Start
	totals  *totals
}

func (q *queueState) idleAt(level int) *idlers {
	i, found := slices.BinarySearchFunc(q.levels, level, func(l *idlers, n int) int { return l.level - n })
	if !found {
		l := &idlers{level: level, t: btree.NewBTreeGOptions(idlerLess, btree.Options{NoLocks: true, Degree: 8})}
		q.levels = slices.Insert(q.levels, i, l)
	}
	return q.levels[i]
}

// ahead returns how many entries of the queue rank before e, which is lined.
func (q *queueState) ahead(e *entry) int {
	n := 0
	for s := range e.slot {
		n += q.lines[s].len()
	}
	return n + q.lines[e.slot].index(e.rank())
}

// lineUp puts e into its line, at the place its rank gives it.
func (m *Machine) lineUp(e *entry) {
	e.q.lines[e.slot].add(e)
	e.lined = true
	if len(e.declinedBy()) > 0 {
		e.q.declined[e] = struct{}{}
	}
}

// lineOut takes e out of its line or out of its preferred agent's hold.
func (m *Machine) lineOut(e *entry) {
	switch {
	case e.lined:
		e.q.lines[e.slot].remove(e)
		e.lined = false
		if len(e.declinedBy()) > 0 {
			delete(e.q.declined, e)
		}
	case e.held != nil:
		e.held.held.Delete(e)
		e.held = nil
		m.held--
	}
}

// hold makes e wait for one agent only.
func (m *Machine) hold(e *entry, a *agent) {
	if a.held == nil {
		a.held = btree.NewBTreeGOptions(func(x, y *entry) bool {
			return x.slot < y.slot || x.slot == y.slot && x.rank().before(y.rank())
		}, btree.Options{NoLocks: true, Degree: 8})
	}
	a.held.Set(e)
	e.held = a
	m.held++
}
