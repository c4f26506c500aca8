package report

import (
	_ "embed"
	"html/template"
	"io"
	"math"
	"strconv"
	"time"

	"greenlane/metrics"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// mostColumns is how many columns a chart has room for: beyond that neighbours
// are put together. mostRows is how many rows the page lists; CSV has them all.
const (
	mostColumns = 192
	mostRows    = 4000
)

// HTML writes the report as one page that asks for nothing else: charts are in
// it, light and dark as the reader's system is.
func (r *Report) HTML(w io.Writer) error {
	b := &pageBuilder{r: r, groups: r.grouped(mostColumns)}
	return pageTemplate.Execute(w, b.page())
}

// page is what the template shows.
type page struct {
	Site, Range, Zone, Interval, Made, Formula string
	Notes                                      []note
	Cards                                      []card
	Charts                                     []figure
	Queues                                     []queueRow
	Heat                                       []heatRow
	HeatTimes                                  string
	Rows                                       []tableRow
	Left                                       int // rows that are not listed
	Promised, Kept, Broken, Withdrawn, Open    int64
	Formulas                                   []formulaRow
}

type card struct{ Name, Value, Note, Class string }

type figure struct {
	Title, About string
	Legend       []series
	SVG          template.HTML
}

// Name and Class are for the template.
func (s series) Name() string  { return s.name }
func (s series) Class() string { return s.class }

type tableRow struct {
	When, Queue, Tier, State                                                       string
	Joined, InTime, Late, Abandoned, Short, Other, Waiting, Level, Goal, ASA, Long string
	Talk, Spare, Class                                                             string
	Share                                                                          float64 // of the level, 0 to 100
	Target                                                                         float64
	HasLevel, HasTarget                                                            bool
}

type queueRow struct {
	Name, Threshold string
	Tiers           []tableRow
}

type heatRow struct {
	Name  string
	Cells []heatCell
}

type heatCell struct{ Class, Note, Text string }

type formulaRow struct{ Name, Value string }

type pageBuilder struct {
	r      *Report
	groups []Interval
}

// grouped puts neighbouring intervals together until there are at most n.
func (r *Report) grouped(n int) []Interval {
	size := (len(r.Intervals) + n - 1) / n
	if size <= 1 {
		return r.Intervals
	}
	var out []Interval
	for i := 0; i < len(r.Intervals); i += size {
		part := r.Intervals[i:min(i+size, len(r.Intervals))]
		sum := Report{Intervals: part}
		sum.total()
		g := Interval{Span: Span{part[0].From, part[len(part)-1].To}, Lines: sum.Lines, Agents: sum.Agents, State: part[0].State}
		for j := range part {
			if part[j].State != g.State {
				g.State = Partial
			}
		}
		out = append(out, g)
	}
	return out
}

func (b *pageBuilder) page() *page {
	r := b.r
	sum := Sum(r.Lines, false)
	p := &page{
		Site: r.Site, Range: r.timeIn(r.From) + " – " + r.timeIn(r.To), Zone: r.Zone.String(), Interval: span(r.Interval), Made: r.timeIn(r.Made),
		Formula: metrics.Headline.String(), Notes: r.notes(), Cards: b.cards(), Charts: b.charts(), Queues: b.queues(),
		Promised: sum.Promised, Kept: sum.Promises.Kept, Broken: sum.Promises.Broken, Withdrawn: sum.Withdrawn, Open: sum.Open(),
	}
	p.Heat = b.heat()
	if n := len(b.groups); n > 0 {
		p.HeatTimes = b.groups[0].From.In(r.Zone).Format("15:04") + " – " + b.groups[n-1].To.In(r.Zone).Format("15:04")
	}
	judged := Sum(r.Lines, true)
	for _, f := range metrics.Formulas {
		p.Formulas = append(p.Formulas, formulaRow{f.String(), percent(metrics.ServiceLevel(f, &judged.Counts))})
	}
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		if iv.silent() {
			p.Rows = append(p.Rows, tableRow{When: r.timeIn(iv.From), State: iv.State.String(), Class: "missing-row"})
			continue
		}
		for j := range iv.Lines {
			row := rowOf(&iv.Lines[j])
			row.When = r.timeIn(iv.From)
			if iv.State != Complete {
				row.State = iv.State.String()
			}
			p.Rows = append(p.Rows, row)
		}
	}
	if len(p.Rows) > mostRows {
		p.Left = len(p.Rows) - mostRows
		p.Rows = p.Rows[:mostRows]
	}
	return p
}

