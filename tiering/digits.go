package tiering

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
)

// digits is a regular expression over digits as an automaton: one table look-up
// for each digit, where package regexp takes fifty times as long. Numbering plans
// are read with it, some million numbers in an import.
type digits struct {
	next   [][10]uint16 // by state and digit; state 0 is the dead one
	accept []bool
	start  uint16
}

// maxDigitStates bounds an automaton. The largest plan needs a fraction of it.
const maxDigitStates = 20_000

// compileDigits returns the automaton of an expression; ok is false for one that
// looks at more than digits or would grow too large.
func compileDigits(expression string) (_ *digits, ok bool) {
	tree, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, false
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, false
	}
	for i := range prog.Inst {
		if prog.Inst[i].Op == syntax.InstEmptyWidth {
			return nil, false
		}
	}
	b := digitBuilder{prog: prog, known: map[string]uint16{}}
	b.add(nil)
	start := b.add([]uint32{uint32(prog.Start)})
	for done := 0; done < len(b.sets); done++ {
		if len(b.sets) > maxDigitStates {
			return nil, false
		}
		var row [10]uint16
		for d := range row {
			var to []uint32
			for _, pc := range b.sets[done] {
				if inst := &prog.Inst[pc]; inst.Op != syntax.InstMatch && inst.MatchRune('0'+rune(d)) {
					to = append(to, inst.Out)
				}
			}
			row[d] = b.add(to)
		}
		b.out.next = append(b.out.next, row)
	}
	b.out.start = start
	return &b.out, true
}

// digitBuilder makes an automaton's states out of sets of instructions.
type digitBuilder struct {
	prog  *syntax.Prog
	sets  [][]uint32 // by state: the instructions that read a digit or match
	known map[string]uint16
	out   digits
}

// add returns the state of what can be reached from the instructions without
// reading a digit.
func (b *digitBuilder) add(from []uint32) uint16 {
	var set []uint32
	seen := map[uint32]bool{}
	match := false
	for todo := from; len(todo) > 0; {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &b.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, inst.Out)
		case syntax.InstMatch:
			match = true
			set = append(set, pc)
		case syntax.InstFail:
		default:
			set = append(set, pc)
		}
	}
	slices.Sort(set)
	var key []byte
	for _, pc := range set {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	if state, ok := b.known[string(key)]; ok {
		return state
	}
	state := uint16(len(b.sets))
	b.known[string(key)] = state
	b.sets = append(b.sets, set)
	b.out.accept = append(b.out.accept, match)
	return state
}

// matches reports whether the expression matches all of s, which is digits.
func (m *digits) matches(s string) bool {
	state := m.start
	for i := range len(s) {
		if state = m.next[state][s[i]-'0']; state == 0 {
			return false
		}
	}
	return m.accept[state]
}

// begins reports whether the expression matches some start of s, which is digits.
func (m *digits) begins(s string) bool {
	state := m.start
	for i := range len(s) {
		if m.accept[state] {
			return true
		}
		if state = m.next[state][s[i]-'0']; state == 0 {
			return false
		}
	}
	return m.accept[state]
}
