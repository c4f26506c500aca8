package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// maxFile bounds what is read as a certificate, a list or a key.
const maxFile = 64 << 20

// kept is what was read from some files that belong together, and is read again
// when they change. Whatever cannot be read leaves what was kept before.
type kept[T any] struct {
	name  string // for logs and metrics
	files []string
	read  func(texts [][]byte) (*T, error)
	value atomic.Pointer[T]

	// Of the look that is being done, and the one before; only looks touch them.
	taken  [sha256.Size]byte // of what is kept
	before [sha256.Size]byte // of what the last look found
	failed bool              // what the last look found was tried, and is no good
}

func open[T any](name string, files []string, read func([][]byte) (*T, error)) (*kept[T], error) {
	k := &kept[T]{name: name, files: files, read: read}
	texts, err := k.readAll()
	if err != nil {
		return nil, err
	}
	value, err := read(texts)
	if err != nil {
		return nil, err
	}
	k.value.Store(value)
	k.taken = sum(texts)
	k.before = k.taken
	return k, nil
}

// now returns what is kept.
func (k *kept[T]) now() *T { return k.value.Load() }

// outcome is what a look found.
type outcome int

const (
	unchanged outcome = iota
	took              // other files, and they were taken
	broken            // other files, and they are no good: told once
)

// look reads the files again. What has changed is taken when two looks in a row
// found the same: a file that is being written, or a certificate whose key is yet
// to come, is given the time between the two.
func (k *kept[T]) look() (outcome, error) {
	texts, err := k.readAll()
	found := sum(texts)
	if err != nil {
		found = sha256.Sum256([]byte(err.Error()))
	}
	same := found == k.before
	k.before = found
	switch {
	case found == k.taken:
		k.failed = false
		return unchanged, nil
	case !same:
		k.failed = false
		return unchanged, nil
	case k.failed:
		return unchanged, nil
	}
	var value *T
	if err == nil {
		value, err = k.read(texts)
	}
	if err != nil {
		k.failed = true
		return broken, err
	}
	k.value.Store(value)
	k.taken = found
	return took, nil
}

func (k *kept[T]) readAll() ([][]byte, error) {
	texts := make([][]byte, len(k.files))
	for i, name := range k.files {
		text, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		texts[i] = text
	}
	return texts, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxFile)
	}
	return text, err
}

func sum(texts [][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, text := range texts {
		one := sha256.Sum256(text)
		h.Write(one[:])
	}
	var out [sha256.Size]byte
	h.Sum(out[:0])
	return out
}

// Counts are what the looks found since the start.
type Counts struct{ Reloads, Failures atomic.Int64 }

// Counts tells how often files were taken anew, and how often they were no good.
func (a *Authority) Counts() *Counts { return &a.counts }

// Start looks at the files from now on, until Stop.
func (a *Authority) Start() {
	a.done.Go(func() {
		t := time.NewTicker(a.opts.Every)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				a.look()
			case <-a.quit:
				return
			}
		}
	})
}

// Stop ends the looks. It is safe to repeat, and without Start.
func (a *Authority) Stop() {
	a.once.Do(func() { close(a.quit) })
	a.done.Wait()
}

// look looks at all files once.
func (a *Authority) look() {
	changed := false
	if a.server != nil {
		a.told(a.server.name, a.server.look)
	}
	if a.clients != nil {
		changed = a.told(a.clients.name, a.clients.look)
	}
	if a.tokens != nil {
		changed = a.told(a.tokens.keys.name, a.tokens.keys.look) || changed
		if r := a.tokens.revoked; r != nil {
			changed = a.told(r.name, r.look) || changed
		}
	}
	if changed {
		a.tellChanged()
	}
}

// told looks, says and counts what was found, and reports whether it was taken.
func (a *Authority) told(name string, look func() (outcome, error)) bool {
	found, err := look()
	switch found {
	case took:
		a.counts.Reloads.Add(1)
		a.log.Info("changed files were taken", "what", name)
		if a.opts.Took != nil {
			a.opts.Took(name)
		}
	case broken:
		a.counts.Failures.Add(1)
		a.log.Error("changed files are no good: those from before are used on", "what", name, "error", err)
	}
	return found == took
}

// Expiries are the first instants at which something that is kept ends; zero when
// there is none.
type Expiries struct {
	Certificate time.Time // the daemon's certificate
	CA          time.Time // the first of the clients' authorities to end
	CRL         time.Time // the first revocation list that should have a successor
}

// Expiries tells when what is kept ends.
func (a *Authority) Expiries() Expiries {
	var out Expiries
	if a.server != nil {
		out.Certificate = a.server.now().leaf.NotAfter
	}
	if a.clients != nil {
		c := a.clients.now()
		out.CA, out.CRL = c.ends, c.listsEnd
	}
	return out
}

var errNoCert = errors.New("no certificate is in it")
