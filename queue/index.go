package queue

import (
	"hash/maphash"
	"iter"

	"greenlane/tiering"
)

// index finds calls by a text of theirs. It does what a map would do, and is made
// for a site that keeps a hundred thousand calls and more, of which each is looked
// up a few times in its life and forgotten when nothing of it is in a processor's
// cache any more: it holds a call's name and its hash side by side, eight of them in
// one line of the cache, never looks at the text of a call that is not the one,
// forgets a call without reading its text, and is nothing to the collector.
//
// Calls are spread over shards, so that growing one delays no command noticeably.
type index struct {
	rooms    *rooms
	byCaller bool // by number, else by id
	seed     maphash.Seed
	last     string // the key that was hashed last, which is often asked for again
	lastHash uint32
	shards   [indexShards]shard
}

const (
	indexShards = 64
	shardBits   = 32 - 6 // of a hash, the upper ones say which shard
	leastSlots  = 8
)

// shard is an open hash table: a call stands in the first free slot from the one
// that its hash names.
type shard struct {
	slots []indexSlot // a power of two of them
	n     int
}

// indexSlot is a call's hash and, in the lower half, its callRef; 0 is free.
type indexSlot uint64

func slotFor(hash uint32, ref callRef) indexSlot { return indexSlot(hash)<<32 | indexSlot(ref) }

func (s indexSlot) hash() uint32 { return uint32(s >> 32) }
func (s indexSlot) ref() callRef { return callRef(s) }

func newIndex(r *rooms, byCaller bool) index {
	return index{rooms: r, byCaller: byCaller, seed: maphash.MakeSeed()}
}

func (x *index) key(c *call) string {
	if x.byCaller {
		return string(c.Caller)
	}
	return c.ID
}

// hashOf returns where a call keeps its hash in this index.
func (x *index) hashOf(c *call) *uint32 {
	if x.byCaller {
		return &c.callerHash
	}
	return &c.idHash
}

func (x *index) hash(key string) uint32 {
	if key != x.last {
		x.last, x.lastHash = key, uint32(maphash.String(x.seed, key))
	}
	return x.lastHash
}

// find returns the place of a key in its shard: the slot of the call that has it,
// or the free one that it would get. The shard must have a free slot.
func (x *index) find(s *shard, hash uint32, key string) *indexSlot {
	mask := uint32(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		slot := &s.slots[i]
		if *slot == 0 || slot.hash() == hash && x.key(x.rooms.get(slot.ref())) == key {
			return slot
		}
	}
}

// get returns the call with this key, nil when there is none.
func (x *index) get(key string) *call {
	hash := x.hash(key)
	s := &x.shards[hash>>shardBits]
	if s.n == 0 {
		return nil
	}
	return x.rooms.at(x.find(s, hash, key).ref())
}

// warm reads the slot that a hash names, which is then near for whoever is about
// to look there; what, is of no use.
func (x *index) warm(hash uint32) uint64 {
	s := &x.shards[hash>>shardBits]
	if s.n == 0 {
		return 0
	}
	return uint64(s.slots[hash&uint32(len(s.slots)-1)])
}

// put makes c the call of its key, and returns the one it takes the place of.
func (x *index) put(c *call) (before *call) {
	hash := x.hash(x.key(c))
	*x.hashOf(c) = hash
	s := &x.shards[hash>>shardBits]
	if 4*(s.n+1) > 3*len(s.slots) {
		s.resize(max(leastSlots, 2*len(s.slots)))
	}
	slot := x.find(s, hash, x.key(c))
	before = x.rooms.at(slot.ref())
	*slot = slotFor(hash, c.ref)
	if before == nil {
		s.n++
	}
	return before
}

