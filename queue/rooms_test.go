package queue

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Nobody gets a room that somebody has, names lead to their rooms, and what a burst
// needed is given back.
func TestRooms(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	var x rooms
	var taken []*call
	seen := map[callRef]*call{}
	most, seq := 0, uint64(0)
	take := func() {
		c := x.take()
		if seen[c.ref] != nil || c.ref == 0 || x.at(c.ref) != c {
			t.Fatalf("room %d is somebody's already, or not where its name says", c.ref)
		}
		if *c != (call{ref: c.ref}) {
			t.Fatalf("room %d is not empty: %+v", c.ref, c)
		}
		seq++
		c.Seq, c.ID = seq, "somebody"
		seen[c.ref], taken = c, append(taken, c)
		most = max(most, len(x.chunks))
	}
	give := func(i int) {
		c := taken[i]
		taken = slices.Delete(taken, i, i+1)
		delete(seen, c.ref)
		x.give(c)
	}
	for range 3 {
		for range 20_000 {
			take()
			if r.IntN(3) == 0 {
				give(r.IntN(len(taken)))
			}
		}
		for len(taken) > 100 {
			give(r.IntN(1 + r.IntN(len(taken))))
			if r.IntN(4) == 0 {
				take()
			}
		}
	}
	for len(taken) > 0 {
		give(0)
	}
	kept := 0
	for _, k := range x.chunks {
		if k != nil {
			kept++
		}
	}
	if most < 200 || kept*chunkSize > roomsKept+2*chunkSize || x.free != kept*chunkSize-1 {
		t.Errorf("of %d chunks %d are kept, with %d free rooms", most, kept, x.free)
	}
	if x.at(0) != nil {
		t.Error("no name leads to a call")
	}
}

// A record that was touched can be written after its call was forgotten: its room is
// nobody's until then.
func TestRoomOfATouchedCall(t *testing.T) {
	var x rooms
	c := x.take()
	c.ID, c.Seq, c.dirty = "a", 7, true
	x.give(c)
	if next := x.take(); next == c || c.ID != "a" || c.Seq != 7 {
		t.Errorf("the record is gone before it was written: %+v", c)
	}
	c.dirty = false
	x.giveLater()
	if next := x.take(); next != c || next.ID != "" || next.Seq != 0 {
		t.Errorf("the next one in the room is %+v", next)
	}
}

// A call tells of all its events in order, few or many, close or far apart, and of
// the latest ones when there are too many.
func TestEventsOfACall(t *testing.T) {
	for name, step := range map[string]uint64{"close": 1, "apart": 1 << 30, "far apart": 1 << 40} {
		t.Run(name, func(t *testing.T) {
			c := &call{from: &origin{}}
			var want []uint64
			for i := range uint64(2 * eventsPerCall) {
				seq := 1 + i*step
				c.addEvent(seq)
				want = append(want, seq)
				if len(want) > eventsPerCall {
					want = slices.Delete(want, 1, 2) // the first one tells of the arrival
				}
				var r room
				if got := c.record(&r).Events; !slices.Equal(got, want) {
					t.Fatalf("after %d events: %v, want %v", i+1, got, want)
				}
			}
		})
	}
}
