package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"greenlane/queue"
)

// maxFile bounds what is read as a configuration: a larger file is a mistake.
const maxFile = 4 << 20

// Load returns the configuration: defaults, then the file (none when path is
// empty), then the flags. The error joins every fault that was found.
func Load(path string, flags Flags) (*Config, error) {
	c := Default()
	var faults []error
	if path != "" {
		text, err := readFile(path)
		if err != nil {
			return nil, err
		}
		var fatal bool
		if faults, fatal = c.decode(text); fatal {
			return nil, prefixed(path, faults)
		}
		faults = []error{prefixed(path, faults)}
	}
	flags.apply(c)
	faults = append(faults, c.Validate())
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("configuration: %s: larger than %d bytes", path, maxFile)
	}
	return text, nil
}

// decode reads YAML over what c has. fatal means that the text is no YAML at
// all, so that nothing more can be said about it.
func (c *Config) decode(text []byte) (faults []error, fatal bool) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	err := dec.Decode(c)
	var wrong *yaml.TypeError
	var texts []string
	switch {
	case errors.Is(err, io.EOF):
		return nil, false // an empty file
	case errors.As(err, &wrong):
		texts = wrong.Errors
	case err != nil:
		return []error{errors.New(strings.TrimPrefix(err.Error(), "yaml: "))}, true
	}
	for _, s := range append(texts, c.takeFaults()...) {
		faults = append(faults, errors.New(plain(s)))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		faults = append(faults, errors.New("a second document: one YAML document is allowed"))
	}
	return faults, false
}

func prefixed(path string, faults []error) error {
	out := make([]error, len(faults))
	for i, err := range faults {
		out[i] = fmt.Errorf("%s: %w", path, err)
	}
	return errors.Join(out...)
}

var (
	unknownKey = regexp.MustCompile(`field (.+) not found in type \S+$`)
	wrongType  = regexp.MustCompile(`cannot unmarshal (!!\S+)( .*)? into (\S+)$`)
)

// plain says in the words of the file what the YAML library says in Go's.
func plain(s string) string {
	if unknownKey.MatchString(s) {
		return unknownKey.ReplaceAllString(s, `unknown key "$1"`)
	}
	m := wrongType.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	found := strings.TrimSpace(m[2])
	if found == "" {
		found = map[string]string{"!!map": "a mapping", "!!seq": "a list", "!!null": "nothing"}[m[1]]
	}
	wanted := "a mapping"
	switch {
	case m[3] == "int":
		wanted = "a whole number"
	case strings.Contains(m[3], "float64"):
		wanted = "a number"
	case m[3] == "bool":
		wanted = "true or false"
	case m[3] == "string":
		wanted = "a text"
	case strings.HasPrefix(m[3], "[]"):
		wanted = "a list"
	}
	return wrongType.ReplaceAllString(s, "") + found + " stands where " + wanted + " is allowed"
}

// Each of these gives what the file leaves out its default before reading. They
// use the older form of yaml.Unmarshaler, because the newer one forgets that
// unknown keys are refused.

// UnmarshalYAML reads a site over the defaults of one.
func (s *Site) UnmarshalYAML(unmarshal func(any) error) error {
	type plainSite Site
	out := plainSite(siteOf(queue.DefaultSite("")))
	out.DefaultQueue = ""
	err := out.faults.keep(unmarshal(&out))
	*s = Site(out)
	return err
}

// UnmarshalYAML reads a queue over the defaults of one.
func (q *Queue) UnmarshalYAML(unmarshal func(any) error) error {
	type plainQueue Queue
	out := plainQueue(queueOf(queue.DefaultQueue("")))
	usual := out.Shares
	out.Shares = PerTier{}
	err := out.faults.keep(unmarshal(&out))
	out.Shares.fill(usual)
	*q = Queue(out)
	return err
}

// faults are what was wrong with a part of the file. The YAML library would
// drop that part from its list and what else is wrong with it would go untold,
// so they are kept beside it.
type faults []string

func (f *faults) keep(err error) error {
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		*f = append(*f, wrong.Errors...)
		return nil
	}
	return err
}

// takeFaults returns the faults kept in c's parts, and forgets them.
func (c *Config) takeFaults() (out []string) {
	for i := range c.Sites {
		s := &c.Sites[i]
		out, s.faults = append(out, s.faults...), nil
		for j := range s.Queues {
			q := &s.Queues[j]
			out, q.faults = append(out, q.faults...), nil
		}
	}
	return out
}

// YAML returns the configuration as a file that Load reads back; passwords are
// not shown.
func (c *Config) YAML() ([]byte, error) {
	shown := *c
	for _, password := range []*string{&shown.Redis.Password, &shown.Redis.SentinelPassword} {
		if *password != "" {
			*password = hidden
		}
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&shown); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return out.Bytes(), enc.Close()
}

const hidden = "(hidden)"
