package redisq

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// markField of the site's hash says under which keys numbers are sealed.
const markField = "seal"

// resealStep is how many records one script seals anew.
const resealStep = 64

// unlock holds the keys against what the site was sealed with, and seals anew what
// is stored otherwise. Daemons of a site must have the keys of all of them: when a
// key is to replace another, every daemon gets it as a further one first.
func (e *Engine) unlock(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	mark, err := node.HGet(ctx, e.keys[keySite], markField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if e.vault.numbers == nil {
		if mark != "" {
			id, _, _ := strings.Cut(mark, " ")
			return fmt.Errorf("site %s is encrypted: privacy.keys must name the key %s", e.site.Name, id)
		}
		return nil
	}
	current := false
	if mark != "" {
		if current, err = e.vault.numbers.CheckMark(mark); err != nil {
			return fmt.Errorf("site %s: %w", e.site.Name, err)
		}
	}
	if current {
		return nil
	}
	if err := e.resealAll(ctx); err != nil {
		return fmt.Errorf("site %s: encrypt what is stored: %w", e.site.Name, err)
	}
	return node.HSet(ctx, e.keys[keySite], markField, e.vault.numbers.Mark()).Err()
}

// resealAll seals every record that the current key has not sealed.
func (e *Engine) resealAll(ctx context.Context) error {
	list, err := e.notCurrent(ctx)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		e.opts.Logger.Info("what is stored is encrypted anew", "site", e.site.Name, "records", len(list))
	}
	return e.reseal(ctx, list)
}

// notCurrent lists those records as lua/reseal.lua reads them.
func (e *Engine) notCurrent(ctx context.Context) ([]any, error) {
	var list []any
	var faults []error
	err := e.eachField(ctx, keyCalls, func(id, raw string) {
		var r callRecord
		if err := unpack([]byte(raw), &r); err != nil || e.vault.currentCall(&r) {
			return // a script sets aside what can't be read
		}
		old := r.Caller
		if err := e.vault.openCall(&r); err != nil {
			faults = append(faults, fmt.Errorf("call %s: %w", id, err))
			return
		}
		e.vault.sealCall(&r)
		if r.Attributes == nil {
			r.Attributes = []string{}
		}
		list = append(list, []any{"c", id, old, r.Caller, r.Attributes})
	})
	if err != nil {
		return nil, err
	}
	err = e.eachField(ctx, keyCallbacks, func(id, raw string) {
		var r callbackRecord
		if err := unpack([]byte(raw), &r); err != nil || e.vault.currentCallback(&r) {
			return
		}
		old := r.Caller
		if err := e.vault.openCallback(&r); err != nil {
			faults = append(faults, fmt.Errorf("callback %s: %w", id, err))
			return
		}
		e.vault.sealCallback(&r)
		list = append(list, []any{"b", id, old, r.Caller, r.Note})
	})
	if err != nil {
		return nil, err
	}
	err = e.eachAnswer(ctx, func(calls []*callRecord, backs []*callbackRecord) (changed bool) {
		for _, r := range calls {
			if !e.vault.currentCall(r) && e.vault.openCall(r) == nil {
				e.vault.sealCall(r)
				changed = true
			}
		}
		for _, r := range backs {
			if !e.vault.currentCallback(r) && e.vault.openCallback(r) == nil {
				e.vault.sealCallback(r)
				changed = true
			}
		}
		return changed
	}, func(field, old, now string) { list = append(list, []any{"r", field, old, now}) })
	return list, errors.Join(append(faults, err)...)
}

// reseal gives records the form that notCurrent found for them.
func (e *Engine) reseal(ctx context.Context, list []any) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	for len(list) > 0 {
		part, _ := cut(&list, resealStep)
		records, err := packed(part)
		if err != nil {
			return err
		}
		// Nobody sends yet: the engine is being opened.
		reply, err := node.Eval(ctx, scripts()["reseal"].source, e.keys, int64(e.Now()), *e.print.Load(), "-", records).Slice()
		if err != nil {
			return err
		}
		if len(reply) == 0 || reply[0] != "OK" {
			return errors.New("another daemon was opened meanwhile with other settings: open this one again")
		}
	}
	return nil
}
