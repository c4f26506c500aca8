package queue

import (
	"cmp"
	"slices"
)

// offersKept is how many of the latest offers are remembered after their end,
// so that a late accept is told how its offer ended.
const offersKept = 1 << 13

// offerLog finds offers by epoch: the latest ones, whatever became of them, and
// older ones while they live, or tell who declined a callback.
type offerLog struct {
	latest    [offersKept]*offer  // by epoch modulo offersKept
	older     map[uint64]*offer   // those that newer offers have pushed out
	callbacks map[string][]*offer // of each callback, by epoch
}

// get returns the offer with this epoch, nil when it is not kept.
func (l *offerLog) get(epoch uint64) *offer {
	if o := l.latest[epoch%offersKept]; o != nil && o.Epoch == epoch {
		return o
	}
	return l.older[epoch]
}

// add records an offer; epochs grow. It returns the past offer that it pushes out,
// nil when there is none.
func (l *offerLog) add(o *offer) (gone *offer) {
	place := &l.latest[o.Epoch%offersKept]
	gone, *place = *place, o
	if gone != nil && gone.Ended == "" {
		l.older[gone.Epoch] = gone
		return nil
	}
	return gone
}

// restore records an offer whatever came before: of two that have the same place
// the later one takes it.
func (l *offerLog) restore(o *offer) {
	place := &l.latest[o.Epoch%offersKept]
	if *place != nil && (*place).Epoch > o.Epoch {
		l.older[o.Epoch] = o
		return
	}
	if *place != nil && *place != o {
		l.older[(*place).Epoch] = *place
	}
	*place = o
}

// remove takes an offer out. Its place goes to the latest of the older ones that
// it had pushed out.
func (l *offerLog) remove(o *offer) {
	place := &l.latest[o.Epoch%offersKept]
	if *place != o {
		delete(l.older, o.Epoch)
		return
	}
	*place = nil
	for _, older := range l.older {
		if older.Epoch%offersKept == o.Epoch%offersKept && (*place == nil || (*place).Epoch < older.Epoch) {
			*place = older
		}
	}
	if *place != nil {
		delete(l.older, (*place).Epoch)
	}
}

// ended is told that an offer is over, or tells no more; it reports whether newer
// ones have pushed it out, and is done with it then.
func (l *offerLog) ended(o *offer) (gone bool) {
	if len(l.older) == 0 || l.older[o.Epoch] == nil {
		return false
	}
	delete(l.older, o.Epoch)
	return true
}

// all returns every offer kept, by epoch.
func (l *offerLog) all() []*offer {
	var list []*offer
	for _, o := range l.latest {
		if o != nil {
			list = append(list, o)
		}
	}
	for _, o := range l.older {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b *offer) int { return cmp.Compare(a.Epoch, b.Epoch) })
	return list
}

// offerList is the live offers of one slot, in no order: they come and go with
// every call, and are searched only when a VIP needs one taken back.
type offerList struct{ head *offer }

func (l *offerList) add(o *offer) {
	o.prev, o.next = nil, l.head
	if l.head != nil {
		l.head.prev = o
	}
	l.head = o
}

func (l *offerList) remove(o *offer) {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		l.head = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	}
	o.prev, o.next = nil, nil
}

// youngest returns the offer of the greatest rank that ok accepts.
func (l *offerList) youngest(ok func(*offer) bool) (best *offer) {
	for o := l.head; o != nil; o = o.next {
		if (best == nil || best.rank.before(o.rank)) && ok(o) {
			best = o
		}
	}
	return best
}
