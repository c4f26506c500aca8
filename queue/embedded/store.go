package embedded

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"greenlane/internal/instant"
	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/decider"
)

// mapBytes is the address space that is set aside for the file. While the file
// is smaller, growing it never has to wait for readers.
const mapBytes = 1 << (22 + strconv.IntSize/8) // 1 GiB; 64 MiB on a 32-bit machine

// store is the database and its journal.
type store struct {
	db      *bbolt.DB
	path    string
	journal *journal
	seal    *seal.Store // nil: records are stored as they are
}

// openStore opens, or makes, the file of a site.
func openStore(dir, site string, opts *Options) (_ *store, err error) {
	if site != filepath.Base(site) || site == "." || site == ".." {
		return nil, fmt.Errorf("embedded: site %q can't be part of a file's name", site)
	}
	s := &store{path: filepath.Join(dir, site+".db")}
	defer func() {
		if err != nil {
			err = openError("open", s.path, err)
		}
	}()
	if err := s.make(dir, site, opts); err != nil {
		return nil, err
	}
	if err := checkHeader(s.path); err != nil {
		return nil, err
	}
	if s.db, err = openFile(s.path, opts); err != nil {
		return nil, err
	}
	if err := s.takeUp(dir, site, opts); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// takeUp checks an open database, and brings what its journal holds into it.
func (s *store) takeUp(dir, site string, opts *Options) error {
	if err := guard(func() error { return s.checkSchema(site) }); err != nil {
		return err
	}
	j := &journal{paths: journalPaths(s.path), sync: !opts.NoSync}
	if err := s.lost(j.paths); err != nil {
		return err
	}
	if err := j.open(); err != nil {
		return err
	}
	s.journal = j
	if err := s.recover(j); err != nil {
		return err
	}
	if err := guard(func() error { return s.unlock(site, opts) }); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil { // first the files, then the word that they are there
		return err
	}
	return s.beside(true)
}

func (s *store) close() error {
	err := s.db.Close()
	if s.journal != nil {
		err = errors.Join(err, s.journal.close())
	}
	return err
}

// openError names the file; a panic while it is read means that its pages
// contradict each other.
func openError(what, path string, err error) error {
	if _, ok := errors.AsType[*decider.PanicError](err); ok {
		return fmt.Errorf("embedded: %s %s: it is damaged: %w", what, path, err)
	}
	return fmt.Errorf("embedded: %s %s: %w", what, path, err)
}

func openFile(path string, opts *Options) (db *bbolt.DB, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:         opts.LockTimeout,
			FreelistType:    bbolt.FreelistMapType,
			InitialMmapSize: mapBytes,
			NoSync:          opts.NoSync,
		})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("another process holds it: %w", err)
	}
	return db, err
}

// make creates the file, with its schema, unless it is there. It appears under
// its name only when it is whole, so that an empty file of that name always
// means damage and never a new site.
func (s *store) make(dir, site string, opts *Options) error {
	if _, err := os.Stat(s.path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	draft := s.path + ".new"
	if info, err := os.Stat(draft); err == nil && info.Size() > 0 && checkHeader(draft) != nil {
		// The power failed while it was made. Nobody has ever used it.
		if err := os.Remove(draft); err != nil {
			return err
		}
	}
	db, err := openFile(draft, opts)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error { return initialise(tx, site) })
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link, since it does not replace what somebody else made meanwhile.
	if err := os.Link(draft, s.path); err != nil {
		if _, there := os.Stat(s.path); there == nil || os.Rename(draft, s.path) != nil {
			return err
		}
	}
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir))))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func initialise(tx *bbolt.Tx, site string) error {
	for _, name := range bucketNames {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return errors.Join(tx.Bucket(bucketNames[bucketMeta]).Put(keySite, []byte(site)), markVersion(tx))
}

// markVersion makes a database one of this schema's version, with a journal that
// no other has.
func markVersion(tx *bbolt.Tx) error {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	return errors.Join(
		tx.Bucket(bucketNames[bucketMeta]).Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaVersion)),
		putPosition(tx, position{Journal: binary.BigEndian.Uint64(id[:])}),
	)
}

func (s *store) checkSchema(site string) error {
	older := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketNames[bucketMeta])
		if b == nil {
			return errors.New("it is no Greenlane database")
		}
		version := b.Get(keySchema)
		if len(version) != 4 {
			return errors.New("it is no Greenlane database: it has no schema version")
		}
		v := binary.BigEndian.Uint32(version)
		if older = v == versionWithoutJournal; !older && v != schemaVersion {
			return fmt.Errorf("it has schema version %d and this program knows version %d only", v, schemaVersion)
		}
		if name := b.Get(keySite); string(name) != site {
			return fmt.Errorf("it belongs to site %q, not to %q", name, site)
		}
		for _, name := range bucketNames {
			if tx.Bucket(name) == nil {
				return fmt.Errorf("it is damaged: bucket %s is missing", name)
			}
		}
		return nil
	})
	if err == nil && older {
		err = s.db.Update(markVersion)
	}
	return err
}

// logEnds is what the file says of the event log.
type logEnds struct {
	first, last uint64          // first = last+1: it holds none
	firstAt     instant.Instant // of event first
}

// load reads every record, and where the event log begins and ends.
func (s *store) load() (st *queue.State, ends logEnds, err error) {
	if st, err = loadState(s.each, s.seal); err == nil {
		err = guard(func() error {
			return s.db.View(func(tx *bbolt.Tx) error {
				if v := tx.Bucket(bucketNames[bucketMeta]).Get(keyCounters); v != nil {
					if err := decode(s.seal, bucketMeta, keyCounters, v, &st.Meta); err != nil {
						return fmt.Errorf("counters: %w", err)
					}
				}
				ends, err = s.readLogEnds(tx, st.Meta.LastEvent)
				return err
			})
		})
	}
	if err != nil {
		return nil, logEnds{}, openError("read", s.path, err)
	}
	return st, ends, nil
}

// each is an eachRecord, in a transaction of its own.
func (s *store) each(bucket bucketID, f func(key, value []byte) error) error {
	return s.db.View(func(tx *bbolt.Tx) error { return tx.Bucket(bucketNames[bucket]).ForEach(f) })
}

func (s *store) readLogEnds(tx *bbolt.Tx, last uint64) (logEnds, error) {
	c := tx.Bucket(bucketNames[bucketEvents]).Cursor()
	key, value := c.First()
	if key == nil {
		return logEnds{first: last + 1, last: last}, nil
	}
	end, _ := c.Last()
	if len(key) != 8 || len(end) != 8 || binary.BigEndian.Uint64(end) != last {
		return logEnds{}, fmt.Errorf("event log: it ends at %x and the counters say %d", end, last)
	}
	at, err := eventAt(s.seal, key, value)
	if err != nil {
		return logEnds{}, fmt.Errorf("event %x: %w", key, err)
	}
	return logEnds{first: binary.BigEndian.Uint64(key), last: last, firstAt: at}, nil
}

// guard turns a panic of f into an error: bbolt panics when a page is not what
// it should be, the kernel sends a fault when a mapped page can't be read, and
// whatever else goes wrong inside must not end in half a state.
func guard(f func() error) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return decider.Guard(f)
}
