package abuse

import (
	"bytes"
	"os"
	"testing"
	"time"

	"greenlane/internal/load/daemon"
)

// TestAbuse attacks a real daemon in every way there is. GREENLANE_ABUSE=1 makes
// it last: 1,000 clients, ten seconds an attack.
func TestAbuse(t *testing.T) {
	span, clients := 700*time.Millisecond, 100
	if os.Getenv("GREENLANE_ABUSE") != "" {
		span, clients = 10*time.Second, 1000
	}
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	d, err := daemon.New(daemon.Options{Binary: binary, Config: Config, Env: Env(), Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	target := Target{Addr: d.Addr(), HTTP: d.HTTP(), Clients: clients, Forged: 4000}
	for _, a := range Attacks {
		t.Run(a.Name, func(t *testing.T) {
			r, err := Run(t.Context(), a, target, span)
			if err != nil {
				t.Error(err)
			}
			t.Logf("p99 %v before, %v during (%.1f times), %d calls; memory grew by %d MB", r.Before, r.During, r.Ratio(), r.Calls, r.Grown>>20)
			if r.Grown > 100<<20 {
				t.Errorf("memory grew by %d MB, 100 are allowed", r.Grown>>20)
			}
			// A machine that does other things, too, makes anybody wait: this finds what
			// stops a daemon, and `make bench` measures.
			if r.During > 2*time.Second {
				t.Errorf("a legitimate caller waits %v", r.During)
			}
		})
	}
	if err := d.Stop(); err != nil {
		t.Errorf("the daemon does not stop as it should: %v\n%s", err, log.String())
	}
	if bytes.Contains(log.Bytes(), []byte("panic")) || bytes.Contains(log.Bytes(), []byte("level=ERROR")) {
		t.Errorf("the daemon's log:\n%s", log.String())
	}
}
