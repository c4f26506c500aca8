package queuetest

import (
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"greenlane/queue"
)

// Replay runs steps against a new machine and model and returns the first
// difference or broken promise, nil when there is none. A panic counts as one.
func Replay(site queue.Site, steps []Step) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	p, err := NewPair(site)
	if err != nil {
		return err
	}
	now := GenStart
	for i, step := range steps {
		now = now.Add(step.After)
		if err := p.Step(now, step.Cmd); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// Shrink removes steps, and time, for as long as fails still says so. It is
// what makes a failure of thousands of commands readable.
func Shrink(steps []Step, fails func([]Step) bool) []Step {
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(steps); {
			// The time that passed before a removed step passes before the next one.
			cut := append([]Step(nil), steps[:at]...)
			rest := append([]Step(nil), steps[at+size:]...)
			kept := append(append([]Step(nil), cut...), rest...)
			if len(rest) > 0 {
				gone := time.Duration(0)
				for _, s := range steps[at : at+size] {
					gone += s.After
				}
				kept[at].After += gone
			}
			if fails(kept) {
				steps = kept
				continue
			}
			if kept = append(cut, rest...); fails(kept) {
				steps = kept
				continue
			}
			at += size
		}
	}
	for i := range steps {
		shorter := append([]Step(nil), steps...)
		shorter[i].After = 0
		if steps[i].After > 0 && fails(shorter) {
			steps = shorter
		}
	}
	return steps
}

// FormatSteps writes steps for people, one in a line, with the time of day.
func FormatSteps(steps []Step) string {
	var b strings.Builder
	now := GenStart
	for _, s := range steps {
		now = now.Add(s.After)
		fmt.Fprintf(&b, "  %s %s\n", FormatInstant(now), FormatCommand(s.Cmd))
	}
	return b.String()
}
