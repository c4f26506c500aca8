package cli

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// word is an enum's value as the command line says it: NOT_READY of AgentState is
// "not-ready". The value that means "not given" is empty.
func word(e protoreflect.Enum) string {
	d := e.Descriptor()
	v := d.Values().ByNumber(e.Number())
	if v == nil {
		return strconv.Itoa(int(e.Number())) // a daemon that is newer than this tool
	}
	if e.Number() == 0 {
		return ""
	}
	return wordOf(d, v)
}

func wordOf(d protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	prefix := strings.TrimSuffix(string(d.Values().Get(0).Name()), "UNSPECIFIED")
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(string(v.Name()), prefix)), "_", "-")
}

// words are all that parseWord reads, in the order of the proto file.
func words(e protoreflect.Enum) []string {
	d := e.Descriptor()
	var all []string
	for i := 1; i < d.Values().Len(); i++ {
		all = append(all, wordOf(d, d.Values().Get(i)))
	}
	return all
}

// parseWord reads a word as an enum's value; empty is the value that means "not
// given". name is the flag or column, for the error.
func parseWord[E interface {
	~int32
	protoreflect.Enum
}](name, s string) (E, error) {
	var zero E
	if s == "" {
		return zero, nil
	}
	d := zero.Descriptor()
	for i := 1; i < d.Values().Len(); i++ {
		v := d.Values().Get(i)
		if wordOf(d, v) == strings.ReplaceAll(strings.ToLower(s), "_", "-") {
			return E(v.Number()), nil
		}
	}
	return zero, fmt.Errorf("%s: %q is not allowed: one of %s", name, s, strings.Join(words(zero), ", "))
}

// parseWords reads several.
func parseWords[E interface {
	~int32
	protoreflect.Enum
}](name string, all []string) ([]E, error) {
	var out []E
	for _, s := range all {
		v, err := parseWord[E](name, s)
		if err != nil {
			return nil, UsageError{err}
		}
		if v != 0 {
			out = append(out, v)
		}
	}
	return out, nil
}
