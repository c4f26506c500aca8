package redisq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/record"
)

// markField of the site's hash says under which keys records are sealed.
const markField = "seal"

// sealStep is about how many records one commit seals anew.
const sealStep = 256

// unlock holds the keys against what the site was sealed with; stale reports whether
// what is stored must be sealed anew. Daemons of a site must have the keys of all
// of them: when a key is to replace another, every daemon gets it as a further one
// first.
func (e *Engine) unlock(ctx context.Context) (stale bool, err error) {
	node, err := e.node(ctx)
	if err != nil {
		return false, err
	}
	mark, err := node.HGet(ctx, e.keys[keySite], markField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, err
	}
	if e.opts.Keys == nil {
		if mark != "" {
			id, _, _ := strings.Cut(mark, " ")
			return false, fmt.Errorf("site %s is encrypted: privacy.keys must name the key %s", e.name, id)
		}
		return false, nil
	}
	if mark == "" {
		return true, nil
	}
	current, err := e.opts.Keys.Numbers("queue " + e.name).CheckMark(mark)
	if old := e.opts.Keys.Old(); old != nil && errors.Is(err, seal.ErrIndex) {
		// The engine itself indexes nothing: what it has to do is to say so.
		_, err = old.Numbers("queue " + e.name).CheckMark(mark)
		current = false
	}
	if errors.Is(err, seal.ErrIndex) {
		err = fmt.Errorf("%w: privacy.index_key_file must be that one, or privacy.old_index_key_file", err)
	}
	if err != nil {
		return false, fmt.Errorf("site %s: %w", e.name, err)
	}
	return !current, nil
}

// sealAll seals every record anew that the current key has not sealed, then marks
// the site. The records are read a part at a time and written by ordinary commits,
// which change nothing else. Nobody decides yet: the engine is being opened.
func (e *Engine) sealAll(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	e.opts.Logger.Info("what is stored is encrypted anew", "site", e.name)
	for k := range kinds {
		for cursor := uint64(0); ; {
			next, err := e.sealPart(ctx, node, k, cursor)
			switch {
			case errors.Is(err, errAgain): // somebody else was faster
				if err := e.settle(); err != nil {
					return err
				}
				continue
			case err != nil:
				return err
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return node.HSet(ctx, e.keys[keySite], markField, e.opts.Keys.Numbers("queue "+e.name).Mark()).Err()
}

// sealPart seals the records of one reading. What is read is what the commit
// replaces: it is written only if nobody has committed since the copy's own version.
func (e *Engine) sealPart(ctx context.Context, node *redis.Client, k int, cursor uint64) (next uint64, err error) {
	list, next, err := node.HScan(ctx, e.keys[keyKinds+k], cursor, "", sealStep).Result()
	if err != nil {
		return 0, err
	}
	b := &e.batch
	b.requests, b.events, b.agents, b.gone, b.meta = b.requests[:0], nil, nil, nil, e.counters
	b.out.reset()
	for i := 0; i+1 < len(list); i += 2 {
		field, value := []byte(list[i]), []byte(list[i+1])
		if e.current(list[i+1]) {
			continue
		}
		body, err := record.Body(e.sealer(), kinds[k], field, value)
		if err != nil {
			return 0, fmt.Errorf("%s %s: %w", kinds[k], field, err)
		}
		b.out.again(k, field, body)
	}
	if len(b.out.sets[k]) == 0 {
		return next, nil
	}
	if err := b.out.close(&queue.Changes{Meta: e.counters}); err != nil {
		return 0, err
	}
	return next, e.commit(b, patience)
}

// current reports whether a record as it is kept needs no sealing anew.
func (e *Engine) current(value string) bool {
	return len(value) > record.SumBytes && e.sealed.Current([]byte(value[record.SumBytes:]))
}
