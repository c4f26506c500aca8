package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// file is what a Log needs of the file it appends to.
type file interface {
	Write(p []byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// opener opens a file for appending; a new one must not be there yet.
type opener func(path string, fresh bool) (file, error)

func openFile(path string, fresh bool) (file, error) {
	flags := os.O_WRONLY | os.O_APPEND
	if fresh {
		flags |= os.O_CREATE | os.O_EXCL
	}
	return os.OpenFile(path, flags, 0o600)
}

const (
	namePrefix = "audit-"
	nameSuffix = ".jsonl"
)

// nameOf is the name of the n-th file of a record.
func nameOf(n int) string { return fmt.Sprintf("%s%06d%s", namePrefix, n, nameSuffix) }

// numberOf is the inverse of nameOf.
func numberOf(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, namePrefix)
	digits, ok2 := strings.CutSuffix(digits, nameSuffix)
	n, err := strconv.Atoi(digits)
	return n, ok && ok2 && err == nil && n > 0 && nameOf(n) == name
}

// Files lists the numbers of a directory's files, in order.
func Files(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		if n, ok := numberOf(e.Name()); ok && e.Type().IsRegular() {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// syncDir makes names that were added to or removed from a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes the directory, which nobody else may read.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

const lockName = "lock"

// ErrInUse says that another process has the directory open.
var ErrInUse = errors.New("another daemon writes its audit record there; give each its own data, or its own audit.dir")

func lockDir(dir string) (unlock func() error, err error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	// A verifier holds the lock for the moment in which it looks who has it.
	for range lockTries {
		if tryLock(f) {
			return f.Close, nil
		}
		time.Sleep(lockPause)
	}
	return nil, errors.Join(fmt.Errorf("audit: %s: %w", dir, ErrInUse), f.Close())
}

const (
	lockTries = 10
	lockPause = 20 * time.Millisecond
)

// inUse reports whether a daemon has the directory open.
func inUse(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockName))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // it was only locked
	return !tryLock(f)
}

// exists reports whether a path is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func removeFile(path string) error { return os.Remove(path) }
