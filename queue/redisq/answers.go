package redisq

import (
	"context"
	"errors"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// requestRecord is a first answer as lua/lib/run.lua keeps it.
type requestRecord struct {
	Seq    uint64          `msgpack:"N"`
	At     instant.Instant `msgpack:"M"`
	Print  string          `msgpack:"print"`
	Result string          `msgpack:"result"`
}

// eachAnswer shows every first answer kept, with the records in it, and calls take
// with those that change says true of, as they are to be kept.
func (e *Engine) eachAnswer(ctx context.Context, change func(calls []*callRecord, backs []*callbackRecord) bool, take func(field, old, now string)) error {
	return e.eachField(ctx, keyRequests, func(field, raw string) {
		now, changed, err := changedAnswer(raw, change)
		if err != nil {
			e.unreadable(keyRequests, field, err)
			return
		}
		if changed {
			take(field, raw, now)
		}
	})
}

func changedAnswer(raw string, change func([]*callRecord, []*callbackRecord) bool) (now string, changed bool, err error) {
	var kept requestRecord
	var a answerRecord
	if err := unpack([]byte(raw), &kept); err != nil {
		return "", false, err
	}
	if err := unpack([]byte(kept.Result), &a); err != nil {
		return "", false, err
	}
	var calls []*callRecord
	var backs []*callbackRecord
	var pack []func() error
	for _, raw := range []*[]byte{&a.Call, &a.OfferCall} {
		if *raw == nil {
			continue
		}
		r := &callRecord{}
		if err := unpack(*raw, r); err != nil {
			return "", false, err
		}
		calls = append(calls, r)
		pack = append(pack, func() (err error) { *raw, err = packed(r); return err })
	}
	for _, raw := range []*[]byte{&a.Callback, &a.OfferCallback} {
		if *raw == nil {
			continue
		}
		r := &callbackRecord{}
		if err := unpack(*raw, r); err != nil {
			return "", false, err
		}
		backs = append(backs, r)
		pack = append(pack, func() (err error) { *raw, err = packed(r); return err })
	}
	if !change(calls, backs) {
		return "", false, nil
	}
	for _, f := range pack {
		err = errors.Join(err, f())
	}
	body, err1 := packed(&a)
	kept.Result = string(body)
	whole, err2 := packed(&kept)
	return string(whole), true, errors.Join(err, err1, err2)
}

// eraseFrom takes a number out of an answer's records.
func (v vault) eraseFrom(caller tiering.Number) func([]*callRecord, []*callbackRecord) bool {
	is := func(stored string) bool {
		number := stored
		if v.numbers != nil {
			number, _ = v.numbers.Open(stored) // what can't be opened is no number
		}
		return number == string(caller)
	}
	return func(calls []*callRecord, backs []*callbackRecord) (found bool) {
		for _, c := range calls {
			if is(c.Caller) {
				c.Caller, c.Attributes, found = "", nil, true
			}
		}
		for _, cb := range backs {
			if is(cb.Caller) {
				cb.Caller, cb.Note, found = "", "", true
			}
		}
		return found
	}
}
