package redisdir

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

// Lookup implements tiering.Directory. It takes one round trip, or none when the
// caller was looked up a moment ago, or two when the note is so long that it
// lies elsewhere.
func (d *Directory) Lookup(ctx context.Context, site string, n tiering.Number) (e tiering.Entry, known bool, err error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return tiering.Entry{}, false, err
	}
	defer end()
	if n == tiering.Withheld {
		return tiering.Entry{}, false, nil
	}
	if err := n.Check(); err != nil {
		return tiering.Entry{}, false, err
	}
	if c, ok := d.cache.get(site, n); ok {
		return c.entry, c.known, nil
	}
	p := d.layout.placeOf(n)
	turn := d.cache.turn(p)
	value, err := d.client.HGet(ctx, bucketKey(site, p.bucket), p.field).Result()
	s := stored{value: value}
	switch {
	case errors.Is(err, redis.Nil):
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return tiering.Entry{}, false, errors.Join(unreadable(site, n, err), d.setBucketAside(ctx, site, p.bucket, err))
	case err != nil:
		return tiering.Entry{}, false, d.fault(ctx, err)
	case elsewhere(value):
		if err := d.read(ctx, site, []place{p}, []*stored{&s}); err != nil {
			return tiering.Entry{}, false, err
		}
	default:
		s.entry, s.cause = d.layout.decode(p, value)
	}
	if s.cause != nil {
		return tiering.Entry{}, false, errors.Join(unreadable(site, n, s.cause), d.setAside(ctx, site, []place{p}))
	}
	d.cache.put(site, n, p, turn, s.entry, s.value != "")
	return s.entry, s.value != "", nil
}

func unreadable(site string, n tiering.Number, cause error) error {
	return fmt.Errorf("%w: site %s, number %s: %w", tiering.ErrCorrupt, site, n.Masked(), cause)
}

// LookupBatch implements tiering.Directory, in a few round trips. The cache is
// neither asked nor filled.
func (d *Directory) LookupBatch(ctx context.Context, site string, ns []tiering.Number) ([]tiering.Entry, error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return nil, err
	}
	defer end()
	places, found := make([]place, len(ns)), make([]*stored, len(ns))
	all := make([]stored, len(ns))
	for i, n := range ns {
		if err := n.Check(); err != nil {
			return nil, err
		}
		places[i], found[i] = d.layout.placeOf(n), &all[i]
	}
	if err := d.read(ctx, site, places, found); err != nil {
		return nil, err
	}
	entries := make([]tiering.Entry, len(ns))
	for i := range all {
		if all[i].cause == nil {
			entries[i] = all[i].entry
		}
	}
	return entries, nil
}

// stored is what was found at a place.
type stored struct {
	value string // what the bucket holds; "" for nothing
	entry tiering.Entry
	cause error // why value can't be read
}

// readStep is how many places are read in one round trip, and readTries how
// often an entry is read whose two parts don't fit, since somebody may just have
// changed it.
const (
	readStep  = 1000
	readTries = 5
)

// read fills found with what is at the places. The errors are the port's.
func (d *Directory) read(ctx context.Context, site string, places []place, found []*stored) error {
	todo := make([]int, len(places))
	for i := range todo {
		todo[i] = i
	}
	for try := range readTries {
		var again []int
		for step := range slices.Chunk(todo, readStep) {
			torn, err := d.readStep(ctx, site, places, found, step, try == readTries-1)
			if err != nil {
				return d.fault(ctx, err)
			}
			again = append(again, torn...)
		}
		if todo = again; len(todo) == 0 {
			break
		}
	}
	return nil
}

// readStep reads the places of step, and returns those whose parts don't fit
// unless this is the last try.
func (d *Directory) readStep(ctx context.Context, site string, places []place, found []*stored, step []int, last bool) (torn []int, err error) {
	get := func(list []int, key func(place) (key, field string)) ([]*redis.StringCmd, error) {
		cmds := make([]*redis.StringCmd, len(list))
		pipe := d.client.Pipeline()
		for i, at := range list {
			key, field := key(places[at])
			cmds[i] = pipe.HGet(ctx, key, field)
		}
		if len(list) > 0 {
			pipe.Exec(ctx) //nolint:errcheck // each command has its own error
		}
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "WRONGTYPE") {
				return nil, err
			}
		}
		return cmds, nil
	}
	values, err := get(step, func(p place) (string, string) { return bucketKey(site, p.bucket), p.field })
	if err != nil {
		return nil, err
	}
	var long []int
	for i, at := range step {
		s := found[at]
		*s = stored{value: values[i].Val()}
		switch err := values[i].Err(); {
		case redis.HasErrorPrefix(err, "WRONGTYPE"):
			s.cause = err
		case err != nil: // nothing is there
		case elsewhere(s.value):
			long = append(long, at)
		default:
			s.entry, s.cause = d.layout.decode(places[at], s.value)
		}
	}
	extras, err := get(long, func(p place) (string, string) { return extraKey(site, p.shard()), p.extraField() })
	if err != nil {
		return nil, err
	}
	for i, at := range long {
		s := found[at]
		if s.cause = places[at].check(s.value); s.cause != nil {
			continue
		}
		switch extra := extras[i].Val(); {
		case matches(s.value, extra):
			s.entry, s.cause = d.layout.decode(places[at], extra)
		case last:
			s.cause = errors.New("the long part of it is missing or belongs to another")
		default:
			torn = append(torn, at)
		}
	}
	return torn, nil
}
