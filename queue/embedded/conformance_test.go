package embedded_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/queue/queuetest"
)

// openForSuite opens an engine on the suite's clock. Its restart is a crash:
// the files as they stand at that moment, and nothing that the engine did since.
func openForSuite(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
	t.Helper()
	var writing sync.Mutex // so that a copy of the files is taken between commits and checkpoints
	alone := func(write func() error) error {
		writing.Lock()
		defer writing.Unlock()
		return write()
	}
	// Checkpoints come often, since a case has few commands.
	opts := embedded.Options{
		Now: clock.Now, NoSync: true, NoTimers: true, WrapCommit: alone, WrapCheckpoint: alone, CheckpointBytes: 10_000,
	}
	start := func(t testing.TB, dir string) *embedded.Engine {
		t.Helper()
		e, err := embedded.Open(dir, site, opts)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	dir := t.TempDir()
	e := start(t, dir)
	return queuetest.Opened{Engine: e, Restart: func(t testing.TB) queue.Engine {
		t.Helper()
		killed := t.TempDir()
		writing.Lock()
		err := os.CopyFS(killed, os.DirFS(dir))
		writing.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		dir = killed
		e = start(t, dir)
		return e
	}}
}

func TestConformance(t *testing.T) { queuetest.Run(t, openForSuite) }
