package queuetest

import (
	"context"
	"fmt"
	"sync"

	"greenlane/queue"
)

// Fault says what becomes of one command.
type Fault uint8

// The faults. After LostBefore the command has not happened, after LostAfter it
// has; the caller is told the same in both cases.
const (
	NoFault Fault = iota
	LostBefore
	LostAfter
)

// Faulty stands before an engine and loses commands, or their answers, as a
// broken connection or a failing-over store does: Do then returns
// queue.ErrUnavailable. Whoever repeats a command with its request id must be as
// well off as without the fault.
type Faulty struct {
	queue.Engine

	mu   sync.Mutex
	next func(queue.Command) Fault
}

// NewFaulty returns the engine behind a plan, which is asked for every command.
func NewFaulty(e queue.Engine, plan func(queue.Command) Fault) *Faulty {
	return &Faulty{Engine: e, next: plan}
}

// Do implements queue.Engine.
func (f *Faulty) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	f.mu.Lock()
	fault := f.next(cmd)
	f.mu.Unlock()
	if fault == LostBefore {
		return queue.Result{}, fmt.Errorf("%w: the command was lost", queue.ErrUnavailable)
	}
	res, err := f.Engine.Do(ctx, cmd)
	if fault == LostAfter {
		return queue.Result{}, fmt.Errorf("%w: the answer was lost", queue.ErrUnavailable)
	}
	return res, err
}
