package queue

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Derived writes down all that a machine has made of its records, a line for each,
// so that tests can compare two machines that should behave alike. It says as well
// where the machine's own parts contradict each other.
func (m *Machine) Derived() []string {
	d := &derived{m: m}
	d.calls()
	d.agents()
	d.queues()
	d.offers()
	d.callbacks()
	d.timers()
	d.rest()
	return d.lines
}

type derived struct {
	m     *Machine
	lines []string
}

func (d *derived) say(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *derived) fault(format string, args ...any) { d.say("FAULT "+format, args...) }

func (e *entry) name() string {
	switch {
	case e == nil:
		return "-"
	case e.call != nil:
		return e.call.ID
	case e.cb != nil:
		return e.cb.ID
	}
	return "?"
}

func (d *derived) entry(e *entry) string {
	out := fmt.Sprintf("slot %d lined %v", e.slot, e.lined)
	if e.q != nil {
		out += " of " + e.q.cfg.Name
	}
	if e.held != nil {
		out += " held for " + e.held.ID
		if d.m.agents[e.held.ID] != e.held {
			d.fault("%s is held for an agent that is gone", e.name())
		}
	}
	if o := e.offer; o != nil {
		out += " offer " + OfferID(o.Epoch)
		if o.e != e || d.m.offers.get(o.Epoch) != o {
			d.fault("%s has an offer that is not its own", e.name())
		}
	}
	if e.dirty {
		d.fault("%s is dirty", e.name())
	}
	return out
}

func (d *derived) calls() {
	m := d.m
	list := slices.SortedFunc(m.calls.all(), func(a, b *call) int { return cmp.Compare(a.Seq, b.Seq) })
	numbers := map[string][]uint64{}
	for _, c := range list {
		if c.State.Terminal() {
			d.say("call %d %s ended", c.Seq, c.ID)
			if c.lined || c.held != nil || c.offer != nil || c.timer.at != 0 {
				d.fault("call %s has ended and is linked", c.ID)
			}
		} else {
			d.say("call %d %s %s timer %d", c.Seq, c.ID, d.entry(&c.entry), c.timer.at)
		}
		if m.bySeq != nil && m.bySeq[c.Seq] != c {
			d.fault("call %d is not found by its sequence", c.Seq)
		}
		if m.calls.get(c.ID) != c {
			d.fault("call %s is not found", c.ID)
		}
		if c.Caller != "" {
			numbers[string(c.Caller)] = append(numbers[string(c.Caller)], c.Seq)
		}
	}
	if m.bySeq != nil && len(m.bySeq) != len(list) {
		d.fault("%d calls by sequence, %d calls", len(m.bySeq), len(list))
	}
	for _, number := range slices.Sorted(maps.Keys(numbers)) {
		var ring []uint64
		for c := range m.ring(m.byCaller.get(number)) {
			ring = append(ring, c.Seq)
		}
		slices.Sort(ring)
		if !slices.Equal(ring, numbers[number]) {
			d.fault("number %s has calls %v, not %v", number, numbers[number], ring)
		}
	}
	n := 0
	for c := range m.byCaller.all() {
		n++
		if len(numbers[string(c.Caller)]) == 0 {
			d.fault("number %s has no calls", c.Caller)
		}
	}
	if n != len(numbers) {
		d.fault("%d numbers in the index, %d in the calls", n, len(numbers))
	}
	for _, c := range m.ended.all() {
		d.say("ended %d %s at %d", c.Seq, c.ID, c.EndedAt)
		if m.calls.get(c.ID) != c {
			d.fault("ended call %s is not there", c.ID)
		}
	}
	d.say("waiting %d held %d", m.waiting, m.held)
}

// ring visits the calls of a number, the last one first.
func (m *Machine) ring(c *call) func(func(*call) bool) {
	return func(yield func(*call) bool) {
		for x := c; x != nil; {
			if !yield(x) {
				return
			}
			if x = m.rooms.at(x.sameCaller); x == c {
				return
			}
		}
	}
}

func (d *derived) agents() {
	m := d.m
	n := 0
	m.agentList.Scan(func(id string, a *agent) bool {
		n++
		var members, held []string
		for _, mb := range a.members {
			members = append(members, fmt.Sprint(mb.q.cfg.Name, "/", mb.level))
			if m.queues[mb.q.cfg.Name] != mb.q {
				d.fault("agent %s serves a queue that is gone", id)
			}
		}
		if a.held != nil {
			a.held.Scan(func(e *entry) bool { held = append(held, e.name()); return true })
		}
		d.say("agent %s serves %v idle %v held %v offer %v timer %d", id, members, a.idle, held, a.offer != nil, a.timer.at)
		if m.agents[id] != a || a.dirty || a.offer != nil && a.offer.a != a || a.talk != nil && m.calls.get(a.talk.ID) != a.talk {
			d.fault("agent %s", id)
		}
		return true
	})
	if n != len(m.agents) {
		d.fault("%d agents in the list, %d in the map", n, len(m.agents))
	}
	d.say("agent states %v", m.agentStates)
}

