package queuetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// Pair drives a machine and the model through the same commands and says where
// they differ, and which promise is broken.
type Pair struct {
	Site    queue.Site
	Machine *queue.Machine
	Model   *Model        // nil: the machine alone, for sites that forget
	Log     []queue.Event // of the machine

	store   *Store
	checker *Checker
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

// Apply gives a command to both. The error tells of the first difference in
// results or events; State and Check look further.
func (p *Pair) Apply(now instant.Instant, cmd queue.Command) error {
	res, err := p.Machine.Apply(now, cmd)
	res = res.Clone()
	changes := p.Machine.TakeChanges()
	p.store.Apply(changes)
	first := len(p.Log)
	p.Log = append(p.Log, changes.Events...)
	if p.Model == nil {
		return nil
	}
	want, wantErr := p.Model.Apply(now, cmd)
	if diff := diffEvents(p.Log[first:], p.Model.events[min(first, len(p.Model.events)):]); diff != "" {
		return fmt.Errorf("events: %s", diff)
	}
	if got, want := kindOf(err), kindOf(wantErr); got != want {
		return fmt.Errorf("error: machine %v, model %v", err, wantErr)
	}
	if diff := diffResults(res, want); diff != "" {
		return fmt.Errorf("result: %s", diff)
	}
	return nil
}

// CompareState compares every record: the machine's with those that a store
// has by now, and with the model's.
func (p *Pair) CompareState() error {
	if diff := diffStore(p.Machine.State(), p.store.State()); diff != "" {
		return fmt.Errorf("store: %s", diff)
	}
	if p.Model == nil {
		return nil
	}
	if diff := DiffStates(p.Machine.State(), p.Model.State()); diff != "" {
		return fmt.Errorf("state: %s", diff)
	}
	if diff := diffSnapshots(p.Machine.Snapshot(0), p.Model.Snapshot()); diff != "" {
		return fmt.Errorf("snapshot: %s", diff)
	}
	return nil
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
	first := len(p.Log)
	if _, ok := cmd.(*Restart); ok {
		if err := p.Restart(); err != nil {
			return err
		}
	} else if err := p.Apply(now, cmd); err != nil {
		return err
	}
	events := p.Log[first:]
	if err := p.checker.Events(events); err != nil {
		return err
	}
	if !deep && !endsWithOffer(events) {
		return nil
	}
	st := p.Machine.State()
	if err := p.checker.LastOffer(st, events); err != nil {
		return err
	}
	if !deep {
		return nil
	}
	if err := p.checker.State(st); err != nil {
		return err
	}
	return p.CompareState()
}

// Restart replaces the machine by one that is restored from the store, as after
// the death of its process.
func (p *Pair) Restart() error {
	machine, err := queue.RestoreMachine(p.Site, p.store.State())
	if err != nil {
		return err
	}
	p.Machine = machine
	return nil
}

// refusals lists every kind of refusal; two errors are alike when they are of
// the same kind.
var refusals = []error{
	queue.ErrInvalid, queue.ErrQueueNotFound, queue.ErrAgentNotFound, queue.ErrCallNotFound, queue.ErrOfferNotFound,
	queue.ErrCallbackNotFound, queue.ErrCallExists, queue.ErrCallbackExists, queue.ErrRequestReused, queue.ErrOfferEnded,
	queue.ErrWrongState, callback.ErrState, callback.ErrClaimed, callback.ErrNotClaimant, callback.ErrClaimant,
	callback.ErrResult, callback.ErrDue, callback.ErrDeadline,
}

func kindOf(err error) error {
	for _, kind := range refusals {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func diffEvents(got, want []queue.Event) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return "the machine lacks " + FormatEvent(want[i])
		case i >= len(want):
			return "the model lacks " + FormatEvent(got[i])
		case got[i] != want[i]:
			return fmt.Sprintf("machine %s, model %s%s", FormatEvent(got[i]), FormatEvent(want[i]), diffFields(got[i], want[i]))
		}
	}
	return ""
}

