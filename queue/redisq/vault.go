package redisq

import (
	"greenlane/internal/seal"
	"greenlane/tiering"
)

// vault seals and opens what a record tells of a person: the number, the values of
// attributes, the note. Scripts never see what is inside: they find by the index
// that a sealed number carries. Without keys everything stays as it is.
type vault struct{ numbers *seal.Numbers }

func (v vault) seal(n tiering.Number) string {
	if v.numbers == nil {
		return string(n)
	}
	return v.numbers.Seal(string(n))
}

func (v vault) sealText(text string) string {
	if v.numbers == nil {
		return text
	}
	return v.numbers.SealText(text)
}

// index returns what stands for a number in keys.
func (v vault) index(n tiering.Number) string {
	if v.numbers == nil {
		return string(n)
	}
	return v.numbers.Index(string(n))
}

// openCall puts what a record has sealed in its place.
func (v vault) openCall(r *callRecord) (err error) {
	if v.numbers == nil {
		return nil
	}
	if r.Caller, err = v.numbers.Open(r.Caller); err != nil {
		return err
	}
	for i := 1; i < len(r.Attributes); i += 2 {
		if r.Attributes[i], err = v.numbers.OpenText(r.Attributes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (v vault) openCallback(r *callbackRecord) (err error) {
	if v.numbers == nil {
		return nil
	}
	if r.Caller, err = v.numbers.Open(r.Caller); err != nil {
		return err
	}
	r.Note, err = v.numbers.OpenText(r.Note)
	return err
}

// sealCall is the opposite of openCall.
func (v vault) sealCall(r *callRecord) {
	r.Caller = v.seal(tiering.Number(r.Caller))
	for i := 1; i < len(r.Attributes); i += 2 {
		r.Attributes[i] = v.sealText(r.Attributes[i])
	}
}

func (v vault) sealCallback(r *callbackRecord) {
	r.Caller, r.Note = v.seal(tiering.Number(r.Caller)), v.sealText(r.Note)
}

// current reports whether nothing of a record needs sealing anew.
func (v vault) currentCall(r *callRecord) bool {
	ok := v.numbers.Current(r.Caller)
	for i := 1; i < len(r.Attributes); i += 2 {
		ok = ok && v.numbers.Current(r.Attributes[i])
	}
	return ok
}

func (v vault) currentCallback(r *callbackRecord) bool {
	return v.numbers.Current(r.Caller) && v.numbers.Current(r.Note)
}