// cards are the figures at the top.
func (b *pageBuilder) cards() []card {
	r := b.r
	judged, all := Sum(r.Lines, true), Sum(r.Lines, false)
	c := &judged.Counts
	missed := 0
	targets := 0
	for i := range r.Lines {
		switch metrics.Judge(metrics.Headline, &r.Lines[i].Counts, r.Lines[i].Target) {
		case metrics.Missed:
			missed++
			targets++
		case metrics.Met:
			targets++
		}
	}
	class := "good"
	if missed > 0 {
		class = "bad"
	}
	verdict := "no target"
	if targets > 0 {
		verdict = strconv.Itoa(targets-missed) + " of " + strconv.Itoa(targets) + " targets met"
	} else {
		class = ""
	}
	occupancy, ok := metrics.Occupancy(&r.Agents)
	kept, anyEnded := all.Promises.KeptShare()
	return []card{
		{"Service level", percent(metrics.ServiceLevel(metrics.Headline, c)), verdict, class},
		{"Calls", strconv.FormatInt(all.Joined+all.Counts.Refused, 10), strconv.FormatInt(all.Counts.Answered(), 10) + " answered", ""},
		{"Hung up", percent(metrics.Abandonment(c)), strconv.FormatInt(all.Counts.Abandoned(), 10) + " callers, " + strconv.FormatInt(all.Counts.AbandonedShort, 10) + " at once", ""},
		{"Average answer", seconds(metrics.AverageSpeedOfAnswer(c)), "longest " + span(judged.Longest), ""},
		{"Occupancy", percent(occupancy, ok), "of agents at work", ""},
		{"Callbacks kept", percent(kept, anyEnded), strconv.FormatInt(all.Promised, 10) + " promised, " + strconv.FormatInt(all.Open(), 10) + " open", ""},
	}
}

// queues are the sums of each queue and tier.
func (b *pageBuilder) queues() []queueRow {
	var out []queueRow
	for _, q := range b.r.Queues {
		row := queueRow{Name: q.Name, Threshold: span(q.Threshold)}
		for i := range b.r.Lines {
			if b.r.Lines[i].Queue == q.Name {
				row.Tiers = append(row.Tiers, rowOf(&b.r.Lines[i]))
			}
		}
		if len(row.Tiers) > 0 {
			out = append(out, row)
		}
	}
	return out
}

func rowOf(l *Line) tableRow {
	c := &l.Counts
	level, ok := metrics.ServiceLevel(metrics.Headline, c)
	talk, talked := l.AverageTalk()
	row := tableRow{
		Queue: l.Queue, Tier: l.Tier.String(), Joined: number(l.Joined), InTime: number(c.AnsweredInTime), Late: number(c.AnsweredLate),
		Abandoned: number(c.Abandoned()), Short: number(c.AbandonedShort), Other: number(c.TimedOut + c.Overflowed + c.Refused), Waiting: number(l.Waiting),
		Level: percent(level, ok), HasLevel: ok, Share: 100 * level, ASA: seconds(metrics.AverageSpeedOfAnswer(c)),
		Long: span(l.Longest), Talk: span(talk), Goal: "none",
	}
	if !talked {
		row.Talk = "–"
	}
	if l.Target > 0 {
		row.HasTarget, row.Target, row.Goal = true, 100*l.Target, percent(l.Target, true)
	}
	switch metrics.Judge(metrics.Headline, c, l.Target) {
	case metrics.Met:
		row.Class = "good"
	case metrics.Missed:
		row.Class = "bad"
	}
	if spare, ok := metrics.Spare(metrics.Headline, c, l.Target); ok {
		row.Spare = strconv.FormatInt(spare, 10)
		if spare > 0 {
			row.Spare = "+" + row.Spare
		}
	}
	return row
}

// heat shows each queue's service level over time.
func (b *pageBuilder) heat() []heatRow {
	var out []heatRow
	for _, q := range b.r.Queues {
		row := heatRow{Name: q.Name}
		some := false
		for i := range b.groups {
			iv := &b.groups[i]
			cell := heatCell{Class: "none", Note: b.r.timeIn(iv.From) + " " + q.Name + ": "}
			if iv.State == Missing {
				cell.Class, cell.Note = "missing", cell.Note+"missing"
				row.Cells = append(row.Cells, cell)
				continue
			}
			met, missed, f := b.verdicts(iv, q.Name)
			level, ok := metrics.ServiceLevel(metrics.Headline, &f.Counts)
			switch {
			case !ok:
				cell.Note += "no calls"
			case missed == 0 && met > 0:
				cell.Class = "good"
			case met == 0 && missed > 0 && level < 0.6:
				cell.Class = "bad"
			case missed > 0:
				cell.Class = "warn"
			}
			if ok {
				some = true
				cell.Note += percent(level, true) + ", " + many(f.Counts.Answered()+f.Counts.Abandoned(), "call")
			}
			row.Cells = append(row.Cells, cell)
		}
		if some {
			out = append(out, row)
		}
	}
	return out
}

// verdicts counts how many tiers of a queue met and missed their target in an
// interval, and adds the judged ones up.
func (b *pageBuilder) verdicts(iv *Interval, queueName string) (met, missed int, sum Figures) {
	for i := range iv.Lines {
		l := &iv.Lines[i]
		if l.Queue != queueName || l.Target == 0 {
			continue
		}
		sum.Add(&l.Figures)
		switch metrics.Judge(metrics.Headline, &l.Counts, l.Target) {
		case metrics.Met:
			met++
		case metrics.Missed:
			missed++
		}
	}
	return met, missed, sum
}

// span writes a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 90*time.Second:
		return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case d < 90*time.Minute:
		return strconv.FormatFloat(math.Round(d.Minutes()*10)/10, 'f', -1, 64) + " min"
	default:
		return strconv.FormatFloat(math.Round(d.Hours()*10)/10, 'f', -1, 64) + " h"
	}
}