func (d *derived) queues() {
	for _, q := range d.m.queueList {
		d.say("queue %s working %d ringing %d waiting %d agents %v learned %d", q.cfg.Name, q.working, q.workingRing, q.waiting, q.agents, q.rec.HandleTime)
		for s := range q.lines {
			if q.lines[s].len() > 0 {
				var line []string
				q.lines[s].scan(func(e *entry) bool { line = append(line, e.name()); return true })
				d.say(" line %d %v", s, line)
			}
		}
		for _, l := range q.levels {
			if l.t.Len() > 0 {
				var idle []string
				l.t.Scan(func(i idler) bool { idle = append(idle, i.a.ID); return true })
				d.say(" idle at %d %v", l.level, idle)
			}
		}
		var declined []string
		for e := range q.declined {
			declined = append(declined, e.name())
		}
		slices.Sort(declined)
		d.say(" declined %v", declined)
		for t := range q.tiers {
			ts := &q.tiers[t]
			d.say(" tier %d waiting %d late %d totals %v", t, ts.waiting, ts.late, ts.totals != nil)
			for _, c := range ts.cohorts {
				d.say("  cohort %d %v", c.Start, c.dirty)
			}
		}
	}
}

func (d *derived) offers() {
	for i, o := range d.m.offers.latest {
		if o != nil {
			d.say("offer %d at %d ended %q", o.Epoch, i, o.Ended)
			if o.Ended == "" && (!o.linked() || o.a.offer != o || d.m.agents[o.Agent] != o.a) || o.dirty {
				d.fault("offer %d", o.Epoch)
			}
		}
	}
	for _, epoch := range slices.Sorted(maps.Keys(d.m.offers.older)) {
		d.say("older offer %d", epoch)
	}
	for _, id := range slices.Sorted(maps.Keys(d.m.offers.callbacks)) {
		var list []string
		for _, o := range d.m.offers.callbacks[id] {
			list = append(list, o.Agent)
			if d.m.offers.get(o.Epoch) != o || o.OfferRecord.Callback != id {
				d.fault("offer %d of %s", o.Epoch, id)
			}
		}
		d.say("offers of %s %v", id, list)
	}
	for s := range d.m.live {
		var list []string
		for o := d.m.live[s].head; o != nil; o = o.next {
			list = append(list, fmt.Sprint(o.Epoch, " ", o.rank, o.slot))
		}
		slices.Sort(list)
		d.say("live %d %v", s, list)
	}
}

func (d *derived) callbacks() {
	m := d.m
	list := slices.SortedFunc(maps.Values(m.callbacks), func(a, b *cbRecord) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, cb := range list {
		if !cb.State.Open() {
			d.say("callback %s ended", cb.ID)
			continue
		}
		d.say("callback %s %s declined %v timer %d", cb.ID, d.entry(&cb.entry), slices.Sorted(slices.Values(cb.declined)), cb.timer.at)
	}
	var open []string
	for k, cb := range m.openCallbacks {
		open = append(open, fmt.Sprint(k, cb.ID))
		if m.callbacks[cb.ID] != cb {
			d.fault("open callback %s", cb.ID)
		}
	}
	slices.Sort(open)
	d.say("open %v", open)
	for _, cb := range m.endedBacks.all() {
		d.say("ended %s", cb.ID)
	}
	d.say("ended states %v", m.endedStates)
}

func (d *derived) timers() {
	ts := &d.m.timers
	var all []*timer
	ts.others.Scan(func(t *timer) bool { all = append(all, t); return true })
	for _, l := range ts.lanes {
		for t := l.head; t != nil; t = t.next {
			if t.next != nil && !t.before(t.next) {
				d.fault("a lane is out of order")
			}
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b *timer) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.ord, b.ord)) })
	for _, t := range all {
		d.say("timer %d %x", t.at, t.ord)
		if t.owner == nil {
			d.fault("a timer has no owner")
		}
	}
}

func (d *derived) rest() {
	m := d.m
	for _, r := range m.requestList.all() {
		d.say("request %d %s %s known %v", r.Seq, r.Kind, r.ID, m.requests[requestKey{r.Kind, r.ID}] == r)
	}
	d.say("%d requests, %d owners, %d switches", len(m.requests), len(m.owners), len(m.switches))
	if !m.touched.empty() {
		d.fault("something is touched")
	}
}

// DiffDerived returns the first line in which two machines differ, and any that
// tells of a contradiction in got.
func DiffDerived(got, want *Machine) string {
	g, w := got.Derived(), want.Derived()
	for _, line := range g {
		if strings.HasPrefix(line, "FAULT") {
			return line
		}
	}
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			return "lacks: " + w[i]
		case i >= len(w):
			return "has too much: " + g[i]
		case g[i] != w[i]:
			return fmt.Sprintf("has %q, not %q", g[i], w[i])
		}
	}
	return ""
}