// replace puts c, which has the same key, in the place of old, which is there; a
// nil c takes it out.
func (x *index) replace(old, c *call) {
	hash := *x.hashOf(old)
	want := slotFor(hash, old.ref)
	s := &x.shards[hash>>shardBits]
	mask := uint32(len(s.slots) - 1)
	i := hash & mask
	for s.slots[i] != want {
		if s.slots[i] == 0 {
			panic("queue: a call is not where its hash says")
		}
		i = (i + 1) & mask
	}
	if c != nil {
		*x.hashOf(c) = hash
		s.slots[i] = slotFor(hash, c.ref)
		return
	}
	s.free(i, mask)
	s.n--
	if len(s.slots) > leastSlots && 8*s.n < len(s.slots) {
		s.resize(len(s.slots) / 2)
	}
}

// free empties slot i, and moves back into it who would no longer be found
// behind a free slot.
func (s *shard) free(i, mask uint32) {
	for j := (i + 1) & mask; s.slots[j] != 0; j = (j + 1) & mask {
		// Who stands at j may stand at i when that is not before the slot of its hash.
		if (j-s.slots[j].hash())&mask >= (j-i)&mask {
			s.slots[i] = s.slots[j]
			i = j
		}
	}
	s.slots[i] = 0
}

func (s *shard) resize(n int) {
	old := s.slots
	s.slots = make([]indexSlot, n)
	mask := uint32(n - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		i := slot.hash() & mask
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = slot
	}
}

// all visits every call once, in no order. Nobody may put or replace meanwhile.
func (x *index) all() iter.Seq[*call] {
	return func(yield func(*call) bool) {
		for i := range x.shards {
			for _, slot := range x.shards[i].slots {
				if slot != 0 && !yield(x.rooms.get(slot.ref())) {
					return
				}
			}
		}
	}
}

// The calls of one number form a ring by sameCaller, in the order in which they
// became known: the index has the last one, and that one leads to the first. They
// are forgotten in about the same order.

// keepCall makes a call known until forgetCall.
func (m *Machine) keepCall(c *call) {
	m.calls.put(c)
	if m.bySeq != nil {
		m.bySeq[c.Seq] = c
	}
	m.linkCaller(c)
}

func (m *Machine) forgetCall(c *call) {
	m.calls.replace(c, nil)
	if m.bySeq != nil {
		delete(m.bySeq, c.Seq)
	}
	m.unlinkCaller(c)
}

// renumber gives a new call the sequence number of the one whose place it takes.
func (m *Machine) renumber(c *call, seq uint64) {
	if m.bySeq != nil {
		delete(m.bySeq, c.Seq)
		m.bySeq[seq] = c
	}
	c.Seq, c.timer = seq, newTimer(c, classCall, seq)
}

// linkCaller makes a call findable by its number until it is forgotten.
func (m *Machine) linkCaller(c *call) {
	if c.Caller == "" {
		return
	}
	c.sameCaller = c.ref
	if last := m.byCaller.put(c); last != nil {
		c.sameCaller, last.sameCaller = last.sameCaller, c.ref
	}
}

func (m *Machine) unlinkCaller(c *call) {
	if c.Caller == "" {
		return
	}
	if c.sameCaller == c.ref {
		m.byCaller.replace(c, nil)
		c.sameCaller = 0
		return
	}
	// The one before the first of them, which is forgotten first, is the last.
	last := m.byCaller.get(string(c.Caller))
	before := last
	for before.sameCaller != c.ref {
		before = m.rooms.get(before.sameCaller)
	}
	before.sameCaller, c.sameCaller = c.sameCaller, 0
	if last == c {
		m.byCaller.replace(c, before)
	}
}

// callsOf visits the calls of a number in the order in which they became known.
func (m *Machine) callsOf(caller tiering.Number) iter.Seq[*call] {
	return func(yield func(*call) bool) {
		last := m.byCaller.get(string(caller))
		if last == nil {
			return
		}
		for c := m.rooms.get(last.sameCaller); ; c = m.rooms.get(c.sameCaller) {
			if !yield(c) || c == last {
				return
			}
		}
	}
}
