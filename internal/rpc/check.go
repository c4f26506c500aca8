package rpc

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/discreet"
	"greenlane/internal/instant"
)

// What the API allows, as the comments of the .proto files say it.
const (
	maxID           = 128
	maxName         = 64 // of a site or queue
	maxCaller       = 1024
	maxDialed       = 64
	maxEndpoint     = 256
	maxReason       = 64
	maxNote         = 500
	maxAttributes   = 32
	maxAttributeKey = 64
	maxAttribute    = 256
	maxQueues       = 100
	maxLevel        = 100
	maxWait         = 300 * time.Second
	maxWrapUp       = time.Hour
	maxPage         = 1000
	maxReconcile    = 50_000
	maxBatch        = 20_000
	maxPageToken    = 1024
	arrivedPast     = 24 * time.Hour // earlier arrivals count as so long ago
)

// check collects what is wrong with a request, so that one answer names it all.
// A good request costs no allocation.
type check struct {
	faults []*errdetails.BadRequest_FieldViolation
}

func (c *check) fault(field, format string, args ...any) {
	c.faults = append(c.faults, &errdetails.BadRequest_FieldViolation{Field: field, Description: fmt.Sprintf(format, args...)})
}

// err returns InvalidArgument with every fault, or nil.
func (c *check) err() error {
	if len(c.faults) == 0 {
		return nil
	}
	parts := make([]string, len(c.faults))
	for i, f := range c.faults {
		f.Description = discreet.Text(f.GetDescription())
		parts[i] = f.GetField() + ": " + f.GetDescription()
	}
	return withDetails(status.New(codes.InvalidArgument, strings.Join(parts, "; ")),
		&errdetails.ErrorInfo{Reason: "INVALID_ARGUMENT", Domain: errorDomain},
		&errdetails.BadRequest{FieldViolations: c.faults}).Err()
}

// id checks a required id.
func (c *check) id(field, s string) {
	if s == "" || len(s) > maxID || !printable(s) {
		c.fault(field, "1 to %d bytes without control characters are allowed", maxID)
	}
}

// text checks an optional text of one line.
func (c *check) text(field, s string, most int) {
	if len(s) > most || !printable(s) {
		c.fault(field, "at most %d bytes without control characters are allowed", most)
	}
}

// note checks free text, which may have lines and tabs.
func (c *check) note(field, s string) {
	if len(s) > maxNote || !printable(strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(s)) {
		c.fault(field, "at most %d bytes without control characters other than line ends and tabs are allowed", maxNote)
	}
}

// name checks the name of a site or a queue; an empty one only when required.
func (c *check) name(field, s string, required bool) {
	if s == "" && !required {
		return
	}
	if s == "" || len(s) > maxName || !nameLike(s) {
		c.fault(field, "1 to %d letters, digits, '.', '_' or '-' are allowed", maxName)
	}
}

// time reads a timestamp; an absent one, and a wrong one, is the zero Instant.
func (c *check) time(field string, ts *timestamppb.Timestamp) instant.Instant {
	if ts == nil {
		return 0
	}
	if ts.CheckValid() != nil {
		c.fault(field, "a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z is allowed")
		return 0
	}
	return instant.Of(ts.AsTime())
}

// arrived reads when a call reached its switch, by the switch's clock; 0: not said.
// A wrong clock must not keep calls out: the time is taken to be within a day, and
// not ahead of now.
func (c *check) arrived(field string, ts *timestamppb.Timestamp, now instant.Instant) instant.Instant {
	t := c.time(field, ts)
	switch {
	case t == 0:
		return 0
	case t < 0:
		c.fault(field, "a time before 1970 is not allowed")
		return 0
	}
	return min(max(t, now.Add(-arrivedPast)), now)
}

// ahead reads a timestamp that must lie in the future.
func (c *check) ahead(field string, ts *timestamppb.Timestamp, now instant.Instant) instant.Instant {
	before := len(c.faults)
	t := c.time(field, ts)
	if ts != nil && len(c.faults) == before && t <= now {
		c.fault(field, "a time in the future is allowed")
	}
	return t
}

// duration reads a duration within bounds; an absent one is otherwise.
func (c *check) duration(field string, d *durationpb.Duration, least, most, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	v := d.AsDuration()
	if d.CheckValid() != nil || v < least || v > most {
		c.fault(field, "%v to %v is allowed", least, most)
		return otherwise
	}
	return v
}

// page checks size and token of a list and returns the size; 0 stays 0, which
// the engine reads as its default.
func (c *check) page(size int32, token string) int {
	if size < 0 || size > maxPage {
		c.fault("page_size", "0 to %d is allowed; 0 means 100", maxPage)
	}
	c.text("page_token", token, maxPageToken)
	return int(size)
}

// enum checks that an enum has a name; the zero value only when not required.
func (c *check) enum(field string, v int32, names map[int32]string, required bool) {
	if _, ok := names[v]; ok && (v != 0 || !required) {
		return
	}
	first := int32(0)
	if required {
		first = 1
	}
	allowed := make([]string, 0, len(names))
	for n := first; ; n++ {
		s, ok := names[n]
		if !ok {
			break
		}
		allowed = append(allowed, s)
	}
	c.fault(field, "one of %s is allowed", strings.Join(allowed, ", "))
}

// index names an item of a list: queues[2].level.
func index(field string, i int, sub string) string {
	s := field + "[" + strconv.Itoa(i) + "]"
	if sub != "" {
		s += "." + sub
	}
	return s
}

// printable reports whether s is UTF-8 without control characters.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b < ' ' || b == 0x7f:
			return false
		case b >= utf8.RuneSelf:
			return printableRunes(s[i:])
		}
	}
	return true
}

func printableRunes(s string) bool {
	for i, r := range s {
		if unicode.IsControl(r) {
			return false
		}
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size <= 1 {
				return false
			}
		}
	}
	return true
}

func nameLike(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
