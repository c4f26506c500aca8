package redisq

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// typeOf is the type that a site's key has.
func typeOf(key int) string {
	if key == keyCommits || key == keyLog {
		return "stream"
	}
	return "hash"
}

// sortOut looks at the type of every key of the site, and gives those that are of
// another one another name: somebody else has overwritten them. What was there before
// is lost, and what is there now is kept for whoever mends it.
func (e *Engine) sortOut(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	types := make([]*redis.StatusCmd, len(e.keys))
	if _, err := node.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range e.keys {
			types[i] = p.Type(ctx, key)
		}
		return nil
	}); err != nil {
		return err
	}
	wrong := []int{keyCommits} // it comes first, since the others need it
	for i, is := range types {
		switch kind := is.Val(); {
		case kind == typeOf(i), kind == "none":
		case i == keySite:
			return e.fail(&SchemaError{Key: e.keys[keySite]})
		default:
			wrong = append(wrong, i)
		}
	}
	for _, key := range wrong {
		if err := e.setKeyAside(ctx, key, ""); err != nil {
			return err
		}
	}
	return nil
}

// sortAndForget does that after Redis has found a key of another type.
func (e *Engine) sortAndForget() error {
	if err := e.sortOut(e.within); err != nil {
		return err
	}
	return e.forget("a key is of another type")
}

// unblock does it with the stream that kept a commit from being written.
func (e *Engine) unblock(r *reply) error {
	return e.setKeyAside(e.within, int(r.number(0))-1, r.text(1))
}

// setKeyAside gives a key another name if it is of another type or, with an id, if it
// is a stream that has entries from there on. Every daemon reads the site anew then.
func (e *Engine) setKeyAside(ctx context.Context, key int, from string) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	version, err := node.HGet(ctx, e.keys[keySite], "version").Uint64()
	if err != nil {
		return err
	}
	name := e.keys[key] + ":aside-" + time.Now().UTC().Format("20060102T150405.000")
	if key == keyCommits && from == "" {
		from = entryID(version + 1)
	}
	// Nothing of it says which daemon wrote it: a nonce is made up that none has.
	nonce := e.id + "-" + strconv.FormatUint(version, 36)
	keys := append(append([]string{}, e.keys...), name)
	reply, err := node.Eval(ctx, asideScript.source, keys,
		key+1, typeOf(key), from, strconv.FormatUint(version, 10), nonce, noFields()).StringSlice()
	if err != nil {
		return fmt.Errorf("redis key %s holds what is not Greenlane's, and can't be set aside: %w", e.keys[key], err)
	}
	if len(reply) == 1 && reply[0] == statusOK {
		e.opts.Logger.Error("a key held what is not Greenlane's and is set aside", "key", e.keys[key], "as", name)
	}
	return nil
}

// tellAside says how many records lie aside.
func (e *Engine) tellAside(ctx context.Context, node *redis.Client) error {
	n, err := node.HLen(ctx, e.keys[keyDamaged]).Result()
	if err == nil && n > 0 {
		e.opts.Logger.Warn("records that could not be read lie aside", "site", e.name, "key", e.keys[keyDamaged], "records", n)
	}
	return err
}