// diffResults compares two answers. The estimated wait is left out: it is a
// forecast, and its formula a matter of taste.
func diffResults(got, want queue.Result) string {
	got.EstimatedWait, want.EstimatedWait = 0, 0
	for i := range min(len(got.Items), len(want.Items)) {
		g, w := &got.Items[i], &want.Items[i]
		if kindOf(g.Err) == kindOf(w.Err) {
			g.Err, w.Err = nil, nil
		}
	}
	if len(got.Items) == 0 && len(want.Items) == 0 {
		got.Items, want.Items = nil, nil
	}
	normalizeCall(got.Call)
	normalizeCall(want.Call)
	for _, o := range []*queue.Offer{got.Offer, want.Offer} {
		if o != nil {
			normalizeCall(o.Call)
		}
	}
	if reflect.DeepEqual(got, want) {
		return ""
	}
	return diffFields(got, want)
}

// normalizeCall makes empty lists nil, so that they compare.
func normalizeCall(c *queue.Call) {
	if c == nil {
		return
	}
	c.DeclinedBy, c.Events, c.Attributes = emptyNil(c.DeclinedBy), emptyNil(c.Events), emptyNil(c.Attributes)
}

func emptyNil[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// diffFields lists the fields in which two structs of one type differ.
func diffFields(got, want any) string {
	var out []string
	g, w := reflect.Indirect(reflect.ValueOf(got)), reflect.Indirect(reflect.ValueOf(want))
	for i := range g.NumField() {
		x, y := g.Field(i), w.Field(i)
		if reflect.DeepEqual(x.Interface(), y.Interface()) {
			continue
		}
		name := g.Type().Field(i).Name
		if x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil() {
			out = append(out, name+"{"+diffFields(x.Interface(), y.Interface())+"}")
			continue
		}
		out = append(out, fmt.Sprintf("%s: machine %+v, model %+v", name, show(x), show(y)))
	}
	return strings.Join(out, "; ")
}

func show(v reflect.Value) any {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return v.Elem().Interface()
	}
	return v.Interface()
}

// DiffStates says how two sets of records differ. Left out are the requests
// and what a queue learns for its estimates.
func DiffStates(got, want *queue.State) string {
	got.Meta.RequestSeq, got.Meta.EndSeq = want.Meta.RequestSeq, want.Meta.EndSeq
	if got.Meta != want.Meta {
		return "meta: " + diffFields(got.Meta, want.Meta)
	}
	sortRecords(got)
	sortRecords(want)
	return firstOf(
		func() string { return diffRecords("calls", cloneCalls(got.Calls), cloneCalls(want.Calls)) },
		func() string { return diffRecords("agents", got.Agents, want.Agents) },
		func() string { return diffRecords("offers", clearAckBy(got.Offers), clearAckBy(want.Offers)) },
		func() string { return diffRecords("callbacks", got.Callbacks, want.Callbacks) },
		func() string { return diffRecords("owners", got.Owners, want.Owners) },
		func() string { return diffRecords("switches", got.Switches, want.Switches) },
		func() string { return diffRecords("cohorts", nonZero(got.Cohorts), nonZero(want.Cohorts)) },
		func() string { return diffRecords("totals", got.Totals, want.Totals) },
	)
}

func firstOf(checks ...func() string) string {
	for _, check := range checks {
		if diff := check(); diff != "" {
			return diff
		}
	}
	return ""
}

// cloneCalls returns copies whose empty lists are nil.
func cloneCalls(calls []*queue.Call) []*queue.Call {
	out := make([]*queue.Call, 0, len(calls))
	for _, c := range calls {
		copied := c.Clone()
		normalizeCall(copied)
		out = append(out, copied)
	}
	return out
}

// clearAckBy: what is over is watched no longer, whatever the record says.
func clearAckBy(offers []*queue.OfferRecord) []*queue.OfferRecord {
	out := make([]*queue.OfferRecord, 0, len(offers))
	for _, o := range offers {
		copied := *o
		if copied.Ended != "" {
			copied.AckBy = 0
		}
		out = append(out, &copied)
	}
	slices.SortFunc(out, func(a, b *queue.OfferRecord) int { return int(a.Epoch) - int(b.Epoch) })
	return out
}

func nonZero(cohorts []*queue.Cohort) []*queue.Cohort {
	return slices.DeleteFunc(slices.Clone(cohorts), func(c *queue.Cohort) bool { return c.Counts == queue.Counts{} })
}

func diffRecords[T any](kind string, got, want []*T) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%s: the machine lacks %+v", kind, *want[i])
		case i >= len(want):
			return fmt.Sprintf("%s: the model lacks %+v", kind, *got[i])
		case !reflect.DeepEqual(got[i], want[i]):
			return fmt.Sprintf("%s: %+v: %s", kind, *want[i], diffFields(got[i], want[i]))
		}
	}
	return ""
}
