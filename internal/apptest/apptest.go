// Package apptest runs the daemon inside a test.
package apptest

import (
	"context"
	"testing"
	"time"

	"greenlane/internal/app"
	"greenlane/internal/config"
)

// patience is how long a daemon may take to stop.
const patience = time.Minute

// Start runs a daemon until the test ends, or until Stop.
func Start(t testing.TB, cfg *config.Config, opts app.Options) *app.App {
	t.Helper()
	a, err := app.New(cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Stop(t, a) })
	return a
}

// Stop stops a daemon. One that has failed by itself may fail to stop, too.
func Stop(t testing.TB, a *app.App) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := a.Stop(ctx); err != nil && a.Err() == nil {
		t.Errorf("stopping the daemon: %v", err)
	}
}
