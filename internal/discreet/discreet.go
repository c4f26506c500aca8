// Package discreet keeps phone numbers out of what a process says: its log and its
// errors. Nobody writes a number there on purpose; but a client may put one where
// an id belongs, and a library may quote what it was given.
//
// It is the last of two walls. The first one is that code does not quote numbers:
// tiering.Number has Masked for those who must name one.
package discreet

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
)

// A number is 8 to 20 digits, perhaps with a plus, and perhaps in groups parted by
// single spaces, dashes or brackets. Without a plus, a part of a longer word is none:
// ids with letters, addresses, fractions; and neither is a day. But 10 to 15 digits
// behind a mark or a space are one, whatever is before: an id like crm-13912345678.
// What is plainly none is left: the end of a UUID, a second (20261126131448) and the
// ids that Asterisk makes (pbx-1764134088.12).
var (
	numberLike = regexp.MustCompile(`\+?\(?\d(?:[ ()-]{0,2}\d){7,19}`)
	dayLike    = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
	tailLike   = regexp.MustCompile(`[-._: ()]\d{10,15}`)
	uuidHead   = regexp.MustCompile(`[[:xdigit:]]{8}(?:-[[:xdigit:]]{4}){3}-$`)
	secondLike = regexp.MustCompile(`^20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d$`)
)

// The digits of a number that are left to tell one from another.
const shown = 4

// Text returns s with every phone number in it masked to its last four digits.
func Text(s string) string {
	s = mask(s, numberLike, func(s string, from, to int) bool {
		return !within(s, from, to) && !dayLike.MatchString(s[from:to])
	})
	return mask(s, tailLike, func(s string, from, to int) bool { return tail(s, from+1, to) })
}

// mask masks what a pattern finds in s and a number is.
func mask(s string, like *regexp.Regexp, is func(s string, from, to int) bool) string {
	found := like.FindAllStringIndex(s, -1)
	if found == nil {
		return s
	}
	var out strings.Builder
	at := 0
	for _, f := range found {
		if !is(s, f[0], f[1]) {
			continue
		}
		out.WriteString(s[at:f[0]])
		out.WriteString(masked(s[f[0]:f[1]]))
		at = f[1]
	}
	out.WriteString(s[at:])
	return out.String()
}

// tail reports whether s[from:to], digits behind a mark, is a number.
func tail(s string, from, to int) bool {
	if to < len(s) && wordy(s[to]) {
		return false
	}
	digits := s[from:to]
	unique := len(digits) == 10 && digits[0] == '1' && to+1 < len(s) && s[to] == '.' && s[to+1] >= '0' && s[to+1] <= '9'
	uuid := len(digits) == 12 && uuidHead.MatchString(s[max(0, from-24):from])
	return !unique && !uuid && !secondLike.MatchString(digits)
}

// within reports whether s[from:to] is a part of a longer word: an id, an address, a
// fraction.
func within(s string, from, to int) bool {
	if s[from] == '+' {
		return false
	}
	port := from > 1 && s[from-1] == ':' && (s[from-2] == ']' || s[from-2] >= '0' && s[from-2] <= '9')
	return from > 0 && (wordy(s[from-1]) || strings.IndexByte(".-", s[from-1]) >= 0 || port) ||
		to < len(s) && wordy(s[to]) || to+1 < len(s) && s[to] == '.' && wordy(s[to+1])
}

func wordy(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func masked(number string) string {
	digits := 0
	for i := range len(number) {
		if number[i] >= '0' && number[i] <= '9' {
			digits++
		}
	}
	var out strings.Builder
	for i := range len(number) {
		c := number[i]
		if c >= '0' && c <= '9' {
			if digits > shown {
				c = '*'
			}
			digits--
		}
		out.WriteByte(c)
	}
	return out.String()
}

// Handler returns a log handler that passes records on to next with every phone
// number in their messages and texts masked.
func Handler(next slog.Handler) slog.Handler { return &handler{next} }

type handler struct{ next slog.Handler }

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, Text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(attr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(list []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(list))
	for i, a := range list {
		out[i] = attr(a)
	}
	return &handler{h.next.WithAttrs(out)}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler { return &handler{h.next.WithGroup(name)} }

func attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.String(a.Key, Text(v.String()))
	case slog.KindGroup:
		group := make([]slog.Attr, 0, len(v.Group()))
		for _, member := range v.Group() {
			group = append(group, attr(member))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(group...)}
	case slog.KindAny:
		// Errors, and whatever else writes itself, perhaps by quoting what it holds.
		return slog.String(a.Key, Text(v.String()))
	}
	return slog.Attr{Key: a.Key, Value: v}
}
