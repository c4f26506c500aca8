package tiering

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"greenlane/internal/instant"
)

// Limits of what a directory stores.
const (
	MaxNoteBytes = 500
	MaxSiteBytes = 64
)

// Entry is what a directory keeps about one caller: a grade, and on top of it
// the blacklist, which always wins and leaves the grade as it was for the day
// when the caller comes off.
//
// There is no field that is "the tier", because it depends on the moment: ask
// At. The zero Entry is a caller of whom nothing is known.
type Entry struct {
	Grade     Tier            // VIP, Mid or Ordinary; TierUnset when nobody graded the caller
	GradedAt  instant.Instant // when the grade was given
	GradeEnds instant.Instant // from when on it no longer counts; zero for never

	Blacklisted   bool
	BlacklistEnds instant.Instant // from when on it no longer counts; zero for never

	Flags     Flags
	Note      string          // why, as given with the latest change; at most MaxNoteBytes of UTF-8
	UpdatedAt instant.Instant // when anything of this was changed
}

// Flags are eight bits for whoever grades; a directory stores and returns them
// and gives them no meaning.
type Flags uint8

// Standing is what an entry comes to at one moment.
type Standing struct {
	Tier  Tier            // always one of Tiers
	Ends  instant.Instant // from when on Tier no longer counts; zero for never
	Known bool            // somebody graded or blacklisted the caller, and it has not ended
}

// At returns what the entry comes to at now: the blacklist if it has not ended,
// else the grade if it has not ended, else ordinary and not known.
func (e Entry) At(now instant.Instant) Standing {
	switch {
	case e.Blacklisted && !ended(e.BlacklistEnds, now):
		return Standing{Tier: Blacklist, Ends: e.BlacklistEnds, Known: true}
	case e.Grade != TierUnset && !ended(e.GradeEnds, now):
		return Standing{Tier: e.Grade, Ends: e.GradeEnds, Known: true}
	}
	return Standing{Tier: Ordinary}
}

func ended(end, now instant.Instant) bool { return !end.IsZero() && end <= now }

// Stored returns the tier under which the entry is counted: what At would
// return had nothing ended.
func (e Entry) Stored() Tier {
	switch {
	case e.Blacklisted:
		return Blacklist
	case e.Grade != TierUnset:
		return e.Grade
	}
	return Ordinary
}

// Lapsed reports whether an entry was changed last before an instant, and has no end
// that is still to come at now: who gave it one has said how long it is to be kept.
// The zero Entry has not.
func (e Entry) Lapsed(before, now instant.Instant) bool {
	ahead := e.Blacklisted && e.BlacklistEnds > now || e.Grade != TierUnset && e.GradeEnds > now
	return e != (Entry{}) && e.UpdatedAt < before && !ahead
}

// Op is what a Change does.
type Op uint8

// The operations. Each may be repeated: done twice it gives what it gave once.
const (
	_ Op = iota
	// OpSet gives a caller a tier by hand. Blacklist puts the caller on the
	// blacklist and leaves the grade beneath; every other tier becomes the grade
	// and takes the caller off the blacklist.
	OpSet
	// OpGrade gives a caller a tier out of a grading or a file. It is OpSet,
	// except that a caller on the blacklist stays there, with its end and note:
	// only the grade beneath may change.
	OpGrade
	// OpPardon takes a caller off the blacklist; the caller has the grade again.
	// A caller who is not on it is left alone.
	OpPardon
	// OpForget removes all that is known of a caller.
	OpForget
	// OpLapse removes an entry that has Lapsed, and leaves every other one alone: one
	// that somebody changes meanwhile stays. It leaves the caller's ratings, which
	// have an end of their own.
	OpLapse
)

// Change is one change of one caller's entry, made at the instant At.
type Change struct {
	Number Number
	Op     Op
	Tier   Tier            // for OpSet and OpGrade
	Ends   instant.Instant // for OpSet and OpGrade: when Tier ends; zero for never
	Flags  Flags           // for OpSet and OpGrade
	Note   string          // not for OpForget and OpLapse
	Before instant.Instant // for OpLapse: what was changed last before this lapses
	At     instant.Instant
}

// Check returns nil when the change can be made. The error is ErrNumber or
// ErrEntry and names the field and what is allowed.
func (c Change) Check() error {
	if err := c.Number.Check(); err != nil {
		return err
	}
	gives := c.Op == OpSet || c.Op == OpGrade
	switch {
	case c.Op < OpSet || c.Op > OpLapse:
		return fmt.Errorf("%w: operation %d is unknown", ErrEntry, c.Op)
	case gives && !c.Tier.Valid():
		return fmt.Errorf("%w: tier is %v: vip, mid, ordinary or blacklist is allowed", ErrEntry, c.Tier)
	case c.At <= 0:
		return fmt.Errorf("%w: the instant of the change is missing", ErrEntry)
	case c.Op == OpLapse && (c.Before <= 0 || c.Before > c.At):
		return fmt.Errorf("%w: the instant before which it lapses is missing, or lies ahead", ErrEntry)
	case c.Ends < 0:
		return fmt.Errorf("%w: the end lies before 1970", ErrEntry)
	case len(c.Note) > MaxNoteBytes:
		return fmt.Errorf("%w: note has %d bytes, at most %d are allowed", ErrEntry, len(c.Note), MaxNoteBytes)
	case !utf8.ValidString(c.Note):
		return fmt.Errorf("%w: note is not UTF-8", ErrEntry)
	}
	return nil
}

// Apply returns what becomes of old under a change that passes Check, and
// whether anything is left to store. It is the one definition of what the
// operations do; adapters that compute it elsewhere are held against it.
func (c Change) Apply(old Entry) (_ Entry, keep bool) {
	e := old
	if e.Blacklisted && ended(e.BlacklistEnds, c.At) {
		e.Blacklisted, e.BlacklistEnds = false, 0
	}
	switch {
	case c.Op == OpForget:
		return Entry{}, false
	case c.Op == OpLapse:
		if old.Lapsed(c.Before, c.At) {
			return Entry{}, false
		}
		return old, old != Entry{}
	case c.Op == OpPardon:
		if !old.Blacklisted {
			return old, old != Entry{}
		}
		e.Blacklisted, e.BlacklistEnds = false, 0
		if e.Grade == TierUnset {
			return Entry{}, false
		}
		e.Note = c.Note
	case c.Tier == Blacklist && c.Op == OpGrade && e.Blacklisted:
		// A person's word about its end and reason stands.
	case c.Tier == Blacklist:
		e.Blacklisted, e.BlacklistEnds = true, c.Ends
		e.Note, e.Flags = c.Note, c.Flags
	default:
		if c.Op == OpSet {
			e.Blacklisted, e.BlacklistEnds = false, 0
		}
		e.Grade, e.GradedAt, e.GradeEnds, e.Flags = c.Tier, c.At, c.Ends, c.Flags
		if !e.Blacklisted {
			e.Note = c.Note
		}
	}
	e.UpdatedAt = c.At
	return e, true
}

// CheckSite returns nil when site can be the name of a site: 1 to MaxSiteBytes
// letters, digits, '.', '_' or '-'. The error is ErrSite.
func CheckSite(site string) error {
	fault := site == "" || len(site) > MaxSiteBytes || strings.ContainsFunc(site, func(c rune) bool {
		inName := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
		return !inName
	})
	if fault {
		return fmt.Errorf("%w: 1 to %d letters, digits, '.', '_' or '-' are allowed", ErrSite, MaxSiteBytes)
	}
	return nil
}
