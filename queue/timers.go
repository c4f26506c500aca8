package queue

import (
	"math"
	"time"

	"github.com/tidwall/btree"

	"greenlane/internal/instant"
)

// timed is a record that time alone can change. All that is due for it happens
// at one firing; fire must re-arm or disarm its timer.
type timed interface {
	fire(m *Machine, now instant.Instant)
}

// class orders timers that are due at the same instant; within a class their
// order is that of the records' own sequence.
type class uint64

const (
	classCall class = iota << 60
	classAgent
	classCallback
	classOwner
)

func newTimer(owner timed, c class, seq uint64) timer {
	return timer{owner: owner, ord: uint64(c) | seq}
}

// timer is a record's next deadline. A record has one, for the earliest.
type timer struct {
	at         instant.Instant // zero: not armed
	ord        uint64          // class and sequence: the order of timers due together
	owner      timed
	lane       *lane // nil while it stands in the tree
	prev, next *timer
}

func (t *timer) before(o *timer) bool {
	if t.at != o.at {
		return t.at < o.at
	}
	return t.ord < o.ord
}

// lane is a list of timers of one length. Since time never runs back, each new
// one is the last: arming and disarming cost the same whatever the number.
type lane struct{ head, tail *timer }

// timers holds every armed timer: in lanes where they come in order, in a tree
// where they do not.
type timers struct {
	lanes  []*lane
	byKey  map[laneKey]*lane
	others *btree.BTreeG[*timer]
	// soonest is no later than the earliest of them: before it nobody looks.
	soonest instant.Instant
}

// never is later than every timer.
const never instant.Instant = math.MaxInt64

type lanePurpose uint8

const (
	laneLate lanePurpose = iota
	laneOffer
	laneAck
	laneOverflow
	laneMaxWait
	laneHold
	laneTalk
)

type laneKey struct {
	purpose lanePurpose
	length  time.Duration
}

// laneSet is a queue's lanes; queues with the same lengths share them.
type laneSet struct{ late, offer, overflow, maxWait, hold *lane }

func newTimers() timers {
	return timers{
		byKey:   map[laneKey]*lane{},
		others:  btree.NewBTreeGOptions((*timer).before, btree.Options{NoLocks: true}),
		soonest: never,
	}
}

func (ts *timers) laneFor(p lanePurpose, length time.Duration) *lane {
	k := laneKey{p, length}
	l := ts.byKey[k]
	if l == nil {
		l = &lane{}
		ts.byKey[k] = l
		ts.lanes = append(ts.lanes, l)
	}
	return l
}

// arm sets t to fire at the given instant; zero disarms it. The lane is where
// it probably comes last; nil when nothing is known.
func (ts *timers) arm(t *timer, at instant.Instant, l *lane) {
	if t.at == at {
		return
	}
	ts.disarm(t)
	if at.IsZero() {
		return
	}
	t.at = at
	ts.soonest = min(ts.soonest, at)
	if l == nil || l.tail != nil && t.before(l.tail) {
		ts.others.Set(t)
		return
	}
	t.lane = l
	t.prev = l.tail
	if l.tail != nil {
		l.tail.next = t
	} else {
		l.head = t
	}
	l.tail = t
}

func (ts *timers) disarm(t *timer) {
	if t.at.IsZero() {
		return
	}
	if l := t.lane; l == nil {
		ts.others.Delete(t)
	} else {
		if t.prev != nil {
			t.prev.next = t.next
		} else {
			l.head = t.next
		}
		if t.next != nil {
			t.next.prev = t.prev
		} else {
			l.tail = t.prev
		}
		t.lane, t.prev, t.next = nil, nil, nil
	}
	t.at = 0
}

// due returns the earliest timer that is due by now, nil when there is none.
func (ts *timers) due(now instant.Instant) *timer {
	if now < ts.soonest {
		return nil
	}
	t := ts.first()
	if t == nil {
		ts.soonest = never
		return nil
	}
	ts.soonest = t.at
	if t.at > now {
		return nil
	}
	return t
}

// first returns the timer that is due next.
func (ts *timers) first() *timer {
	var best *timer
	if t, ok := ts.others.Min(); ok {
		best = t
	}
	for _, l := range ts.lanes {
		if l.head != nil && (best == nil || l.head.before(best)) {
			best = l.head
		}
	}
	return best
}
