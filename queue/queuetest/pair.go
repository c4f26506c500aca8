package queuetest

import (
	"fmt"

	"greenlane/internal/instant"
	"greenlane/queue"
)

// Pair drives a machine and the model through the same commands and says where
// they differ, and which promise is broken.
type Pair struct {
	Site    queue.Site
	Machine *queue.Machine
	Model   *Model        // nil: the machine alone
	Log     []queue.Event // of the machine
	Batch   int           // without a model: how many commands share one TakeChanges; 0 = 1

	store   *Store
	checker *Checker
	steps   int
}

// NewPair returns a machine and a model of an empty site.
func NewPair(site queue.Site) (*Pair, error) {
	machine, err := queue.NewMachine(site)
	if err != nil {
		return nil, err
	}
	model, err := NewModel(site)
	if err != nil {
		return nil, err
	}
	return &Pair{Site: site, Machine: machine, Model: model, store: NewStore(), checker: NewChecker(site)}, nil
}

// Restart is the step of a sequence that is no command: the machine is
// replaced by one restored from its records.
type Restart struct{ queue.Tick }

// Kind implements queue.Command.
func (*Restart) Kind() string { return "restart" }

// Step gives a command to both, compares what they answer and write, and checks
// the order of service. With deep it compares every record as well, and checks
// all the promises that hold after every command.
func (p *Pair) Step(now instant.Instant, cmd queue.Command, deep bool) error {
	p.steps++
	if _, ok := cmd.(*Restart); ok {
		if err := p.check(p.take(), false); err != nil {
			return err
		}
		return p.restart()
	}
	res, err := p.Machine.Apply(now, cmd)
	if p.Model == nil {
		if p.Batch > 1 && p.steps%p.Batch != 0 && !deep {
			return nil
		}
		return p.check(p.take(), deep)
	}
	res = res.Clone()
	events := p.take()
	first := len(p.Model.events)
	want, wantErr := p.Model.Apply(now, cmd)
	if diff := diffEvents(events, p.Model.events[first:]); diff != "" {
		return fmt.Errorf("events: %s", diff)
	}
	if got, want := kindOf(err), kindOf(wantErr); got != want {
		return fmt.Errorf("error: machine %q, model %q", got, want)
	}
	if diff := diffResults(res, want); diff != "" {
		return fmt.Errorf("result: %s", diff)
	}
	return p.check(events, deep)
}

// take moves what the machine has changed into the store and its events into
// the log, and returns the events.
func (p *Pair) take() []queue.Event {
	changes := p.Machine.TakeChanges()
	p.store.Apply(changes)
	first := len(p.Log)
	p.Log = append(p.Log, changes.Events...)
	return p.Log[first:]
}

// check holds the machine to the promises, after the events of one step (or of
// one batch).
func (p *Pair) check(events []queue.Event, deep bool) error {
	if err := p.checker.Events(events); err != nil {
		return err
	}
	inOrder := p.Batch <= 1 && endsWithOffer(events)
	if !deep && !inOrder {
		return nil
	}
	st := p.Machine.State()
	if inOrder {
		if err := p.checker.LastOffer(st, events); err != nil {
			return err
		}
	}
	if !deep {
		return nil
	}
	if err := p.checker.State(st); err != nil {
		return err
	}
	return p.compareState()
}

// compareState compares every record: the machine's with those that a store
// has by now, and with the model's.
func (p *Pair) compareState() error {
	if diff := diffStore(p.Machine.State(), p.store.State()); diff != "" {
		return fmt.Errorf("store: %s", diff)
	}
	if p.Model == nil {
		return nil
	}
	if diff := DiffStates(p.Machine.State(), p.Model.State()); diff != "" {
		return fmt.Errorf("state: %s", diff)
	}
	if diff := diffSnapshots(p.Machine.Statistics(0), p.Model.Snapshot()); diff != "" {
		return fmt.Errorf("snapshot: %s", diff)
	}
	return nil
}

// restart replaces the machine by one that is restored from the store, as after
// the death of its process.
func (p *Pair) restart() error {
	machine, err := queue.RestoreMachine(p.Site, p.store.State())
	if err != nil {
		return err
	}
	p.Machine = machine
	return p.compareState()
}
