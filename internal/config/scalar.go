package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Duration is a length of time, written like 20s, 1h30m or 7d.
type Duration time.Duration

// D returns the length as the standard library has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

// String writes the shortest form that reads back the same.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

var days = regexp.MustCompile(`^(\d{1,5})d(.*)$`)

// ParseDuration reads what time.ParseDuration reads, and days in front.
func ParseDuration(s string) (Duration, error) {
	text := strings.TrimSpace(s)
	var whole time.Duration
	if m := days.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		whole = time.Duration(n) * 24 * time.Hour
		if text = m[2]; text == "" {
			text = "0"
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 {
		return 0, fmt.Errorf("%q is no length of time: a form such as 500ms, 20s, 1h30m or 7d is allowed", s)
	}
	if rest%time.Millisecond != 0 {
		return 0, fmt.Errorf("%q is too fine: whole milliseconds are allowed", s)
	}
	return Duration(whole + rest), nil
}

// MarshalYAML implements yaml.Marshaler.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		if err == nil {
			err = fmt.Errorf("a length of time such as 20s is allowed here")
		}
		return fault(n, err)
	}
	*d = v
	return nil
}

// ClockTime is a time of day, written like 09:00; 24:00 is the day's end.
type ClockTime time.Duration

// D returns the time since midnight.
func (c ClockTime) D() time.Duration { return time.Duration(c) }

// String writes hours and minutes, and seconds where there are any.
func (c ClockTime) String() string {
	d := time.Duration(c)
	s := fmt.Sprintf("%02d:%02d", d/time.Hour, d%time.Hour/time.Minute)
	if sec := d % time.Minute / time.Second; sec != 0 {
		s += fmt.Sprintf(":%02d", sec)
	}
	return s
}

var clock = regexp.MustCompile(`^(\d{1,2}):([0-5]\d)(?::([0-5]\d))?$`)

// ParseClockTime reads 00:00 to 24:00, with seconds where wanted.
func ParseClockTime(s string) (ClockTime, error) {
	m := clock.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, fmt.Errorf("%q is no time of day: 00:00 to 24:00 is allowed", s)
	}
	hour, _ := strconv.Atoi(m[1])
	minute, _ := strconv.Atoi(m[2])
	second, _ := strconv.Atoi("0" + m[3])
	d := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
	if d > 24*time.Hour {
		return 0, fmt.Errorf("%q is no time of day: 00:00 to 24:00 is allowed", s)
	}
	return ClockTime(d), nil
}

// MarshalYAML implements yaml.Marshaler.
func (c ClockTime) MarshalYAML() (any, error) { return c.String(), nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *ClockTime) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseClockTime(n.Value)
	if err != nil {
		return fault(n, err)
	}
	*c = v
	return nil
}

// Span is an opening time within one day, written like 09:00-18:00.
type Span struct{ From, To ClockTime }

// String writes the span as the file does.
func (s Span) String() string { return s.From.String() + "-" + s.To.String() }

// MarshalYAML implements yaml.Marshaler.
func (s Span) MarshalYAML() (any, error) { return s.String(), nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *Span) UnmarshalYAML(n *yaml.Node) error {
	from, to, _ := strings.Cut(n.Value, "-")
	f, err1 := ParseClockTime(from)
	t, err2 := ParseClockTime(to)
	if err1 != nil || err2 != nil || f >= t {
		return fault(n, fmt.Errorf("%q is no span: from-to within one day, such as 09:00-18:00, is allowed", n.Value))
	}
	s.From, s.To = f, t
	return nil
}

// fault says what is wrong at a place of the file. As a TypeError it is joined
// with the others instead of ending the reading.
func fault(n *yaml.Node, err error) error {
	return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %v", n.Line, err)}}
}

func splitList(s string) []string {
	out := []string{}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
