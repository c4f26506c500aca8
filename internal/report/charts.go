package report

import (
	"math"
	"strconv"
	"time"

	"greenlane/metrics"
	"greenlane/tiering"
)

// values reads one figure of every column; NaN where it has none.
func (b *pageBuilder) values(read func(*Interval) (float64, bool)) []float64 {
	out := make([]float64, len(b.groups))
	for i := range b.groups {
		out[i] = math.NaN()
		if b.groups[i].State != Missing {
			if v, ok := read(&b.groups[i]); ok {
				out[i] = v
			}
		}
	}
	return out
}

func (b *pageBuilder) columns() []column {
	out := make([]column, len(b.groups))
	for i := range b.groups {
		out[i] = column{b.groups[i].Span, b.groups[i].State == Missing, b.groups[i].State == Partial}
	}
	return out
}

func (b *pageBuilder) charts() []figure {
	return []figure{b.calls(), b.serviceLevel(), b.waits(), b.agents()}
}

// draw draws a chart over the columns of the page. Dashed lines explain
// themselves.
func (b *pageBuilder) draw(title, about string, c chart) figure {
	c.title, c.columns, c.zone = title, b.columns(), b.r.Zone
	legend := c.bars
	for _, s := range c.lines {
		if !s.dashed {
			legend = append(legend, s)
		}
	}
	return figure{title, about, legend, c.svg()}
}

func (b *pageBuilder) calls() figure {
	count := func(name, class string, pick func(*Figures) int64) series {
		return series{name: name, class: class, values: b.values(func(iv *Interval) (float64, bool) {
			sum := Sum(iv.Lines, false)
			return float64(pick(&sum)), true
		})}
	}
	return b.draw("Calls", "By the interval in which they joined their queue.", chart{
		write: func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) },
		bars: []series{
			count("answered in time", "good", func(f *Figures) int64 { return f.Counts.AnsweredInTime }),
			count("answered late", "warn", func(f *Figures) int64 { return f.Counts.AnsweredLate }),
			count("hung up", "bad", func(f *Figures) int64 { return f.Counts.Abandoned() }),
			count("timed out, overflowed, refused", "grey", func(f *Figures) int64 { return f.Counts.TimedOut + f.Counts.Overflowed + f.Counts.Refused }),
			count("still waiting", "calm", func(f *Figures) int64 { return f.Waiting }),
		},
	})
}

func (b *pageBuilder) serviceLevel() figure {
	return b.draw("Service level", "All queues, by tier. Dashed: the target.", chart{
		top: 1, write: func(v float64) string { return strconv.FormatFloat(100*v, 'f', 0, 64) + " %" }, lines: b.levels(),
	})
}

func (b *pageBuilder) waits() figure {
	return b.draw("Waits", "Average of answered calls, and the longest wait that ended, of the tiers that have a target.", chart{
		write: func(v float64) string { return span(time.Duration(v * float64(time.Second))) }, limit: b.threshold(), of: "threshold",
		bars: []series{{name: "longest", class: "faint", values: b.values(func(iv *Interval) (float64, bool) {
			sum := Sum(iv.Lines, true)
			return sum.Longest.Seconds(), sum.Longest > 0
		})}},
		lines: []series{{name: "average answer", class: "calm", values: b.values(func(iv *Interval) (float64, bool) {
			sum := Sum(iv.Lines, true)
			return metrics.AverageSpeedOfAnswer(&sum.Counts)
		})}},
	})
}

func (b *pageBuilder) agents() figure {
	spent := func(name, class string, pick func(*metrics.AgentTime) time.Duration) series {
		return series{name: name, class: class, values: b.values(func(iv *Interval) (float64, bool) {
			return float64(pick(&iv.Agents)) / float64(iv.To.Sub(iv.From)), true
		})}
	}
	return b.draw("Agents", "How many were there on average, by what they did.", chart{
		write: func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) },
		bars: []series{
			spent("with a caller", "calm", func(a *metrics.AgentTime) time.Duration { return a.Offered + a.Talking }),
			spent("wrapping up", "violet", func(a *metrics.AgentTime) time.Duration { return a.WrapUp }),
			spent("ready", "good", func(a *metrics.AgentTime) time.Duration { return a.Ready }),
			spent("not ready", "grey", func(a *metrics.AgentTime) time.Duration { return a.NotReady }),
		},
	})
}

// threshold is the answer threshold, when all queues of the report have the
// same; 0 otherwise.
func (b *pageBuilder) threshold() float64 {
	q := b.r.Queues
	for i := range q {
		if q[i].Threshold != q[0].Threshold {
			return 0
		}
	}
	if len(q) == 0 {
		return 0
	}
	return q[0].Threshold.Seconds()
}

var tierClass = map[tiering.Tier]string{tiering.VIP: "violet", tiering.Mid: "calm", tiering.Ordinary: "teal", tiering.Blacklist: "grey"}

// levels are the lines of the service level: each tier that has a target, and
// the target, when all queues have the same.
func (b *pageBuilder) levels() []series {
	var out []series
	for _, tier := range tiering.Tiers {
		target, same := 0.0, true
		for i := range b.r.Lines {
			if l := &b.r.Lines[i]; l.Tier == tier && l.Target > 0 {
				same = same && (target == 0 || target == l.Target)
				target = l.Target
			}
		}
		if target == 0 {
			continue
		}
		out = append(out, series{name: tier.String(), class: tierClass[tier], values: b.values(func(iv *Interval) (float64, bool) {
			var f Figures
			for i := range iv.Lines {
				if iv.Lines[i].Tier == tier {
					f.Add(&iv.Lines[i].Figures)
				}
			}
			return metrics.ServiceLevel(metrics.Headline, &f.Counts)
		})})
		if same {
			out = append(out, series{name: "target " + tier.String(), class: tierClass[tier], dashed: true, values: b.values(func(*Interval) (float64, bool) { return target, true })})
		}
	}
	return out
}
