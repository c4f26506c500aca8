package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"greenlane/metrics"
)

// Formats are the ways to write a report, by name.
var Formats = map[string]func(*Report, io.Writer) error{
	"table": (*Report).Table, "csv": (*Report).CSV, "json": (*Report).JSON, "html": (*Report).HTML,
}

// timeIn writes an instant in the report's zone, with seconds when the intervals
// are shorter than a minute.
func (r *Report) timeIn(t time.Time) string {
	if r.Interval%time.Minute != 0 {
		return t.In(r.Zone).Format(time.DateTime)
	}
	return t.In(r.Zone).Format("2006-01-02 15:04")
}

// note is what a reader must know before the figures, in a sentence. An alarm
// says that they are not whole.
type note struct {
	Text  string
	Alarm bool
}

func (r *Report) notes() []note {
	var out []note
	for _, s := range r.Missing {
		out = append(out, note{Alarm: true, Text: fmt.Sprintf(
			"Missing: %s to %s. The event log keeps that time no longer; nothing is shown for it, and the sums are without it.", r.timeIn(s.From), r.timeIn(s.To))})
	}
	running := 0
	for i := range r.Intervals {
		if r.Intervals[i].State == Running {
			running++
		}
	}
	sum := Sum(r.Lines, false)
	if waiting := sum.Waiting; waiting > 0 {
		out = append(out, note{Text: fmt.Sprintf("When this was made, %s had neither been answered nor hung up; the figures of %s will change.",
			many(waiting, "caller"), many(int64(running), "interval"))})
	}
	return out
}

func many(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

// Table writes the report for a terminal.
func (r *Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "Site %s, %s to %s (%s), by %s. Read %d events; as of %s.\n", r.Site, r.timeIn(r.From), r.timeIn(r.To), r.Zone, span(r.Interval), r.Events, r.timeIn(r.Made))
	fmt.Fprintf(w, "SL is the service level: %s.\n", metrics.Headline)
	for _, n := range r.notes() {
		fmt.Fprintln(w, n.Text)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	const columns = 16
	row := func(cells ...string) {
		cells = append(cells, make([]string, columns-len(cells))...)
		fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
	}
	row("from", "queue", "tier", "joined", "in time", "late", "hung up", "short", "other", "waiting", "SL", "target", "", "ASA", "longest", "talk")
	line := func(when, queueName, tier string, f *Figures, target float64) {
		c := &f.Counts
		goal, verdict := "", ""
		if target > 0 {
			goal = percent(target, true)
			verdict = map[metrics.Verdict]string{metrics.Met: "met", metrics.Missed: "MISSED"}[metrics.Judge(metrics.Headline, c, target)]
		}
		talk, ok := f.AverageTalk()
		row(when, queueName, tier, number(f.Joined), number(c.AnsweredInTime), number(c.AnsweredLate), number(c.Abandoned()), number(c.AbandonedShort),
			number(c.TimedOut+c.Overflowed+c.Refused), number(f.Waiting), percent(metrics.ServiceLevel(metrics.Headline, c)), goal, verdict,
			seconds(metrics.AverageSpeedOfAnswer(c)), seconds(f.Longest.Seconds(), f.Longest > 0), seconds(talk.Seconds(), ok))
	}
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		when := r.timeIn(iv.From)
		if iv.silent() {
			row(when, "("+iv.State.String()+")")
		} else if iv.State == Partial {
			when += " (partial)"
		}
		for j := range iv.Lines {
			l := &iv.Lines[j]
			line(when, l.Queue, l.Tier.String(), &l.Figures, l.Target)
		}
	}
	row("")
	for i := range r.Lines {
		l := &r.Lines[i]
		line("total", l.Queue, l.Tier.String(), &l.Figures, l.Target)
	}
	all := Sum(r.Lines, true)
	line("total", "all", "with a target", &all, 0)
	if err := t.Flush(); err != nil {
		return err
	}
	sum := Sum(r.Lines, false)
	fmt.Fprintf(w, "\nOccupancy %s. Callbacks: %d promised, %d kept within 24 h, %d not, %d withdrawn, %d open.\n",
		percent(metrics.Occupancy(&r.Agents)), sum.Promised, sum.Promises.Kept, sum.Promises.Broken, sum.Withdrawn, sum.Open())
	return nil
}

