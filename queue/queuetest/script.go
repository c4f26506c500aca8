package queuetest

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

//go:embed testdata/*.txt
var transcripts embed.FS

// Transcripts runs every transcript of this package on an engine.
func Transcripts(t *testing.T, open Factory) {
	files, err := fs.Glob(transcripts, "testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(strings.TrimPrefix(file, "testdata/"), ".txt"), func(t *testing.T) {
			text, err := transcripts.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := NewScript(open)
			datadriven.RunTestFromString(t, string(text), s.Run)
		})
	}
}

// Script reads a transcript and drives an engine on virtual time. testdata/README.md
// describes the language.
type Script struct {
	open Factory
	site queue.Site
	d    *desk // nil until the first command
	out  strings.Builder
}

// NewScript returns a script that has not begun. Its site has the defaults of
// the design, but for two that would have to be fed all the time: daemons live
// for a day without a sign, and offers need no acknowledgement.
func NewScript(open Factory) *Script {
	site := queue.DefaultSite("main")
	site.Queues, site.DefaultQueue = nil, ""
	site.OwnerLease, site.AckTimeout = 24*time.Hour, 0
	return &Script{open: open, site: site}
}

// Run executes one block: its commands, one in a line. It returns what they
// answered and which events they wrote, in order.
func (s *Script) Run(t *testing.T, td *datadriven.TestData) string {
	line := td.Cmd
	for _, arg := range td.CmdArgs {
		line += " " + arg.String()
	}
	s.out.Reset()
	for _, line := range append([]string{line}, strings.Split(td.Input, "\n")...) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := s.line(t, line); err != nil {
			td.Fatalf(t, "%q: %v", line, err)
		}
	}
	return s.out.String()
}

// line executes one command.
func (s *Script) line(t *testing.T, line string) error {
	w := parseWords(line)
	switch w.verb {
	case "site":
		return s.configureSite(w)
	case "queue":
		return s.configureQueue(w)
	}
	if s.d == nil {
		if len(s.site.Queues) == 0 {
			s.site.Queues = []queue.Queue{queue.DefaultQueue("default")}
		}
		if s.site.DefaultQueue == "" {
			s.site.DefaultQueue = s.site.Queues[0].Name
		}
		if err := s.site.Validate(); err != nil {
			return err
		}
		s.d = newDesk(t, s.open, s.site)
	}
	s.d.TB = t
	if err := s.command(w); err != nil {
		return err
	}
	if err := w.leftOver(); err != nil {
		return err
	}
	s.showEvents()
	return nil
}

// showEvents prints what has been written since it was asked last.
func (s *Script) showEvents() {
	for _, e := range s.d.newEvents() {
		fmt.Fprintf(&s.out, "%s %s\n", s.clock(e.At), formatForScript(e))
	}
}

// clock writes an instant as the site's wall clock shows it.
func (s *Script) clock(at instant.Instant) string {
	if at.IsZero() {
		return "-"
	}
	local := at.Time().In(s.site.Zone)
	text := strings.TrimSuffix(local.Format("15:04:05.000"), ".000")
	if day := local.Format(time.DateOnly); day != opening.In(s.site.Zone).Format(time.DateOnly) {
		return day + "T" + text
	}
	return text
}

// formatForScript leaves out the switch that transcripts use unless they say
// another one.
func formatForScript(e queue.Event) string {
	if e.Switch == defaultSwitch && e.Call != "" {
		e.Switch = ""
	}
	return FormatEvent(e)
}

const defaultSwitch = "s1"

// answer prints one line that is no event.
func (s *Script) answer(format string, args ...any) {
	s.out.WriteString("= " + strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// words is a command line: a verb, plain arguments, and key=value arguments.
type words struct {
	verb string
	args []string
	opts map[string]string
	used map[string]bool
	err  error
}

func parseWords(line string) *words {
	fields := strings.Fields(line)
	w := &words{verb: fields[0], opts: map[string]string{}, used: map[string]bool{}}
	for _, f := range fields[1:] {
		// With a comma before it the sign belongs to one item of a list.
		if key, value, ok := strings.Cut(f, "="); ok && !strings.Contains(key, ",") {
			w.opts[key] = value
		} else {
			w.args = append(w.args, f)
		}
	}
	return w
}

// next takes the next plain argument; "" when there is none.
func (w *words) next() string {
	if len(w.args) == 0 {
		return ""
	}
	first := w.args[0]
	w.args = w.args[1:]
	return first
}

// flag takes a plain argument that says yes by being there.
func (w *words) flag(name string) bool {
	for i, a := range w.args {
		if a == name {
			w.args = append(w.args[:i:i], w.args[i+1:]...)
			return true
		}
	}
	return false
}

// opt takes key=value; otherwise is its value when it is not there.
func (w *words) opt(key, otherwise string) string {
	w.used[key] = true
	if v, ok := w.opts[key]; ok {
		return v
	}
	return otherwise
}

// span takes key=duration.
func (w *words) span(key string, otherwise time.Duration) time.Duration {
	text := w.opt(key, "")
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	w.fail(err)
	return d
}

// number takes key=number.
func (w *words) number(key string, otherwise int) int {
	text := w.opt(key, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	w.fail(err)
	return n
}

// instant takes key=duration from now; zero when it is not there.
func (w *words) instant(key string, now instant.Instant) instant.Instant {
	if w.opt(key, "") == "" {
		return 0
	}
	return now.Add(w.span(key, 0))
}

// tier takes key=tier.
func (w *words) tier(key string, otherwise tiering.Tier) tiering.Tier {
	text := w.opt(key, "")
	if text == "" {
		return otherwise
	}
	t, err := tiering.ParseTier(text)
	w.fail(err)
	return t
}

func (w *words) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// leftOver reports what nobody has asked for: a word that is spelt wrong must
// not pass.
func (w *words) leftOver() error {
	if w.err != nil {
		return w.err
	}
	if len(w.args) > 0 {
		return fmt.Errorf("%q means nothing here", w.args[0])
	}
	for key := range w.opts {
		if !w.used[key] {
			return fmt.Errorf("%s= means nothing here", key)
		}
	}
	return nil
}

// request takes id= and print=.
func (w *words) request() queue.Request {
	return queue.Request{ID: w.opt("id", ""), Print: uint64(w.number("print", 0))}
}
