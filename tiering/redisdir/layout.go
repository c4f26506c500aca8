package redisdir

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// layout says where entries are, and in which words their notes are kept.
//
// Without keys a number's place gives the number back to everybody, and notes are
// kept as they are. With keys the bijection of keys.go is a keyed one (FF1, see
// internal/seal): a place tells nothing without the key, takes no more room, and
// gives the number back with it. Numbers that are no E.164's are kept sealed in
// their field, and notes sealed in their value. All of it hangs on the index key: a
// place must not change when another key begins to seal.
type layout struct {
	permutation *seal.Permutation // nil: without keys
	numbers     *seal.Numbers
	old         *seal.Numbers // of the index key that is being replaced; nil: none is
}

func newLayout(keys *seal.Keys) layout {
	if keys == nil {
		return layout{}
	}
	l := layout{permutation: keys.Permutation("tiers", placeBits), numbers: keys.Stable("tiers")}
	if keys = keys.Old(); keys != nil {
		l.old = keys.Stable("tiers")
	}
	return l
}

// mix returns the place of an E.164 number's value, as one number.
func (l *layout) mix(v uint64) uint64 {
	if l.permutation == nil {
		return mix(v)
	}
	return l.permutation.Forward(v)
}

// sealedField begins the field of a sealed number.
const sealedField = "~"

// placeOf returns where a number is.
func (l *layout) placeOf(n tiering.Number) place {
	if l.permutation == nil {
		return placeOf(n)
	}
	if v, ok := plain(n); ok {
		return placeAt(l.permutation.Forward(v))
	}
	index := l.numbers.Index(string(n))
	bucket := binary.BigEndian.Uint32([]byte(index)) >> (32 - shardBits - bucketBits)
	return place{bucket: bucket, field: sealedField + l.numbers.Seal(string(n))}
}

// numberOf returns whose entry is at p. The error says that nobody's can be there.
func (l *layout) numberOf(p place) (tiering.Number, error) {
	if l.permutation == nil {
		return p.number()
	}
	if len(p.field) == fieldSize {
		return numberWith(l.permutation.Back(p.value()))
	}
	sealed, ok := strings.CutPrefix(p.field, sealedField)
	if !ok {
		return "", errField
	}
	n, err := l.numbers.Open(sealed)
	if err != nil || tiering.Number(n).Check() != nil {
		return "", errField
	}
	return tiering.Number(n), nil
}

// ratingsField is the field of a number in its shard's ratings.
func (l *layout) ratingsField(n tiering.Number) string {
	if l.numbers == nil {
		return string(n)
	}
	return sealedField + l.numbers.Seal(string(n))
}

// ratedAt is the opposite of ratingsField.
func (l *layout) ratedAt(field string) (tiering.Number, error) {
	if l.numbers == nil {
		return tiering.Number(field), nil
	}
	sealed, ok := strings.CutPrefix(field, sealedField)
	n, err := l.numbers.Open(sealed)
	if !ok || err != nil || tiering.Number(n).Check() != nil {
		return "", errField
	}
	return tiering.Number(n), nil
}

// encode is place.encode of an entry whose note may have to be sealed.
func (l *layout) encode(p place, e tiering.Entry) (value, extra string) {
	if l.numbers != nil && e.Note != "" {
		// The place is part of what is sealed, so that the same note at two places
		// does not look the same; and the same entry gives the same value again.
		e.Note = base64.RawStdEncoding.EncodeToString([]byte(l.numbers.Seal(p.name() + e.Note)))
	}
	return p.encode(e)
}

var errNote = errors.New("its note can't be opened")

// decode is place.decode of an entry whose note may be sealed.
func (l *layout) decode(p place, value string) (tiering.Entry, error) {
	e, err := p.decode(value)
	if err != nil || l.numbers == nil || e.Note == "" {
		return e, err
	}
	sealed, err := base64.RawStdEncoding.DecodeString(e.Note)
	if err != nil {
		return tiering.Entry{}, errNote
	}
	text, err := l.numbers.Open(string(sealed))
	if err != nil {
		return tiering.Entry{}, fmt.Errorf("%w: %w", errNote, err)
	}
	note, ok := strings.CutPrefix(text, p.name())
	if !ok {
		return tiering.Entry{}, errNote
	}
	e.Note = note
	return e, nil
}

// name names a place in what is sealed there.
func (p place) name() string {
	return string(binary.BigEndian.AppendUint32(nil, p.bucket)) + string([]byte{byte(len(p.field))}) + p.field
}

// schema is what schemaKey says of sealed tiers: the schema and the mark.
func (l *layout) schema() string {
	if l.numbers == nil {
		return schema
	}
	return schema + " " + l.numbers.Mark()
}

// checkKeys holds the keys against what the tiers in Redis were sealed with, as the
// value of schemaKey says.
func (l *layout) checkKeys(got string) error {
	mark, sealed := strings.CutPrefix(got, schema+" ")
	switch {
	case l.numbers == nil && sealed:
		return fmt.Errorf("%w: they are encrypted: privacy.index_key_file and privacy.keys must be set", ErrSchema)
	case l.numbers != nil && !sealed:
		return fmt.Errorf("%w: they are not encrypted and privacy.keys asks for it: export them without it (greenlane tiers export), "+
			"delete the keys %s*, and import them with it", ErrSchema, prefix)
	case strings.HasPrefix(mark, reindexing+" "):
		return errReindexing
	case sealed:
		_, err := l.numbers.CheckMark(mark)
		if l.old != nil && errors.Is(err, seal.ErrIndex) {
			if _, err = l.old.CheckMark(mark); err == nil {
				return fmt.Errorf("%w: they are indexed with the old index key: stop all daemons and run `greenlane tiers reindex`", ErrSchema)
			}
		}
		if errors.Is(err, seal.ErrIndex) {
			err = fmt.Errorf("%w: privacy.index_key_file must be that one, or privacy.old_index_key_file", err)
		}
		return err
	}
	return nil
}
