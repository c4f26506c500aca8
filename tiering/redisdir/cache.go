package redisdir

import (
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"greenlane/tiering"
)

// cache remembers what was looked up, for a short while and only as long as
// changes made elsewhere are heard of.
type cache struct {
	keep time.Duration
	lru  *lru.Cache[cacheKey, cached]
	on   atomic.Bool
	// turns counts, for each shard, the changes that were heard of: what was read
	// before a change must not be remembered after it.
	turns [shards]atomic.Uint64
}

type cacheKey struct {
	site   string
	number tiering.Number
}

type cached struct {
	entry tiering.Entry
	known bool
	until time.Time
}

func newCache(size int, keep time.Duration) (*cache, error) {
	l, err := lru.New[cacheKey, cached](size)
	if err != nil {
		return nil, err
	}
	return &cache{keep: keep, lru: l}, nil
}

// get returns what is remembered, if anything is.
func (c *cache) get(site string, n tiering.Number) (_ cached, ok bool) {
	if c == nil || !c.on.Load() {
		return cached{}, false
	}
	got, ok := c.lru.Get(cacheKey{site, n})
	if !ok || time.Now().After(got.until) {
		return cached{}, false
	}
	return got, true
}

// turn is to be asked before something is read that put shall remember.
func (c *cache) turn(p place) uint64 {
	if c == nil {
		return 0
	}
	return c.turns[p.shard()].Load()
}

// put remembers what was read since turn, unless the shard was changed meanwhile.
func (c *cache) put(site string, n tiering.Number, p place, turn uint64, e tiering.Entry, known bool) {
	if c == nil || !c.on.Load() {
		return
	}
	key := cacheKey{site, n}
	c.lru.Add(key, cached{entry: e, known: known, until: time.Now().Add(c.keep)})
	// A change that came between the reading and Add has either removed the key
	// already, in vain, or will do so now.
	if c.turns[p.shard()].Load() != turn {
		c.lru.Remove(key)
	}
}

// drop forgets a caller whose entry was changed.
func (c *cache) drop(site string, n tiering.Number, p place) {
	if c == nil {
		return
	}
	c.turns[p.shard()].Add(1)
	c.lru.Remove(cacheKey{site, n})
}

// turnOff forgets everybody and remembers nobody until turnOn.
func (c *cache) turnOff() {
	if c == nil {
		return
	}
	c.on.Store(false)
	for i := range c.turns {
		c.turns[i].Add(1)
	}
	c.lru.Purge()
}

func (c *cache) turnOn() {
	if c != nil {
		c.on.Store(true)
	}
}
