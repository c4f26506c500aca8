package queue_test

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/queuetest"
)

// world is some daemons that share a site as the Redis engine lets them: each has a
// copy of the machine, decides on it, and commits what it decided if nobody was
// faster. Whoever was slower takes it back, takes over what the others left, and
// decides again. One machine that is given every committed command says what must
// come of it.
type world struct {
	sites   [2]queue.Site // the second one has a queue less
	site    queue.Site    // in force
	how     ways
	store   *queuetest.Store
	commits []*queue.Changes
	daemons []*daemon
	oracle  *queue.Machine
}

// ways are what a world can do in more than one way.
type ways struct {
	batches bool // changes are taken once for a batch, not after each command
	folded  bool // commits are folded into one for those who follow
}

type daemon struct {
	m       *queue.Machine
	twin    *queue.Machine // restored from what Sync left
	version int            // how many commits it knows
	pending []decided
	changes *queue.Changes // of those that are pending
}

type decided struct {
	at  instant.Instant
	cmd queue.Command
}

// move is a step of one daemon.
type move struct {
	queue.Tick
	Do     queue.Command // nil: commit
	Daemon int
	Reload bool
	Skip   uint64 // somebody commits that so many offers were made
	Config int    // not 0: the site that is in force from now on
}

// Kind implements queue.Command.
func (v *move) Kind() string {
	switch {
	case v.Config > 0:
		return fmt.Sprint("site ", v.Config)
	case v.Skip > 0:
		return fmt.Sprint("skip ", v.Skip)
	case v.Reload:
		return fmt.Sprint("reload ", v.Daemon)
	case v.Do == nil:
		return fmt.Sprint("commit ", v.Daemon)
	}
	return fmt.Sprintf("%d: %s", v.Daemon, queuetest.FormatCommand(v.Do))
}

func newWorld(site queue.Site, daemons int, how ways) (*world, error) {
	w := &world{sites: [2]queue.Site{site, without(site)}, site: site, how: how, store: queuetest.NewStore()}
	var err error
	if w.oracle, err = queue.NewMachine(site); err != nil {
		return nil, err
	}
	for range daemons {
		d := &daemon{changes: &queue.Changes{}}
		if d.m, err = queue.NewMachine(site); err != nil {
			return nil, err
		}
		w.daemons = append(w.daemons, d)
	}
	return w, nil
}

// replay plays a sequence of moves and returns the first difference.
func replay(seq queuetest.Sequence, daemons int, how ways) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	w, err := newWorld(seq.Site, daemons, how)
	if err != nil {
		return err
	}
	now := queuetest.GenStart
	for i, step := range seq.Steps {
		now = now.Add(step.After)
		if err := w.move(now, step.Cmd.(*move)); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	for i := range w.daemons {
		if err := w.commit(i); err != nil {
			return fmt.Errorf("at the end, daemon %d: %w", i, err)
		}
	}
	return nil
}

func (w *world) move(now instant.Instant, v *move) error {
	d := w.daemons[v.Daemon]
	switch {
	case v.Config > 0:
		return w.configure(w.sites[v.Config-1])
	case v.Skip > 0:
		return w.skip(v.Skip)
	case v.Reload:
		return w.reload(d)
	case v.Do == nil:
		return w.commit(v.Daemon)
	}
	if len(d.pending) == 0 && d.version < len(w.commits) {
		if err := w.follow(d); err != nil {
			return fmt.Errorf("follow: %w", err)
		}
	}
	d.pending = append(d.pending, decided{now, v.Do})
	_, err := w.decide(d, d.pending[len(d.pending)-1])
	return err
}

// decide gives a command to a daemon's machine and to its twin, which answer alike.
func (w *world) decide(d *daemon, c decided) (string, error) {
	res, err := d.m.Apply(c.at, c.cmd)
	answer := answerOf(res, err)
	if d.twin != nil {
		res, err := d.twin.Apply(c.at, c.cmd)
		if want := answerOf(res, err); answer != want {
			return "", fmt.Errorf("answers\n%s, restored\n%s", answer, want)
		}
	}
	if w.how.batches {
		return answer, nil
	}
	return answer, w.take(d)
}

// take collects what a daemon has changed.
func (w *world) take(d *daemon) error {
	ch := d.m.TakeChanges()
	if d.twin != nil {
		if got, want := dump(ch), dump(d.twin.TakeChanges()); got != want {
			return fmt.Errorf("changes\n%s, restored\n%s", got, want)
		}
	}
	copied := queuetest.CloneChanges(ch)
	copied.Events = slices.Clone(ch.Events)
	queuetest.Fold(d.changes, copied)
	return nil
}

