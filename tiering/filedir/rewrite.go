package filedir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// Keys of the bucket meta, beside the schema and the counts.
var (
	sealsKey  = []byte("seals")  // under which keys entries are sealed; absent: none is
	indexKey  = []byte("index")  // tells another index key
	erasedKey = []byte("erased") // there: somebody was forgotten since the file was written anew
)

// unlock makes sealed entries readable, and what is written from now on sealed,
// when there are keys for it. The file is written anew when not all of it is
// sealed with the current key, when the index key is a new one, and when somebody was forgotten: bbolt leaves what
// it deletes in pages that it uses again some day.
func (d *Directory) unlock(o Options) error {
	var kept, index []byte
	erased, used := false, false
	err := d.db.View(func(tx *bolt.Tx) error {
		meta := tx.Bucket(metaBucket)
		kept, index = append(kept, meta.Get(sealsKey)...), append(index, meta.Get(indexKey)...)
		erased = meta.Get(erasedKey) != nil
		return tx.ForEach(func(name []byte, _ *bolt.Bucket) error {
			used = used || bytes.HasPrefix(name, siteBucket("")) || bytes.HasPrefix(name, ratingsBucket(""))
			return nil
		})
	})
	if err != nil {
		return err
	}
	was, header, reseal := d.form, []byte(nil), false
	switch {
	case o.Keys != nil:
		s, next, err := o.Keys.Store("tiers", kept)
		if err != nil {
			return err
		}
		d.form = form{seal: s, numbers: o.Keys.Numbers("tiers")}
		own, reindex := []byte(d.form.numbers.Index("")), false
		if kept != nil {
			was = d.form
			if reindex = !bytes.Equal(own, index); reindex {
				if was.numbers = oldIndex(o.Keys, index); was.numbers == nil {
					return fmt.Errorf("%w: privacy.index_key_file must be that one, or privacy.old_index_key_file", seal.ErrIndex)
				}
			}
		}
		if index, header = own, next; used && (kept == nil || reindex || s.Stale()) {
			reseal, header = true, s.Fresh()
		}
	case kept != nil:
		return fmt.Errorf("it is encrypted: privacy.keys must name the keys %s", strings.Join(seal.KeyIDs(kept), ", "))
	}
	if reseal || erased {
		d.log.Info("the tier file is written anew", "file", d.path, "encrypted_anew", reseal, "after_erasure", erased)
		return d.rewrite(o, was, reseal, header, index)
	}
	return d.db.Update(func(tx *bolt.Tx) error { return putSeals(tx, header, index) })
}

// oldIndex returns what made the index of the file, when that is the index key to be
// replaced.
func oldIndex(keys *seal.Keys, index []byte) *seal.Numbers {
	if keys = keys.Old(); keys == nil {
		return nil
	}
	if n := keys.Numbers("tiers"); string(index) == n.Index("") {
		return n
	}
	return nil
}

func putSeals(tx *bolt.Tx, header, index []byte) error {
	if header == nil {
		return nil
	}
	meta := tx.Bucket(metaBucket)
	return errors.Join(meta.Put(sealsKey, header), meta.Put(indexKey, index))
}

// rewriteStep is how many entries one transaction of a rewriting holds.
const rewriteStep = 50_000

// rewrite copies every entry into a new file that takes the old one's place in one
// step: a crash before it leaves the old one as it is.
func (d *Directory) rewrite(o Options, was form, reseal bool, header, index []byte) (err error) {
	draft := d.path + ".rewrite"
	if err := os.Remove(draft); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(draft, fileMode, &bolt.Options{
		Timeout: o.lockWait, FreelistType: bolt.FreelistMapType, InitialMmapSize: mapBytes, OpenFile: o.openFile,
		NoSync: true, // it is synced once, as a whole
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close(), os.Remove(draft))
		}
	}()
	c := &copying{d: d, was: was, reseal: reseal, to: db}
	err = guard(func() error {
		return d.db.View(func(tx *bolt.Tx) error {
			return tx.ForEach(func(name []byte, b *bolt.Bucket) error { return c.bucket(string(name), b) })
		})
	})
	if err == nil {
		err = db.Update(func(tx *bolt.Tx) error { return putSeals(tx, header, index) })
	}
	if err := errors.Join(err, db.Sync()); err != nil {
		return err
	}
	// Both files are locked by this process while the name moves on.
	if err := os.Rename(draft, d.path); err != nil {
		return err
	}
	if c.dropped > 0 {
		d.log.Warn("values that could not be read, and were set aside in the tier file, are gone: they can't be encrypted anew", "file", d.path, "values", c.dropped)
	}
	old := d.db
	d.db, db.NoSync = db, false
	return errors.Join(syncDir(filepath.Dir(d.path)), old.Close())
}

// copying is one rewriting.
type copying struct {
	d      *Directory
	was    form // how the old file stores entries
	reseal bool
	to     *bolt.DB

	dropped int // values that were set aside
}

func (c *copying) bucket(name string, from *bolt.Bucket) error {
	if c.was.numbers != c.d.form.numbers && ofRequests(name) {
		return nil // their places hang on an index key that is no more
	}
	site, entries := strings.CutPrefix(name, string(siteBucket("")))
	ratingsOf, ratings := strings.CutPrefix(name, string(ratingsBucket("")))
	cursor, key, value := start(from)
	for more := true; more; {
		err := c.to.Update(func(tx *bolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(name))
			if err != nil {
				return err
			}
			b.FillPercent = fillPercent
			for n := 0; key != nil && n < rewriteStep; n++ {
				switch {
				case entries && c.reseal:
					err = c.entry(b, site, site, key, value)
				case ratings && c.reseal:
					err = c.entry(b, name, ratingsOf, key, value)
				case name == string(quarantineBucket) && c.reseal:
					// What could not be read may name a number, and nobody can seal it.
					c.dropped++
				case name == string(metaBucket) && string(key) == string(erasedKey):
				default:
					err = b.Put(key, value)
				}
				if err != nil {
					return err
				}
				key, value = cursor.Next()
			}
			return b.SetSequence(from.Sequence())
		})
		if err != nil {
			return err
		}
		more = key != nil
	}
	return nil
}

// entry seals an entry, or ratings, anew. An entry's checksum takes in its key, and
// so it is made anew as well.
func (c *copying) entry(to *bolt.Bucket, bucket, site string, key, value []byte) error {
	n, value, err := c.was.unwrap(bucket, site, key, value)
	f := &c.d.form
	own := f.key(site, n)
	if err == nil && bucket == site {
		var e tiering.Entry
		e, err = decodeEntry(key, value)
		value = appendEntry(nil, own, e)
	}
	if err != nil {
		return unreadable(site, n, err)
	}
	return to.Put(own, f.wrap(bucket, own, n, value))
}
