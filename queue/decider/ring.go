package decider

import "greenlane/queue"

// Ring holds the youngest events, at most max of them.
type Ring struct {
	max  int
	buf  []queue.Event // event seq stands at (seq-1) % len(buf)
	low  uint64        // the oldest held; low = high+1: none
	high uint64
}

// NewRing returns one for so many events, after the last one.
func NewRing(most int, last uint64) Ring {
	return Ring{max: most, low: last + 1, high: last}
}

// Has reports whether it holds an event.
func (r *Ring) Has(seq uint64) bool { return seq >= r.low && seq <= r.high }

// At returns an event that it holds.
func (r *Ring) At(seq uint64) queue.Event { return r.buf[(seq-1)%uint64(len(r.buf))] }

// Push adds the events that follow the last one held.
func (r *Ring) Push(events []queue.Event) {
	if len(events) > r.max {
		r.low = events[len(events)-r.max].Seq
		r.high = r.low - 1
		events = events[len(events)-r.max:]
	}
	held := int(r.high + 1 - r.low)
	if need := min(held+len(events), r.max); need > len(r.buf) {
		r.grow(min(max(need, 2*len(r.buf), 256), r.max))
	}
	for i := range events {
		seq := events[i].Seq
		r.buf[(seq-1)%uint64(len(r.buf))] = events[i]
		r.high = seq
	}
	if kept := uint64(len(r.buf)); r.high+1-r.low > kept {
		r.low = r.high + 1 - kept
	}
}

func (r *Ring) grow(n int) {
	buf := make([]queue.Event, n)
	for seq := r.low; seq <= r.high; seq++ {
		buf[(seq-1)%uint64(n)] = r.At(seq)
	}
	r.buf = buf
}

// Copy returns the n events after the given one.
func (r *Ring) Copy(after, n uint64) []queue.Event {
	n = min(n, r.high-after)
	events := make([]queue.Event, 0, n)
	for seq := after + 1; seq <= after+n; seq++ {
		events = append(events, r.At(seq))
	}
	return events
}