// commit ends a batch. A daemon that is behind catches up and decides again.
func (w *world) commit(i int) error {
	d := w.daemons[i]
	if err := w.take(d); err != nil {
		return err
	}
	if d.version < len(w.commits) {
		if err := w.catchUp(d); err != nil {
			return fmt.Errorf("catch up: %w", err)
		}
		for _, c := range d.pending {
			if _, err := w.decide(d, c); err != nil {
				return fmt.Errorf("again %s: %w", queuetest.FormatCommand(c.cmd), err)
			}
		}
		if err := w.take(d); err != nil {
			return err
		}
	}
	if len(d.pending) == 0 {
		return nil
	}
	var events []queue.Event
	for _, c := range d.pending {
		_, _ = w.oracle.Apply(c.at, c.cmd) // a refusal is an answer
		events = append(events, w.oracle.TakeChanges().Events...)
	}
	if got, want := dump(d.changes.Events), dump(events); got != want {
		return fmt.Errorf("events\n%s, alone\n%s", got, want)
	}
	w.store.Apply(d.changes)
	w.commits = append(w.commits, queuetest.CloneChanges(d.changes))
	d.version = len(w.commits)
	d.done()
	if diff := diffStates(d.m.State(), w.oracle.State()); diff != "" {
		return fmt.Errorf("committed %s", diff)
	}
	return nil
}

func (d *daemon) done() {
	d.pending, d.changes = nil, &queue.Changes{}
}

// skip commits, in nobody's name, that many offers have been made: the next ones
// push out those that are remembered.
func (w *world) skip(n uint64) error {
	ch := w.store.Under(&queue.Changes{})
	ch.Meta.Epoch += n
	w.store.Apply(ch)
	w.commits = append(w.commits, ch)
	return w.oracle.Sync(queuetest.CloneChanges(ch))
}

func (w *world) follow(d *daemon) error {
	all := &queue.Changes{}
	for _, ch := range w.commits[d.version:] {
		copied := queuetest.CloneChanges(ch)
		if w.how.folded {
			queuetest.Fold(all, copied)
		} else if err := d.m.Sync(copied); err != nil {
			return err
		}
	}
	if w.how.folded {
		if err := d.m.Sync(all); err != nil {
			return err
		}
	}
	return w.synced(d)
}

// catchUp takes back what is pending, and takes over what others committed.
func (w *world) catchUp(d *daemon) error {
	all := &queue.Changes{}
	for _, ch := range w.commits[d.version:] {
		queuetest.Fold(all, queuetest.CloneChanges(ch))
	}
	queuetest.Fold(all, w.store.Under(d.changes))
	if err := d.m.Sync(all); err != nil {
		return err
	}
	d.changes = &queue.Changes{}
	return w.synced(d)
}

// synced compares what Sync left with a machine restored from it, and with the one
// that decided alone.
func (w *world) synced(d *daemon) error {
	d.version = len(w.commits)
	twin, err := queue.RestoreMachine(w.site, queuetest.CloneState(d.m.State()))
	if err != nil {
		return err
	}
	d.twin = twin
	if diff := queue.DiffDerived(d.m, twin); diff != "" {
		return fmt.Errorf("against restored: %s", diff)
	}
	if diff := diffStates(d.m.State(), twin.State()); diff != "" {
		return fmt.Errorf("against restored: %s", diff)
	}
	at, ok := d.m.NextTimer()
	if wantAt, want := twin.NextTimer(); at != wantAt || ok != want {
		return fmt.Errorf("the next timer is %v, restored %v", at, wantAt)
	}
	if diff := queue.DiffDerived(d.m, w.oracle); diff != "" {
		return fmt.Errorf("against alone: %s", diff)
	}
	if diff := diffStates(d.m.State(), w.oracle.State()); diff != "" {
		return fmt.Errorf("against alone: %s", diff)
	}
	return nil
}

// configure gives everybody another site. Nothing of what is kept of a queue that is
// gone gets lost by that.
func (w *world) configure(site queue.Site) (err error) {
	for _, d := range w.daemons {
		if err := w.take(d); err != nil {
			return err
		}
		if err := w.catchUp(d); err != nil {
			return err
		}
		d.done()
	}
	w.site = site
	for _, d := range w.daemons {
		if d.m, err = queue.RestoreMachine(site, queuetest.CloneState(d.m.State())); err != nil {
			return err
		}
		d.twin = nil
	}
	if w.oracle, err = queue.RestoreMachine(site, queuetest.CloneState(w.oracle.State())); err != nil {
		return err
	}
	for _, d := range w.daemons {
		if diff := queue.DiffDerived(d.m, w.oracle); diff != "" {
			return fmt.Errorf("another site: %s", diff)
		}
	}
	return w.reload(w.daemons[0])
}

