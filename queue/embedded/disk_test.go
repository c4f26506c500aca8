package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// What a failed commit must leave behind, whichever way it failed.
func checkFailed(t *testing.T, e *Engine, cause error) {
	t.Helper()
	ctx := context.Background()
	<-e.Failed()
	if err := e.Err(); !errors.Is(err, cause) || !strings.Contains(err.Error(), e.store.path) {
		t.Errorf("Err is %v: it should name the file and be %v", err, cause)
	}
	_, doErr := e.Do(ctx, arrive("after"))
	_, askErr := e.Snapshot(ctx)
	_, readErr := e.Events(ctx, 0, 1)
	_, lastErr := e.LastEvent(ctx)
	for what, err := range map[string]error{"Do": doErr, "Snapshot": askErr, "Events": readErr, "LastEvent": lastErr} {
		if !errors.Is(err, queue.ErrUnavailable) || !errors.Is(err, cause) {
			t.Errorf("%s after the failure: %v", what, err)
		}
	}
	shut(t, e)
}

func TestFailingCommit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrap func(commit func() error) error
		want bool // the command is on disk nevertheless
	}{
		"before":       {func(func() error) error { return syscall.EIO }, false},
		"after":        {func(commit func() error) error { return errors.Join(commit(), syscall.EIO) }, true},
		"panic before": {func(func() error) error { panic(syscall.EIO) }, false},
		"panic after":  {func(commit func() error) error { _ = commit(); panic(syscall.EIO) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, site := t.TempDir(), testSite()
			var logged bytes.Buffer
			failing := false
			e := open(t, dir, Options{Logger: slog.New(slog.NewTextHandler(&logged, nil)), WrapCommit: func(commit func() error) error {
				if failing {
					return c.wrap(commit)
				}
				return commit()
			}})
			mustDo(t, e, arrive("before"))
			waiter := make(chan error, 1)
			go func() { _, err := e.Events(context.Background(), 1, 1); waiter <- err }()
			good := dumpEngine(t, e, &site)
			failing = true
			if _, err := e.Do(context.Background(), arrive("lost")); !errors.Is(err, queue.ErrUnavailable) {
				t.Errorf("the command whose commit failed got %v", err)
			}
			if err := <-waiter; !errors.Is(err, queue.ErrUnavailable) {
				t.Errorf("a waiting reader got %v", err)
			}
			if strings.HasPrefix(name, "panic") {
				<-e.Failed()
				if err := e.Err(); err == nil || !strings.Contains(err.Error(), "panic: "+syscall.EIO.Error()) {
					t.Errorf("Err is %v", err)
				}
				if !strings.Contains(logged.String(), "stack=") {
					t.Errorf("no stack in the log: %s", logged.String())
				}
				shut(t, e)
			} else {
				checkFailed(t, e, syscall.EIO)
			}
			again := open(t, dir, Options{})
			if _, err := again.Call(context.Background(), "lost"); (err == nil) != c.want {
				t.Errorf("after reopening: %v", err)
			}
			if !c.want {
				dumpEngine(t, again, &site).equal(t, good, "after reopening")
			}
		})
	}
}

// Everyone in the failed batch, and everyone behind it, is told.
func TestFailureAnswersEveryone(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	failing := false
	e := open(t, t.TempDir(), Options{MaxBatch: 4, MaxPending: 8, WrapCommit: func(commit func() error) error {
		if !failing {
			return commit()
		}
		close(entered)
		<-leave
		return syscall.EIO
	}})
	mustDo(t, e, arrive("c0"))
	failing = true
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			var err error
			if i%3 == 0 {
				_, err = e.Snapshot(context.Background())
			} else {
				_, err = e.Do(context.Background(), arrive(fmt.Sprint("x", i)))
			}
			if err != nil && !errors.Is(err, syscall.EIO) {
				t.Errorf("got %v", err)
			}
			if err == nil && i%3 != 0 {
				t.Error("acknowledged on a failing disk")
			}
		})
	}
	<-entered
	close(leave)
	wg.Wait()
	checkFailed(t, e, syscall.EIO)
}

// A panic in a decision fails the engine; it is not served around.
func TestPanicInADecision(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), Options{})
	mustDo(t, e, arrive("c1"))
	_, err := decider.Ask(context.Background(), e.Port, func(*queue.Machine, instant.Instant) (int, error) { panic("boom") })
	if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v", err)
	}
	<-e.Failed()
}

// A disk that is really full.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting a small file system is not permitted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	site := testSite()
	site.Keep.Calls, site.Keep.Requests, site.Keep.Events = 100_000, 100_000, 100_000
	e := openSite(t, dir, site, Options{})
	var mu sync.Mutex
	var acknowledged []string
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%d-%d", c, i)
				if _, err := e.Do(context.Background(), arrive(id)); err != nil {
					if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, queue.ErrUnavailable) {
						t.Errorf("%s: %v", id, err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	checkFailed(t, e, syscall.ENOSPC)

	// Starting on the full disk is refused or serves, but never starts anew.
	if again, err := Open(dir, site, Options{}); err == nil {
		shut(t, again)
	} else if !strings.Contains(err.Error(), dir) {
		t.Errorf("the error names no file: %v", err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	again := openSite(t, dir, site, Options{})
	dumpFile(t, &site, again).equal(t, dumpEngine(t, again, &site), "after the disk was mended")
	if len(acknowledged) < 100 {
		t.Fatalf("only %d commands before the disk was full", len(acknowledged))
	}
	for _, id := range acknowledged {
		info, err := again.Call(context.Background(), id)
		if err != nil {
			t.Fatalf("%s was acknowledged and is lost: %v", id, err)
		}
		if len(info.Events) != len(info.Call.Events) {
			t.Errorf("%s has %d events, %d are kept", id, len(info.Call.Events), len(info.Events))
		}
	}
	shut(t, again) // before the file system goes
}

// A start on a disk that can't be written says which file.
func TestUnwritableDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, "size=1m"); err != nil {
		t.Skipf("mounting a read-only file system is not permitted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	if _, err := Open(dir, testSite(), Options{}); !errors.Is(err, os.ErrPermission) && !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}
