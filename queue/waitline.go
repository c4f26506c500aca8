package queue

import "sort"

// line holds the entries of one slot in order of rank. An entry's rank must
// not change while it stands there.
//
// It is made for what callers do: most come to the end and leave from the front,
// some leave from anywhere, few come back to an old place. Entries stand in blocks;
// who comes last or leaves first touches no other entry, whatever the line's length.
type line struct {
	blocks []lineBlock // none is empty; in order
	n      int
	spare  *[blockSize]*entry // of a block that emptied, for the next one

	warmed uint64 // see warmUp
}

// lineBlock is a run of entries: at[from:to].
type lineBlock struct {
	at       *[blockSize]*entry
	from, to int32
	least    rank // no entry here ranks before it, none of an earlier block after it
}

const (
	blockSize = 256
	// warmStep is how many entries are brought near at a time.
	warmStep = 16
)

func (b *lineBlock) len() int          { return int(b.to - b.from) }
func (b *lineBlock) entries() []*entry { return b.at[b.from:b.to] }

// place returns how many entries of the block rank before r.
func (b *lineBlock) place(r rank) int {
	list := b.entries()
	return sort.Search(len(list), func(i int) bool { return !list[i].rank().before(r) })
}

func (l *line) len() int { return l.n }

// last returns the entry that ranks after all others; there must be one.
func (l *line) last() *entry {
	b := &l.blocks[len(l.blocks)-1]
	return b.at[b.to-1]
}

func (l *line) add(e *entry) {
	r := e.rank()
	l.n++
	if l.n == 1 || l.last().rank().before(r) {
		l.push(e, r)
		return
	}
	i := l.blockOf(r)
	if l.blocks[i].len() == blockSize {
		l.split(i)
		i = l.blockOf(r)
	}
	b := &l.blocks[i]
	if r.before(b.least) {
		b.least = r
	}
	at := int32(b.place(r))
	if b.to < blockSize {
		copy(b.at[b.from+at+1:b.to+1], b.at[b.from+at:b.to])
		b.to++
	} else {
		copy(b.at[b.from-1:], b.at[b.from:b.from+at])
		b.from--
	}
	b.at[b.from+at] = e
}

// push adds the entry of the greatest rank.
func (l *line) push(e *entry, r rank) {
	if l.n > 1 {
		b := &l.blocks[len(l.blocks)-1]
		if b.to == blockSize && b.from >= blockSize/2 {
			n := copy(b.at[:], b.entries())
			clear(b.at[n:])
			b.from, b.to = 0, int32(n)
		}
		if b.to < blockSize {
			b.at[b.to] = e
			b.to++
			return
		}
	}
	at := l.room()
	at[0] = e
	l.blocks = append(l.blocks, lineBlock{at: at, to: 1, least: r})
}

// room returns the room of a new block.
func (l *line) room() *[blockSize]*entry {
	if at := l.spare; at != nil {
		l.spare = nil
		return at
	}
	return new([blockSize]*entry)
}

// blockOf returns the index of the block where r stands or would stand.
func (l *line) blockOf(r rank) int {
	return max(0, sort.Search(len(l.blocks), func(i int) bool { return r.before(l.blocks[i].least) })-1)
}

// split moves the upper half of a block into a new one behind it.
func (l *line) split(i int) {
	upper := lineBlock{at: l.room()}
	b := &l.blocks[i]
	list := b.entries()
	half := len(list) / 2
	upper.to = int32(copy(upper.at[:], list[half:]))
	upper.least = upper.at[0].rank()
	clear(list[half:])
	b.to = b.from + int32(half)
	l.insertBlock(i+1, upper)
}

func (l *line) insertBlock(i int, b lineBlock) {
	l.blocks = append(l.blocks, lineBlock{})
	copy(l.blocks[i+1:], l.blocks[i:])
	l.blocks[i] = b
}

