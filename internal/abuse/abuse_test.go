package abuse

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/load/daemon"
	"greenlane/internal/logtest"
)

// TestMain lets this program be a hostile process, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ChildArg {
		if err := Child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestAbuse attacks real daemons in every way there is, each until they have told that
// they defended themselves; -short tries three. GREENLANE_ABUSE=1 makes it last: 1,000 clients, ten
// seconds an attack.
func TestAbuse(t *testing.T) {
	calls, span, clients := 100, time.Duration(0), 100
	if os.Getenv("GREENLANE_ABUSE") != "" {
		span, clients = 10*time.Second, 1000
	}
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	var log logtest.Buffer
	// What the heap may grow by before garbage is collected is as much as an attack may
	// take: these daemons collect sooner.
	d, err := Start(t.Context(), binary, &log, "GOGC=100")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	})
	for _, a := range Attacks {
		// The daemons are the same under the race detector, and what this program itself
		// does is the same for every attack.
		if testing.Short() && !slices.Contains([]string{"pings", "forged numbers", "scrapes"}, a.Name) {
			continue
		}
		t.Run(a.Name, func(t *testing.T) { withstand(t, a, d.Target(a, clients), calls, span) })
	}
	if err := d.Stop(); err != nil {
		t.Errorf("a daemon does not stop as it should: %v\n%s", err, log.String())
	}
	for _, bad := range []string{"panic", "level=ERROR"} {
		if text := log.String(); bytes.Contains([]byte(text), []byte(bad)) {
			t.Errorf("the daemons' log:\n%s", text)
		}
	}
}

// withstand attacks a daemon until it says that it has defended itself, a legitimate
// switch has made its calls, and a span is over.
func withstand(t *testing.T, a Attack, target Target, calls int, span time.Duration) {
	target.From = addressOf(a)
	ctx, cancel := context.WithTimeout(t.Context(), span+3*time.Minute)
	defer cancel()
	l, err := newLegitimate(ctx, target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	// Not asked too often: metrics have a limit, too.
	defences := func() (float64, error) {
		if a.Defence == "" {
			return 0, nil
		}
		return target.metric(ctx, a.Defence)
	}
	before, err := defences()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	start, err := target.resident(ctx)
	if err != nil {
		t.Fatal(err)
	}
	attacker, err := startHostile(ctx, order{Attack: a.Name, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	var made, most atomic.Int64
	var defended, over atomic.Bool
	defended.Store(a.Defence == "")
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		for ; !over.Load(); <-look.C {
			if n, err := target.resident(ctx); err == nil {
				most.Store(max(most.Load(), n))
			}
			// One that is too busy to answer is asked again.
			if n, err := defences(); err == nil && n > before {
				defended.Store(true)
			}
			over.Store(ctx.Err() != nil || made.Load() >= int64(calls) && time.Since(began) >= span && defended.Load())
		}
	}()
	took, err := l.until(ctx, func() bool { made.Add(1); return over.Load() })
	over.Store(true)
	<-watched
	if err != nil {
		t.Error(err)
	}
	if err := attacker.stop(); err != nil {
		t.Error(err)
	}
	if err := l.check(t.Context()); err != nil {
		t.Error(err)
	}
	if !defended.Load() {
		t.Errorf("the daemon does not say that it defended itself: %s", a.Defence)
	}
	if t.Failed() {
		return
	}
	grown := most.Load() - start
	t.Logf("%s; p99 %v, at most %v of %d calls, in %v; memory grew by %d MB", attacker.How, p99(took), slices.Max(took), len(took), time.Since(began), grown>>20)
	if grown > 100<<20 {
		t.Errorf("memory grew by %d MB, 100 are allowed", grown>>20)
	}
	// How long a caller waits is no matter of this test: a machine that does other things,
	// too, makes anybody wait. A daemon that stands still lets the context end, and
	// `make bench` measures.
}
