package filedir

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// FileName is the name of the tier file in the data directory.
const FileName = "tiers.db"

// schema is the version of the file's layout. A file of another version is not
// opened.
//
// Layout: bucket "meta" holds "schema" and, for each site, the counts by tier
// under "count:" and its name. Bucket "site:" and the name holds the site's
// entries by number (codec.go). Buckets "requests:" and "request-order:" and the
// name hold first answers (requests.go). Bucket "quarantine" holds values that could not
// be read, under site, zero byte, number, zero byte and a running number. form.go
// says how entries, and their keys, are sealed.
const schema = "1"

var (
	metaBucket       = []byte("meta")
	quarantineBucket = []byte("quarantine")
	schemaKey        = []byte("schema")
)

func siteBucket(site string) []byte { return []byte("site:" + site) }

func countKey(site string) []byte { return []byte("count:" + site) }

const (
	fileMode = 0o600
	dirMode  = 0o700
	// lockWait is how long Open waits for another process to let go of the file.
	lockWait = 2 * time.Second
	// mapBytes is how much address space is mapped from the start, so that a
	// growing file does not make lookups wait for a new mapping.
	mapBytes = 1 << 30
)

// Options of Open; the zero value is ready to use.
type Options struct {
	Log *slog.Logger // where unreadable entries are reported; nil for slog.Default()
	// Keys seal what is stored. A file that was stored as it is, or that other keys
	// sealed, is written anew when it is opened. nil stores entries as they are.
	Keys *seal.Keys

	lockWait time.Duration                                                   // for tests; zero for lockWait
	openFile func(name string, flag int, mode fs.FileMode) (*os.File, error) // for tests; nil for os.OpenFile
}

// Open opens the tier file in dataDir, and makes both when they are missing.
// The error says what is wrong with a file that can't be used: it is in use, cut
// off, damaged, not a tier file, or of a layout this program does not know.
func Open(dataDir string, o Options) (*Directory, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.lockWait == 0 {
		o.lockWait = lockWait
	}
	path := filepath.Join(dataDir, FileName)
	if err := os.MkdirAll(dataDir, dirMode); err != nil {
		return nil, fmt.Errorf("open tier file: %w", err)
	}
	d := &Directory{path: path, log: o.Log, write: make(chan struct{}, 1)}
	if err := d.open(o); err != nil {
		if d.db != nil {
			err = errors.Join(err, d.db.Close())
		}
		return nil, fmt.Errorf("open tier file %s: %w", path, err)
	}
	return d, nil
}

func (d *Directory) open(o Options) error {
	if err := checkWhole(d.path, o.lockWait); err != nil {
		return err
	}
	err := guard(func() (err error) {
		d.db, err = bolt.Open(d.path, fileMode, &bolt.Options{
			Timeout:         o.lockWait,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: mapBytes,
			OpenFile:        o.openFile,
		})
		return err
	})
	if err != nil {
		return explain(err)
	}
	if err := guard(func() error { return d.db.Update(prepare) }); err != nil {
		return err
	}
	if err := guard(func() error { return d.unlock(o) }); err != nil {
		return err
	}
	return syncDir(filepath.Dir(d.path))
}

// checkWhole looks whether the file is as long as it says, before anything
// reads where its end was.
func checkWhole(path string, wait time.Duration) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	if info.Size() == 0 { // made, and the maker stopped before writing to it
		return nil
	}
	return guard(func() error {
		db, err := bolt.Open(path, fileMode, &bolt.Options{ReadOnly: true, Timeout: wait})
		if err != nil {
			return explain(err)
		}
		tx, err := db.Begin(false)
		if err != nil {
			return errors.Join(err, db.Close())
		}
		size := tx.Size()
		if err := errors.Join(tx.Rollback(), db.Close()); err != nil {
			return err
		}
		if info.Size() < size {
			return fmt.Errorf("it is cut off: %d of %d bytes are there; restore it from a backup", info.Size(), size)
		}
		return nil
	})
}

// explain says in words what bbolt found.
func explain(err error) error {
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("another process is using it: %w", err)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return fmt.Errorf("it is damaged or not a tier file; restore it from a backup, or move it away to start with none: %w", err)
	}
	return err
}

// prepare lays an empty file out, and refuses one that somebody else laid out.
func prepare(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if name, _ := tx.Cursor().First(); name != nil {
			return errors.New("it is not a tier file: it has no schema version; move it away to start with none")
		}
		meta, err := tx.CreateBucket(metaBucket)
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket(quarantineBucket); err != nil {
			return err
		}
		return meta.Put(schemaKey, []byte(schema))
	}
	if got := meta.Get(schemaKey); string(got) != schema {
		return fmt.Errorf("its schema version is %q and this program knows only %q: use the program that wrote it, "+
			"or export the tiers with that and import them here", got, schema)
	}
	if tx.Bucket(quarantineBucket) == nil {
		return fmt.Errorf("%w: the quarantine bucket is missing", tiering.ErrCorrupt)
	}
	return nil
}

// syncDir makes a new file's name in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