func (l *line) remove(e *entry) {
	if l.n == 0 {
		return
	}
	b := &l.blocks[0]
	if b.at[b.from] == e { // the first one leaves most often
		b.at[b.from] = nil
		b.from++
		l.n--
		if b.from == b.to {
			l.dropBlock(0)
			l.warmUp()
		} else if b.from%warmStep == 0 {
			l.warmUp()
		}
		return
	}
	i := l.blockOf(e.rank())
	b = &l.blocks[i]
	list := b.entries()
	for at := range list {
		if list[at] != e {
			continue
		}
		copy(list[at:], list[at+1:])
		b.to--
		b.at[b.to] = nil
		l.n--
		l.shrunk(i)
		return
	}
}

// shrunk drops a block that has emptied, and lets one that has little left go
// together with the next.
func (l *line) shrunk(i int) {
	b := &l.blocks[i]
	if b.from == b.to {
		l.dropBlock(i)
		return
	}
	if i+1 == len(l.blocks) {
		return
	}
	if next := &l.blocks[i+1]; b.len()+next.len() <= blockSize/2 {
		n := copy(b.at[:], b.entries())
		n += copy(b.at[n:], next.entries())
		clear(b.at[n:])
		clear(next.entries())
		b.from, b.to = 0, int32(n)
		l.dropBlock(i + 1)
	}
}

// dropBlock forgets a block, whose room is clear.
func (l *line) dropBlock(i int) {
	l.spare = l.blocks[i].at
	if i == 0 && len(l.blocks) > 1 {
		l.blocks[0] = lineBlock{}
		l.blocks = l.blocks[1:]
		return
	}
	copy(l.blocks[i:], l.blocks[i+1:])
	l.blocks[len(l.blocks)-1] = lineBlock{}
	l.blocks = l.blocks[:len(l.blocks)-1]
}

// each visits the entries in order, those that rank before from left out, while
// visit returns true. Nobody may add or remove any meanwhile.
func (l *line) each(from rank, visit func(*entry) bool) {
	if l.n == 0 {
		return
	}
	first := l.blockOf(from)
	at := l.blocks[first].place(from)
	for i := first; i < len(l.blocks); i++ {
		for _, e := range l.blocks[i].entries()[at:] {
			if !visit(e) {
				return
			}
		}
		at = 0
	}
}

// scan visits the entries in order while visit returns true.
func (l *line) scan(visit func(*entry) bool) {
	for i := range l.blocks {
		for _, e := range l.blocks[i].entries() {
			if !visit(e) {
				return
			}
		}
	}
}

// first returns the first entry that ok accepts.
func (l *line) first(ok func(*entry) bool) (found *entry) {
	if l.n == 0 {
		return nil
	}
	b := &l.blocks[0]
	if e := b.at[b.from]; ok(e) {
		return e
	}
	l.scan(func(e *entry) bool {
		if ok(e) {
			found = e
		}
		return found == nil
	})
	return found
}

// index returns how many entries rank before r.
func (l *line) index(r rank) int {
	if l.n == 0 {
		return 0
	}
	if last := l.last().rank(); last.before(r) {
		return l.n
	} else if last == r {
		return l.n - 1 // an arrival asks for its own place
	}
	i := l.blockOf(r)
	n := l.blocks[i].place(r)
	for k := range l.blocks[:i] {
		n += l.blocks[k].len()
	}
	return n
}

// warmUp reads the calls that are next but warmStep, so that they are near the
// processor when their turn comes. A call that comes to the front of a long line was
// last looked at long ago: read one by one, each would be waited for several times;
// read together they are waited for once.
func (l *line) warmUp() {
	if l.n <= warmStep {
		return // they came a moment ago
	}
	b := &l.blocks[0]
	if at := b.from + warmStep; at < b.to {
		l.warm(b.at[at:min(at+warmStep, b.to)])
	} else if len(l.blocks) > 1 {
		b = &l.blocks[1]
		l.warm(b.at[b.from:min(b.from+warmStep, b.to)])
	}
}

func (l *line) warm(list []*entry) {
	for _, e := range list {
		if c := e.call; c != nil {
			l.warmed += c.warm()
		}
	}
}
