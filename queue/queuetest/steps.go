package queuetest

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"greenlane/queue"
)

// Step is one command and how much time passes before it.
type Step struct {
	After time.Duration
	Cmd   queue.Command
}

// Sequence is a site and what happens to it.
type Sequence struct {
	Site  queue.Site
	Steps []Step
}

// RandomSequence draws a site and n commands for it. The model follows along,
// so that the commands name what there is.
func RandomSequence(src Source, n int) Sequence {
	seq := Sequence{Site: GenSite(src)}
	model, err := NewModel(seq.Site)
	must(err)
	gen, now := NewGenerator(seq.Site, src), GenStart
	for range n {
		due, _ := model.NextTimer()
		step := gen.Next(now, model.glance(), due)
		now = now.Add(step.After)
		seq.Steps = append(seq.Steps, step)
		if _, restart := step.Cmd.(*Restart); !restart {
			_, _ = model.Apply(now, step.Cmd) // a refusal is an answer
		}
	}
	return seq
}

// Check says how a sequence is replayed.
type Check struct {
	Deep  int  // all records are compared after every so many steps, and after the last
	Alone bool // the machine without the model, which may then forget
	Batch int  // alone: how many commands are stored at once
}

// Replay runs a sequence against a new machine and a new model and returns the
// first difference or broken promise, nil when there is none. A panic counts as
// one.
func Replay(seq Sequence, how Check) error {
	p, err := NewPair(seq.Site)
	if err != nil {
		return err
	}
	if how.Alone {
		p.Model, p.Batch, p.checker.Forgets = nil, how.Batch, true
	}
	return catch(func() error {
		now := GenStart
		for i, step := range seq.Steps {
			now = now.Add(step.After)
			if err := p.Step(now, step.Cmd, i%how.Deep == how.Deep-1 || i == len(seq.Steps)-1); err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
		}
		return nil
	})
}

// catch makes a panic an error.
func catch(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}

// Shrink leaves steps out, and time, for as long as the sequence still fails.
// It is what makes a failure after a hundred commands readable.
func Shrink(seq Sequence, fails func(Sequence) bool) Sequence {
	try := func(steps []Step) bool {
		if !fails(Sequence{seq.Site, steps}) {
			return false
		}
		seq.Steps = steps
		return true
	}
	for size := len(seq.Steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(seq.Steps); {
			if !try(without(seq.Steps, at, size, true)) && !try(without(seq.Steps, at, size, false)) {
				at += size
			}
		}
	}
	for i := range seq.Steps {
		sooner := append([]Step(nil), seq.Steps...)
		sooner[i].After = 0
		if seq.Steps[i].After > 0 {
			try(sooner)
		}
	}
	return seq
}

// without returns steps without size of them from at on. The time that passed
// before those passes before the next one if it is kept.
func without(steps []Step, at, size int, keepTime bool) []Step {
	out := append([]Step(nil), steps[:at]...)
	out = append(out, steps[at+size:]...)
	if keepTime && at < len(out) {
		for _, gone := range steps[at : at+size] {
			out[at].After += gone.After
		}
	}
	return out
}

// GoString is String: what rapid logs.
func (s Sequence) GoString() string { return s.String() }

// String writes the steps for people, one in a line, with the time of day.
func (s Sequence) String() string {
	var b strings.Builder
	now := GenStart
	for _, step := range s.Steps {
		now = now.Add(step.After)
		fmt.Fprintf(&b, "\n  %s %s", FormatInstant(now), FormatCommand(step.Cmd))
	}
	return b.String()
}
