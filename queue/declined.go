package queue

import (
	"cmp"
	"slices"

	"greenlane/callback"
)

// Who declined a callback is not in its record: the offers that are kept tell. So
// one that tells is kept until it tells no more, even if newer offers have pushed it
// out: a machine that is restored knows what the one before it knew.

// tells reports whether a past offer says that its agent declined cb, or did not
// answer it, since it was due.
func (cb *cbRecord) tells(o *offer) bool {
	return (cb.State == callback.StateDue || cb.State == callback.StateOffered) && o.OfferedAt >= cb.DueAt &&
		(o.Ended == EndedDeclined || o.Ended == EndedExpired)
}

// declinedSince rebuilds who declined a callback from the offers of it that are kept.
func (m *Machine) declinedSince(cb *cbRecord) {
	cb.declined = nil
	for _, o := range m.offers.callbacks[cb.ID] {
		if cb.tells(o) && !slices.Contains(cb.declined, o.Agent) {
			cb.declined = append(cb.declined, o.Agent)
		}
	}
}

// pushOut is told of a past offer that newer ones have pushed out. It is kept when
// no later one tells the same.
func (m *Machine) pushOut(o *offer) {
	if id := o.OfferRecord.Callback; id != "" {
		same := func(later *offer) bool {
			return later.Epoch > o.Epoch && later.Agent == o.Agent && m.callbacks[id].tells(later)
		}
		if cb := m.callbacks[id]; cb != nil && cb.tells(o) && !slices.ContainsFunc(m.offers.callbacks[id], same) {
			m.offers.older[o.Epoch] = o
			return
		}
		m.offers.dropCallback(o)
	}
	m.changes.GoneOffers = append(m.changes.GoneOffers, o.Epoch)
	m.goneOffers = append(m.goneOffers, o)
}

// forgiveAll lets a callback be offered to those who declined it again.
func (m *Machine) forgiveAll(cb *cbRecord) {
	cb.declined = nil
	if len(m.offers.older) == 0 {
		return
	}
	for _, o := range slices.Clone(m.offers.callbacks[cb.ID]) {
		if o.Ended != "" && m.offers.ended(o) {
			m.pushOut(o)
		}
	}
}

// addCallback makes an offer of a callback one of those that may tell who declined it.
func (l *offerLog) addCallback(o *offer) {
	list := l.callbacks[o.OfferRecord.Callback]
	if i, found := placeOf(list, o); !found {
		l.callbacks[o.OfferRecord.Callback] = slices.Insert(list, i, o)
	}
}

func (l *offerLog) dropCallback(o *offer) {
	id := o.OfferRecord.Callback
	list := l.callbacks[id]
	i, found := placeOf(list, o)
	if !found {
		return
	}
	if len(list) == 1 {
		delete(l.callbacks, id)
		return
	}
	l.callbacks[id] = slices.Delete(list, i, i+1)
}

func placeOf(list []*offer, o *offer) (i int, found bool) {
	return slices.BinarySearchFunc(list, o, func(a, b *offer) int { return cmp.Compare(a.Epoch, b.Epoch) })
}
