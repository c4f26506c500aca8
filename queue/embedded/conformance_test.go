package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"greenlane/queue"
	"greenlane/queue/embedded"
	"greenlane/queue/queuetest"
)

// openForSuite opens an engine on the suite's clock. Its restart is a crash:
// the file as it stands at that moment, and nothing that the engine did since.
func openForSuite(t testing.TB, site queue.Site, clock *queuetest.Clock) queuetest.Opened {
	t.Helper()
	var writing sync.Mutex // so that a copy of the file is taken between commits
	opts := embedded.Options{Now: clock.Now, NoSync: true, NoTimers: true, WrapCommit: func(commit func() error) error {
		writing.Lock()
		defer writing.Unlock()
		return commit()
	}}
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
		file := site.Name + ".db"
		writing.Lock()
		killed, err := os.ReadFile(filepath.Join(dir, file))
		writing.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), killed, 0o600); err != nil {
			t.Fatal(err)
		}
		e = start(t, dir)
		return e
	}}
}

func TestConformance(t *testing.T) { queuetest.Run(t, openForSuite) }