// without returns the site without its last queue.
func without(site queue.Site) queue.Site {
	last := len(site.Queues) - 1
	gone := site.Queues[last].Name
	site.Queues = slices.Clone(site.Queues[:last])
	for i := range site.Queues {
		if site.Queues[i].Overflow.To == gone {
			site.Queues[i].Overflow = queue.Overflow{}
		}
	}
	site.Routes = nil
	return site
}

func (w *world) reload(d *daemon) (err error) {
	d.m, err = queue.RestoreMachine(w.site, w.store.State())
	if err != nil {
		return err
	}
	d.version, d.twin = len(w.commits), nil
	d.done()
	if diff := queue.DiffDerived(d.m, w.oracle); diff != "" {
		return fmt.Errorf("reloaded: %s", diff)
	}
	return nil
}

func diffStates(got, want *queue.State) string {
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for i := range g.NumField() {
		x, y := g.Field(i).Interface(), w.Field(i).Interface()
		if reflect.DeepEqual(x, y) {
			continue
		}
		if x, y := dump(x), dump(y); x != y { // empty lists are alike, however they are made
			return fmt.Sprintf("%s:\n%s, not\n%s", g.Type().Field(i).Name, x, y)
		}
	}
	return ""
}

func answerOf(res queue.Result, err error) string { return fmt.Sprintf("%s %v", dump(res), err) }

// dump writes all there is in a value that others can see; a list in a line each.
func dump(v any) string {
	var b strings.Builder
	dumpTo(&b, reflect.ValueOf(v), true)
	return b.String()
}

func dumpTo(b *strings.Builder, v reflect.Value, top bool) {
	if v.IsValid() && v.CanInterface() {
		if err, ok := v.Interface().(error); ok {
			fmt.Fprintf(b, "%v", err)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			b.WriteString("-")
			return
		}
		dumpTo(b, v.Elem(), top)
	case reflect.Slice:
		b.WriteString("[")
		for i := range v.Len() {
			if top {
				b.WriteString("\n\t")
			}
			dumpTo(b, v.Index(i), false)
			b.WriteString(" ")
		}
		b.WriteString("]")
	case reflect.Struct:
		b.WriteString("{")
		for i := range v.NumField() {
			if f := v.Field(i); v.Type().Field(i).IsExported() && !f.IsZero() && (f.Kind() != reflect.Slice || f.Len() > 0) {
				b.WriteString(" " + v.Type().Field(i).Name + ":")
				dumpTo(b, f, top)
			}
		}
		b.WriteString("}")
	default:
		fmt.Fprintf(b, "%v", v.Interface())
	}
}

// moves makes a sequence of moves up from a source of choices. One machine is given
// every command, so that they name what there is.
func moves(site queue.Site, src queuetest.Source, daemons, n int) queuetest.Sequence {
	seq := queuetest.Sequence{Site: site}
	m, err := queue.NewMachine(site)
	if err != nil {
		panic(err)
	}
	gen, now := queuetest.NewGenerator(site, src), queuetest.GenStart
	for range n {
		due, _ := m.NextTimer()
		step := gen.Next(now, queuetest.CloneState(m.State()), due)
		now = now.Add(step.After)
		v := &move{Daemon: src.Intn("daemon", daemons)}
		if _, restart := step.Cmd.(*queuetest.Restart); restart {
			switch src.Intn("what", 4) {
			case 0:
				v.Reload = true
			case 1, 2:
				v.Config = 1 + src.Intn("site", 2)
			case 3:
				v.Skip = 8192 - 6 + uint64(src.Intn("offers", 8))
			}
		} else {
			v.Do = step.Cmd
			_, _ = m.Apply(now, step.Cmd)
			m.TakeChanges()
		}
		seq.Steps = append(seq.Steps, queuetest.Step{After: step.After, Cmd: v})
		if src.Intn("commit", 3) == 0 {
			seq.Steps = append(seq.Steps, queuetest.Step{Cmd: &move{Daemon: src.Intn("who commits", daemons)}})
		}
	}
	return seq
}

// forgetful makes a site forget soon, so that much of what is taken back was
// forgotten by then.
func forgetful(site *queue.Site) {
	site.Keep = queue.Keep{
		CallsAge: time.Minute, Calls: 100, CallbacksAge: time.Minute, Callbacks: 100, RequestsAge: time.Second, Requests: 100,
		EventsAge: time.Minute, Events: 1000, CohortsAge: 25 * time.Hour, AgentsAge: time.Minute,
	}
}
