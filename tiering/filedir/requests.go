package filedir

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

var _ tiering.Requests = (*Directory)(nil)

// requestsBucket holds the first answers of a site by their places: the number of
// each (8 bytes, big endian) and the answer as tiering.Request encodes it.
func requestsBucket(site string) []byte { return []byte("requests:" + site) }

// requestOrderBucket holds the places by those numbers, which follow each other:
// the oldest first.
func requestOrderBucket(site string) []byte { return []byte("request-order:" + site) }

// ofRequests reports whether a bucket is one of these.
func ofRequests(bucket string) bool {
	return strings.HasPrefix(bucket, string(requestsBucket(""))) || strings.HasPrefix(bucket, string(requestOrderBucket("")))
}

const (
	requestNumberBytes = 8
	// requestTrim is how many answers one Remember drops: more than it adds.
	requestTrim = 100
)

// index is the keyed hash of what must not be read; nil without keys.
func (f *form) index() func(string) string {
	if f.numbers == nil {
		return nil
	}
	return f.numbers.Index
}

// Recall implements tiering.Requests.
func (d *Directory) Recall(ctx context.Context, site string, r tiering.Request, now instant.Instant) (answer []byte, known bool, err error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, false, err
	}
	var fault error // what is wrong with the answer, not with the file
	err = d.view(ctx, func(tx *bolt.Tx) error {
		b := tx.Bucket(requestsBucket(site))
		if b == nil {
			return nil
		}
		value := b.Get([]byte(r.Place(site, d.form.index())))
		if value == nil {
			return nil
		}
		answer, known, fault = r.DecodeAnswer(site, d.form.index(), value[min(len(value), requestNumberBytes):], now)
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	if errors.Is(fault, tiering.ErrCorrupt) {
		d.log.Error("the first answer to a request can't be read and counts as none", slog.Any("error", fault), slog.String("file", d.path))
		return nil, false, nil
	}
	return answer, known, fault
}

// Remember implements tiering.Requests.
func (d *Directory) Remember(
	ctx context.Context, site string, r tiering.Request, answer []byte, now instant.Instant, keep tiering.KeepRequests,
) error {
	if err := tiering.CheckSite(site); err != nil {
		return err
	}
	if err := d.acquire(ctx); err != nil {
		return err
	}
	defer d.release()
	return d.update(func(tx *bolt.Tx) error {
		answers, err := tx.CreateBucketIfNotExists(requestsBucket(site))
		if err != nil {
			return err
		}
		order, err := tx.CreateBucketIfNotExists(requestOrderBucket(site))
		if err != nil {
			return err
		}
		place := r.Place(site, d.form.index())
		if value := answers.Get([]byte(place)); value != nil && requestUntil(place, value) > now {
			return nil
		}
		n, err := order.NextSequence()
		if err != nil {
			return err
		}
		number := binary.BigEndian.AppendUint64(nil, n)
		value := append(slices.Clone(number), r.EncodeAnswer(site, d.form.index(), answer, now.Add(keep.Age))...)
		if err := errors.Join(answers.Put([]byte(place), value), order.Put(number, []byte(place))); err != nil {
			return err
		}
		return trimRequests(answers, order, n, now, keep.Most)
	})
}

// trimRequests drops the oldest answers, last being the latest one's number: those
// whose time is over, and those that are too many.
func trimRequests(answers, order *bolt.Bucket, last uint64, now instant.Instant, most int) error {
	for range requestTrim {
		number, place := order.Cursor().First()
		if len(number) != requestNumberBytes {
			return nil
		}
		value := answers.Get(place)
		own := value != nil && string(value[:min(len(value), requestNumberBytes)]) == string(number) // else it was kept anew since
		many := last-binary.BigEndian.Uint64(number) >= uint64(max(most, 1))
		if own && !many && requestUntil(string(place), value) > now {
			return nil
		}
		place = slices.Clone(place)
		if err := order.Delete(slices.Clone(number)); err != nil {
			return err
		}
		if own {
			if err := answers.Delete(place); err != nil {
				return err
			}
		}
	}
	return nil
}

// requestUntil returns until when a value is kept; what can't be read is not.
func requestUntil(place string, value []byte) instant.Instant {
	until, err := tiering.AnswerUntil(place, value[min(len(value), requestNumberBytes):])
	if err != nil {
		return 0
	}
	return until
}