func number(n int64) string {
	if n == 0 {
		return "."
	}
	return strconv.FormatInt(n, 10)
}

func percent(v float64, ok bool) string {
	if !ok {
		return "-"
	}
	return strconv.FormatFloat(100*v, 'f', 1, 64) + " %"
}

func seconds(v float64, ok bool) string {
	if !ok {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', 1, 64) + " s"
}

// CSV writes a row for each interval, queue and tier, and one without figures
// for an interval of which nothing can be told. Shares are 0 to 1, times in seconds; an empty
// field has no value. The occupancy is that of all agents in the interval.
func (r *Report) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{
		"from", "to", "state", "queue", "tier", "joined", "answered", "answered_in_time", "answered_late", "abandoned", "abandoned_short",
		"abandoned_in_time", "abandoned_late", "timed_out", "overflowed", "refused", "waiting", "waiting_late",
	}
	for _, f := range metrics.Formulas {
		head = append(head, "service_level_"+f.Key())
	}
	head = append(head, "target", "verdict", "spare_calls", "abandonment", "average_speed_of_answer", "average_abandoned_wait", "longest_wait", "completed", "average_talk",
		"callbacks_promised", "callbacks_kept", "callbacks_broken", "callbacks_withdrawn", "callbacks_open", "occupancy")
	out.Write(head) //nolint:errcheck // Flush says it
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		begin := []string{iv.From.In(r.Zone).Format(time.RFC3339), iv.To.In(r.Zone).Format(time.RFC3339), iv.State.String()}
		if iv.silent() {
			out.Write(append(begin, make([]string, len(head)-len(begin))...)) //nolint:errcheck // Flush says it
		}
		occupancy := field(metrics.Occupancy(&iv.Agents))
		for j := range iv.Lines {
			out.Write(append(append(begin[:3:3], iv.Lines[j].fields()...), occupancy)) //nolint:errcheck // Flush says it
		}
	}
	out.Flush()
	return out.Error()
}

// fields are a line's columns, from the queue to the callbacks.
func (l *Line) fields() []string {
	c := &l.Counts
	out := []string{l.Queue, l.Tier.String()}
	whole := func(ns ...int64) {
		for _, n := range ns {
			out = append(out, strconv.FormatInt(n, 10))
		}
	}
	whole(l.Joined, c.Answered(), c.AnsweredInTime, c.AnsweredLate, c.Abandoned(), c.AbandonedShort, c.AbandonedInTime, c.AbandonedLate,
		c.TimedOut, c.Overflowed, c.Refused, l.Waiting, c.LateWaiting)
	for _, f := range metrics.Formulas {
		out = append(out, field(metrics.ServiceLevel(f, c)))
	}
	out = append(out, field(l.Target, l.Target > 0), metrics.Judge(metrics.Headline, c, l.Target).String())
	if spare, ok := metrics.Spare(metrics.Headline, c, l.Target); ok {
		whole(spare)
	} else {
		out = append(out, "")
	}
	talk, talked := l.AverageTalk()
	abandonedWait := 0.0
	if c.Abandoned() > 0 {
		abandonedWait = float64(c.AbandonedWait) / float64(c.Abandoned()) / 1000
	}
	out = append(out, field(metrics.Abandonment(c)), field(metrics.AverageSpeedOfAnswer(c)), field(abandonedWait, c.Abandoned() > 0),
		field(l.Longest.Seconds(), l.Longest > 0))
	whole(l.Completed)
	out = append(out, field(talk.Seconds(), talked))
	whole(l.Promised, l.Promises.Kept, l.Promises.Broken, l.Withdrawn, l.Open())
	return out
}

func field(v float64, ok bool) string {
	if !ok {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
