// Package filedir keeps callers' tiers in one file beside the daemon's other
// data: the embedded adapter of tiering.Directory, on bbolt.
//
// Reads come from the memory-mapped file and wait for nobody. A change is
// fsynced before Set or SetBatch returns. One process at a time has the file.
//
// An import is several times as fast when the numbers that are near each other
// come together: in one large batch, which SetBatch sorts, or in batches out of
// lines that were sorted by number some 100,000 at a time (BenchmarkImport).
//
// What is not here: what a change does to an entry (tiering.Change), and the
// deadline of a lookup (package resolve).
package filedir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"greenlane/tiering"
)

// Directory is an open tier file. It implements tiering.Directory.
type Directory struct {
	db   *bolt.DB
	path string
	log  *slog.Logger
	form form

	// write is held (one token) by whoever changes the file, from before the
	// transaction until the subscribers have been told, so that they hear of the
	// changes in their order.
	write chan struct{}
	// broken is set by the first write that failed and never cleared: after a
	// failed fsync nobody knows what the disk holds, so no later write is
	// acknowledged until the file has been opened anew.
	broken atomic.Pointer[error]

	mu          sync.Mutex
	subscribers []*subscriber
}

type subscriber struct {
	fn func(site string, n tiering.Number, e tiering.Entry)
}

var _ tiering.Directory = (*Directory)(nil)

// Subscribe implements tiering.Directory.
func (d *Directory) Subscribe(fn func(site string, n tiering.Number, e tiering.Entry)) (cancel func()) {
	s := &subscriber{fn: fn}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.subscribers = append(slices.Clip(d.subscribers), s)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.subscribers = slices.DeleteFunc(slices.Clone(d.subscribers), func(other *subscriber) bool { return other == s })
	}
}

// listeners returns the subscribers of this moment; nobody changes the slice.
func (d *Directory) listeners() []*subscriber {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscribers
}

// Close implements tiering.Directory.
func (d *Directory) Close() error {
	d.write <- struct{}{}
	defer func() { <-d.write }()
	if err := d.db.Close(); err != nil {
		return fmt.Errorf("%w: %s: %w", tiering.ErrUnavailable, d.path, err)
	}
	return nil
}

// view runs fn in a read transaction.
func (d *Directory) view(ctx context.Context, fn func(*bolt.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.fault(guard(func() error { return d.db.View(fn) }))
}

// update runs fn in a write transaction, which is on disk when update returns
// nil. The caller holds write.
func (d *Directory) update(fn func(*bolt.Tx) error) error {
	if first := d.broken.Load(); first != nil {
		return *first
	}
	err := d.fault(guard(func() error { return d.db.Update(fn) }))
	if errors.Is(err, tiering.ErrUnavailable) {
		err = fmt.Errorf("%w; nothing more is written until the daemon has been restarted", err)
		d.broken.CompareAndSwap(nil, &err)
	}
	return err
}

// acquire waits for the right to write.
func (d *Directory) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.write <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Directory) release() { <-d.write }

// fault gives an error of bbolt its name in the port; errors that have one
// stay as they are.
func (d *Directory) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, berrors.ErrDatabaseNotOpen):
		return tiering.ErrClosed
	case errors.Is(err, tiering.ErrCorrupt):
		return err
	}
	return fmt.Errorf("%w: %s: %w", tiering.ErrUnavailable, d.path, err)
}

// guard turns what bbolt does about a damaged page, which is to panic or to
// read beyond the end of the mapped file, into an error.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file is damaged, restore it from a backup: %v", p)
		}
	}()
	return fn()
}
