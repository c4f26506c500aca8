package embedded

import (
	"fmt"
	"sync"
	"testing"

	"greenlane/queue"
)

// After a commit, whichever, a machine restored from the file must be the
// machine that wrote it, record by record. One commit in four is looked at: what
// one forgets to write, the later ones lack too.
func TestRestoredAfterACommit(t *testing.T) {
	steps := 1000
	if testing.Short() {
		steps = 300
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			clock, site, dir := newTestClock(), testSite(), t.TempDir()
			var e *Engine
			step, look := "open", newRandom(seed, clock).r
			opts := Options{Now: clock.Now, NoSync: true, WrapCommit: func(commit func() error) error {
				err := commit()
				if err == nil && e != nil && look.IntN(4) == 0 {
					if err := e.checkpoint(); err != nil {
						return err
					}
					st, _, err := e.store.load()
					if err != nil {
						return err
					}
					m, err := queue.RestoreMachine(site, st)
					if err != nil {
						return err
					}
					dumpState(t, &site, m.State()).equal(t, dumpState(t, &site, e.machine.State()), step)
				}
				return err
			}}
			e = open(t, dir, opts)
			g := newRandom(seed, clock)
			for i := range steps {
				cmd := g.next()
				step = fmt.Sprintf("step %d, %s", i, cmd.Kind())
				g.do(t, e, cmd)
				if t.Failed() {
					t.Fatal("stopped at the first difference")
				}
				if i%100 == 99 {
					shut(t, e)
					e = nil
					e = open(t, dir, opts)
				}
			}
		})
	}
}

// A copy of the files, taken at any commit or checkpoint, opens to the state of
// the last commit.
func TestCopyAtAnyCommit(t *testing.T) {
	t.Parallel()
	clock, site, dir := newTestClock(), testSite(), t.TempDir()
	type moment struct {
		files files
		state dump
	}
	var moments []moment
	var e *Engine
	var writing sync.Mutex // so that a copy is taken between them
	g := newRandom(7, clock)
	pickMoment := newRandom(8, clock).r
	opts := Options{Now: clock.Now, NoSync: true, CheckpointBytes: 20_000, WrapCommit: func(commit func() error) error {
		writing.Lock()
		defer writing.Unlock()
		if err := commit(); err != nil {
			return err
		}
		if e != nil && pickMoment.IntN(20) == 0 {
			moments = append(moments, moment{readSite(t, dir), dumpState(t, &site, e.machine.State())})
		}
		return nil
	}, WrapCheckpoint: func(checkpoint func() error) error {
		writing.Lock()
		defer writing.Unlock()
		return checkpoint()
	}}
	e = open(t, dir, opts)
	for range 1500 {
		g.do(t, e, g.next())
	}
	shut(t, e)
	if len(moments) < 20 {
		t.Fatalf("only %d moments", len(moments))
	}
	for i, m := range moments {
		dir := m.files.write(t)
		dumpRestored(t, dir, site).equal(t, m.state, fmt.Sprint("moment ", i))
		shut(t, open(t, dir, Options{NoSync: true}))
	}
}

// A name that goes and comes back within one command must not be lost: an
// owner's lease runs out in the same batch in which it is renewed.
func TestOwnerThatComesBackInItsOwnBatch(t *testing.T) {
	t.Parallel()
	clock, site, dir := newTestClock(), testSite(), t.TempDir()
	e := open(t, dir, Options{Now: clock.Now})
	mustDo(t, e, &queue.RenewOwner{Owner: "d1"})
	clock.move(site.OwnerLease * 2)
	mustDo(t, e, &queue.RenewOwner{Owner: "d1"})
	dumpFile(t, &site, e).equal(t, dumpEngine(t, e, &site), "owner renewed late")

	mustDo(t, e, &queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}})
	mustDo(t, e, &queue.SignOut{Agent: "anna"})
	clock.move(site.Keep.AgentsAge * 2)
	mustDo(t, e, &queue.SignIn{Agent: "anna", Services: []queue.Service{{Queue: "default", Level: 1}}})
	dumpFile(t, &site, e).equal(t, dumpEngine(t, e, &site), "agent back after being forgotten")
}
