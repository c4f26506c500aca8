package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/bbolt"

	"greenlane/internal/seal"
	"greenlane/queue/record"
)

// unlock makes the file's sealed records readable, and what is written from now on
// sealed, when there are keys for it. The file is written anew when not all of it
// is sealed with the current key, and when somebody was erased: bbolt leaves what
// it deletes in pages that it uses again some day.
func (s *store) unlock(site string, opts *Options) error {
	var kept []byte
	var erased, used bool
	err := s.db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketNames[bucketMeta])
		kept = append(kept, meta.Get(keySeals)...)
		erased, used = meta.Get(keyErased) != nil, meta.Get(keyCounters) != nil
		return nil
	})
	if err != nil {
		return err
	}
	var header []byte
	reseal := false
	switch {
	case opts.Keys != nil:
		if s.seal, header, err = opts.Keys.Store("queue "+site, kept); err != nil {
			return err
		}
		if reseal = used && (kept == nil || s.seal.Stale()); reseal {
			header = s.seal.Fresh()
		}
	case kept != nil:
		return fmt.Errorf("it is encrypted: privacy.keys must name the keys %s", strings.Join(seal.KeyIDs(kept), ", "))
	}
	if reseal || erased {
		opts.Logger.Info("the file is written anew", "file", s.path, "encrypted_anew", reseal, "after_erasure", erased)
		return s.rewrite(opts, reseal, header)
	}
	if header == nil {
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketNames[bucketMeta]).Put(keySeals, header) })
}

// rewriteStep is how many records one transaction of a rewriting holds.
const rewriteStep = 10_000

// rewrite copies every record into a new file that takes the old one's place in
// one step: a crash before it leaves the old one as it is. With reseal each is
// sealed anew.
func (s *store) rewrite(opts *Options, reseal bool, header []byte) (err error) {
	draft := s.path + ".rewrite"
	if err := os.Remove(draft); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	fast := *opts
	fast.NoSync = true // it is synced once, as a whole
	db, err := openFile(draft, &fast)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close(), os.Remove(draft))
		}
	}()
	c := &copying{from: s, to: db, reseal: reseal}
	if err := s.db.View(func(tx *bbolt.Tx) error { return c.all(tx, header) }); err != nil {
		return err
	}
	if err := db.Sync(); err != nil {
		return err
	}
	// Both files are locked by this process while the name moves on.
	if err := os.Rename(draft, s.path); err != nil {
		return err
	}
	old := s.db
	s.db, db.NoSync = db, opts.NoSync
	return errors.Join(syncDir(filepath.Dir(s.path)), old.Close())
}

// copying is one rewriting.
type copying struct {
	from   *store
	to     *bbolt.DB
	reseal bool
	place  []byte
}

func (c *copying) all(tx *bbolt.Tx, header []byte) error {
	for id, name := range bucketNames {
		if err := c.bucket(tx, bucketID(id), name); err != nil {
			return err
		}
	}
	if header == nil {
		return nil
	}
	return c.to.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketNames[bucketMeta]).Put(keySeals, header) })
}

func (c *copying) bucket(tx *bbolt.Tx, id bucketID, name []byte) error {
	cursor := tx.Bucket(name).Cursor()
	key, value := cursor.First()
	for more := true; more; {
		err := c.to.Update(func(to *bbolt.Tx) error {
			b, err := to.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			b.FillPercent = max(fillPercent[id], 0.9)
			for n := 0; key != nil && n < rewriteStep; n++ {
				if err := c.record(b, id, key, value); err != nil {
					return fmt.Errorf("%s %x: %w", name, key, err)
				}
				key, value = cursor.Next()
			}
			return nil
		})
		if err != nil {
			return err
		}
		more = key != nil
	}
	return nil
}

func (c *copying) record(to *bbolt.Bucket, id bucketID, key, value []byte) error {
	if id == bucketMeta {
		if name := string(key); name == string(keyErased) || name == string(keySeals) {
			return nil
		}
		return to.Put(key, value)
	}
	if !c.reseal {
		return to.Put(key, value)
	}
	body, err := bodyOf(c.from.seal, id, key, value)
	if err != nil {
		return err
	}
	c.place = record.Place(c.place[:0], id, key)
	out := c.from.seal.Seal(make([]byte, record.SumBytes, record.SumBytes+len(body)+seal.Overhead), body, c.place)
	binary.BigEndian.PutUint32(out, record.Checksum(key, out[record.SumBytes:]))
	return to.Put(key, out)
}
