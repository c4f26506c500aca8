package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"greenlane/internal/load"
	"greenlane/internal/load/screen"
)

// progressEvery is the time between two lines of progress.
const progressEvery = 5 * time.Second

// progress prints a line now and then until the returned function is called.
func progress(w io.Writer, run *load.Run) (stop func()) {
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		t := time.NewTicker(progressEvery)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				p := run.Progress()
				fmt.Fprintf(w, "%s  %s: %d calls, %d live\n", screen.Clock(p.Now), p.Phase, p.Calls, p.Live)
			case <-done:
				return
			}
		}
	})
	return func() { close(done); wait.Wait() }
}
