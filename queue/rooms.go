package queue

import "math/bits"

// callRef names the room of a call: half a pointer, and nothing that the collector
// has to follow. Zero is none.
type callRef uint32

// rooms is where calls live: side by side, in the order in which they came, so that
// those who leave one after the other are neighbours in memory as well. Calls that
// each had a place of their own would cost a walk through the page table and a wait
// for memory every time one of a million is looked at.
//
// The room of a call that is forgotten goes to the next one.
type rooms struct {
	chunks []*chunk // by callRef; nil: given back
	gaps   []uint32 // places of chunks that were given back
	spare  []uint32 // places of chunks with free rooms; the last one is used first
	free   int      // rooms
	later  []*call  // forgotten, but to be written first
}

const (
	chunkBits = 6
	chunkSize = 1 << chunkBits // one bit of chunk.free for each
	allFree   = 1<<chunkSize - 1

	// roomsKept is how many free rooms are kept at least, for the next calls.
	roomsKept = 4096
)

type chunk struct {
	calls [chunkSize]call
	free  uint64
	place uint32 // in rooms.spare, while it stands there
}

// at returns the call with this name, nil for none.
func (r *rooms) at(ref callRef) *call {
	if ref == 0 {
		return nil
	}
	return r.get(ref)
}

// get is at for a call that is there.
func (r *rooms) get(ref callRef) *call {
	return &r.chunks[ref>>chunkBits].calls[ref%chunkSize]
}

// take returns an empty call.
func (r *rooms) take() *call {
	if len(r.spare) == 0 {
		r.addChunk()
	}
	place := r.spare[len(r.spare)-1]
	k := r.chunks[place]
	i := uint32(bits.TrailingZeros64(k.free))
	k.free &= k.free - 1
	r.free--
	if k.free == 0 {
		r.spare = r.spare[:len(r.spare)-1]
	}
	c := &k.calls[i]
	c.ref = callRef(place<<chunkBits | i)
	return c
}

// give takes back the room of a call that nothing points to any more. A record that
// is still to be written keeps its room until giveLater.
func (r *rooms) give(c *call) {
	if c.dirty {
		r.later = append(r.later, c)
		return
	}
	place := uint32(c.ref >> chunkBits)
	k := r.chunks[place]
	*c = call{ref: c.ref}
	if k.free == 0 {
		k.place = uint32(len(r.spare))
		r.spare = append(r.spare, place)
	}
	k.free |= 1 << (c.ref % chunkSize)
	r.free++
	if k.free == allFree && r.free >= roomsKept+chunkSize {
		r.dropChunk(place, k)
	}
}

// giveLater takes back the rooms of calls that have been written since.
func (r *rooms) giveLater() {
	for _, c := range r.later {
		r.give(c)
	}
	r.later = reset(r.later)
}

func (r *rooms) addChunk() {
	k := &chunk{free: allFree, place: uint32(len(r.spare))}
	var place uint32
	if n := len(r.gaps); n > 0 {
		place = r.gaps[n-1]
		r.gaps = r.gaps[:n-1]
		r.chunks[place] = k
	} else {
		place = uint32(len(r.chunks))
		r.chunks = append(r.chunks, k)
	}
	if place == 0 {
		k.free &^= 1 // whose name would be none
	}
	r.spare = append(r.spare, place)
	r.free += bits.OnesCount64(k.free)
}

// dropChunk gives a chunk back to the collector: what a burst needed is not kept.
func (r *rooms) dropChunk(place uint32, k *chunk) {
	last := len(r.spare) - 1
	moved := r.spare[last]
	r.spare[k.place] = moved
	r.chunks[moved].place = k.place
	r.spare = r.spare[:last]
	r.chunks[place] = nil
	r.gaps = append(r.gaps, place)
	r.free -= chunkSize
}
