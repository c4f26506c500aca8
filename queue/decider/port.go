package decider

import (
	"context"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// Port is the part of queue.Engine that is decided by the machine alone: commands,
// and questions, which are answered between two batches.
type Port struct{ mail *Mailbox }

// NewPort returns one that leaves everything in a mailbox.
func NewPort(mail *Mailbox) Port { return Port{mail} }

// Do implements queue.Engine. cmd must not be changed any more.
//
// When ctx ends before the decider has taken the command, Do returns ctx's error
// and nothing has happened, nor will it. When ctx ends later, the error is both
// ctx's and ErrUnavailable: the command may have happened, and repeating it with
// the same request id is safe.
func (p Port) Do(ctx context.Context, cmd queue.Command) (queue.Result, error) {
	if cmd == nil {
		return queue.Result{}, &queue.Error{Kind: queue.ErrInvalid, Field: "command", Detail: "must be set"}
	}
	r := &Request{Cmd: cmd}
	if err := p.mail.Serve(ctx, r); err != nil {
		return queue.Result{}, err
	}
	return r.Res, r.Err
}

// Ask has the decider answer a question between two batches.
func Ask[T any](ctx context.Context, p Port, question func(m *queue.Machine, now instant.Instant) (T, error)) (answer T, err error) {
	r := &Request{}
	var given T
	var refused error
	r.Ask = func(m *queue.Machine, now instant.Instant) { given, refused = question(m, now) }
	if err := p.mail.Serve(ctx, r); err != nil {
		return answer, err
	}
	if r.Err != nil {
		return answer, r.Err
	}
	return given, refused
}

// Snapshot implements queue.Engine.
func (p Port) Snapshot(ctx context.Context) (*queue.Snapshot, error) {
	return Ask(ctx, p, func(m *queue.Machine, now instant.Instant) (*queue.Snapshot, error) { return m.Snapshot(now), nil })
}

// Statistics implements queue.Engine.
func (p Port) Statistics(ctx context.Context) (*queue.Snapshot, error) {
	return Ask(ctx, p, func(m *queue.Machine, now instant.Instant) (*queue.Snapshot, error) { return m.Statistics(now), nil })
}

type page[T any] struct {
	items []T
	next  string
}

func paged[T any](items []T, next string, err error) (page[T], error) {
	return page[T]{items, next}, err
}

// Calls implements queue.Engine.
func (p Port) Calls(ctx context.Context, f queue.CallFilter) ([]queue.Call, string, error) {
	list, err := Ask(ctx, p, func(m *queue.Machine, _ instant.Instant) (page[queue.Call], error) { return paged(m.Calls(f)) })
	return list.items, list.next, err
}

// Agents implements queue.Engine.
func (p Port) Agents(ctx context.Context, f queue.AgentFilter) ([]queue.Agent, string, error) {
	list, err := Ask(ctx, p, func(m *queue.Machine, _ instant.Instant) (page[queue.Agent], error) { return paged(m.Agents(f)) })
	return list.items, list.next, err
}

// Callbacks implements queue.Engine.
func (p Port) Callbacks(ctx context.Context, f queue.CallbackFilter) ([]callback.Callback, string, error) {
	list, err := Ask(ctx, p, func(m *queue.Machine, _ instant.Instant) (page[callback.Callback], error) {
		return paged(m.Callbacks(f))
	})
	return list.items, list.next, err
}

// Positions implements queue.Engine.
func (p Port) Positions(ctx context.Context, switchID string) ([]queue.Position, error) {
	return Ask(ctx, p, func(m *queue.Machine, _ instant.Instant) ([]queue.Position, error) { return m.Positions(switchID), nil })
}

// Cohorts implements queue.Engine.
func (p Port) Cohorts(ctx context.Context, from, to instant.Instant) ([]queue.Cohort, error) {
	return Ask(ctx, p, func(m *queue.Machine, _ instant.Instant) ([]queue.Cohort, error) { return m.Cohorts(from, to), nil })
}
