package queue

import "slices"

// shelf keeps things in order, the oldest first. Most come as the last and leave
// as the first. What comes or leaves elsewhere costs its distance from the nearer
// end: what is taken back of somebody's late work lies near one of the two.
type shelf[T any] struct {
	slots  []T
	from   int // the first slot in use
	before func(a, b T) bool
}

// all returns what the shelf holds, in order. It is good until the next change.
func (s *shelf[T]) all() []T { return s.slots[s.from:] }

func (s *shelf[T]) len() int { return len(s.slots) - s.from }

func (s *shelf[T]) first() T { return s.slots[s.from] }

// dropFirst takes the oldest out.
func (s *shelf[T]) dropFirst() { s.take(0) }

// add puts x at its place, behind those that are no later.
func (s *shelf[T]) add(x T) {
	i := s.len()
	if i > 0 && s.before(x, s.slots[len(s.slots)-1]) {
		i = s.placeOf(x)
	}
	if s.from > 0 && i <= s.len()/2 {
		copy(s.slots[s.from-1:], s.slots[s.from:s.from+i])
		s.from--
		s.slots[s.from+i] = x
		return
	}
	if len(s.slots) == cap(s.slots) && s.from > len(s.slots)/2 {
		s.close()
	}
	if s.from+i == len(s.slots) {
		s.slots = append(s.slots, x)
		return
	}
	s.slots = slices.Insert(s.slots, s.from+i, x)
}

// placeOf returns the place behind those that are no later than x. It looks near
// the end first, where most belong: those that end in the same millisecond come in
// any order.
func (s *shelf[T]) placeOf(x T) int {
	list := s.all()
	high := len(list)
	low, step := high-1, 1
	for low > 0 && s.before(x, list[low]) {
		high, low, step = low, max(0, low-step), 2*step
	}
	n, _ := slices.BinarySearchFunc(list[low:high], x, func(a, b T) int {
		if s.before(b, a) {
			return 1
		}
		return -1
	})
	return low + n
}

// put lets x take the place of the one that is neither before it nor after it, or
// adds it.
func (s *shelf[T]) put(x T) {
	if s.len() > 0 && !s.before(s.slots[len(s.slots)-1], x) {
		if i, found := s.find(x); found {
			s.all()[i] = x
			return
		}
	}
	s.add(x)
}

// close moves everything to the beginning of the room.
func (s *shelf[T]) close() {
	n := copy(s.slots, s.all())
	clear(s.slots[n:])
	s.slots, s.from = s.slots[:n], 0
}

// find returns where the one stands that is neither before x nor after it.
func (s *shelf[T]) find(x T) (i int, found bool) {
	return slices.BinarySearchFunc(s.all(), x, func(a, b T) int {
		switch {
		case s.before(a, b):
			return -1
		case s.before(b, a):
			return 1
		}
		return 0
	})
}

// remove takes the one out that is neither before x nor after it, if it is there.
func (s *shelf[T]) remove(x T) {
	if i, found := s.find(x); found {
		s.take(i)
	}
}

// take empties place i, and closes the gap from the nearer end.
func (s *shelf[T]) take(i int) {
	var none T
	if i < s.len()/2 || i == 0 {
		copy(s.slots[s.from+1:], s.slots[s.from:s.from+i])
		s.slots[s.from] = none
		s.from++
		return
	}
	s.slots = slices.Delete(s.slots, s.from+i, s.from+i+1)
}
