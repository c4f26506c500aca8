package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
	"time"
)

// A chart is drawn into a box of these units; the page scales it.
const (
	chartWidth, chartHeight = 960.0, 250.0
	left, right, top, foot  = 46.0, 10.0, 12.0, 26.0
	plotWidth               = chartWidth - left - right
	plotHeight              = chartHeight - top - foot
)

// series is one named row of values, one for each column; NaN is no value. Class
// is its colour, a class of the page's style.
type series struct {
	name, class string
	values      []float64
	dashed      bool
}

// chart draws columns of time. Bars are stacked, lines are drawn over them.
type chart struct {
	title   string
	columns []column
	bars    []series
	lines   []series
	top     float64 // of the scale; 0: as the values need
	write   func(float64) string
	zone    *time.Location
	limit   float64 // a line across, when above 0
	of      string  // what the limit is
}

// column is one interval on the axis of time.
type column struct {
	Span
	missing, partial bool
}

func (c *chart) svg() template.HTML {
	var b strings.Builder
	scale := c.scale()
	y := func(v float64) float64 { return top + plotHeight*(1-math.Min(v, scale)/scale) }
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, html.EscapeString(c.title))
	for i := range 5 {
		v := scale * float64(i) / 4
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="axis" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			left, chartWidth-right, y(v), y(v), left-6, y(v)+4, c.write(v))
	}
	width := plotWidth / float64(max(1, len(c.columns)))
	c.time(&b, width)
	for i := range c.columns {
		c.column(&b, i, width, y)
	}
	c.missing(&b, width)
	if c.limit > 0 && c.limit <= scale {
		fmt.Fprintf(&b, `<line class="limit" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="axis" x="%g" y="%.1f" text-anchor="end">%s</text>`,
			left, chartWidth-right, y(c.limit), y(c.limit), chartWidth-right-4, y(c.limit)-4, html.EscapeString(c.of))
	}
	for i := range c.lines {
		c.line(&b, &c.lines[i], width, y)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers, and text that is escaped above
}

// missing says over each stretch of missing columns, where there is room, why
// there is nothing to see.
func (c *chart) missing(b *strings.Builder, width float64) {
	for i := 0; i < len(c.columns); i++ {
		first := i
		for i < len(c.columns) && c.columns[i].missing {
			i++
		}
		if room := width * float64(i-first); room > 150 {
			fmt.Fprintf(b, `<text class="axis" x="%.1f" y="%g" text-anchor="middle">missing: no longer in the log</text>`,
				left+width*float64(first)+room/2, top+plotHeight/2)
		}
	}
}

// column draws what one interval has: its bar, or that nothing is known, and a
// note with the figures for whoever points at it.
func (c *chart) column(b *strings.Builder, i int, width float64, y func(float64) float64) {
	x := left + width*float64(i)
	col := &c.columns[i]
	if col.missing {
		fmt.Fprintf(b, `<rect class="missing" x="%.2f" y="%g" width="%.2f" height="%g"/>`, x, top, width, plotHeight)
	}
	gap := math.Min(2, width*0.15)
	below := 0.0
	for j := range c.bars {
		v := c.bars[j].values[i]
		if math.IsNaN(v) || v <= 0 {
			continue
		}
		fmt.Fprintf(b, `<rect class="bar %s" x="%.2f" y="%.2f" width="%.2f" height="%.2f"/>`,
			c.bars[j].class, x+gap/2, y(below+v), width-gap, y(below)-y(below+v))
		below += v
	}
	fmt.Fprintf(b, `<rect class="hit" x="%.2f" y="%g" width="%.2f" height="%g"><title>%s</title></rect>`,
		x, top, width, plotHeight, html.EscapeString(c.note(i)))
}

// note tells one column's figures in words.
func (c *chart) note(i int) string {
	col := &c.columns[i]
	out := col.From.In(c.zone).Format("2 Jan 15:04") + "–" + col.To.In(c.zone).Format("15:04")
	if col.missing {
		return out + "\nmissing: the event log keeps this time no longer"
	}
	if col.partial {
		out += "\nonly a part of this time is known"
	}
	for _, s := range append(append([]series{}, c.bars...), c.lines...) {
		if v := s.values[i]; !math.IsNaN(v) {
			out += "\n" + s.name + ": " + c.write(v)
		}
	}
	return out
}

// line draws a series, broken where it has no value.
func (c *chart) line(b *strings.Builder, s *series, width float64, y func(float64) float64) {
	var path strings.Builder
	pen := "M"
	for i, v := range s.values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		x := left + width*(float64(i)+0.5)
		fmt.Fprintf(&path, "%s%.1f %.1f", pen, x, y(v))
		pen = "L"
		if !s.dashed && width > 5 {
			fmt.Fprintf(b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="2.2"/>`, s.class, x, y(v))
		}
	}
	dash := ""
	if s.dashed {
		dash = ` stroke-dasharray="5 4"`
	}
	fmt.Fprintf(b, `<path class="line %s" d="%s"%s/>`, s.class, path.String(), dash)
}

// time writes times below the plot, so many as there is room for.
func (c *chart) time(b *strings.Builder, width float64) {
	every := max(1, int(math.Ceil(74/width)))
	days := len(c.columns) > 0 && c.columns[len(c.columns)-1].To.Sub(c.columns[0].From) > 25*time.Hour
	layout := "15:04"
	if len(c.columns) > 0 && c.columns[0].To.Sub(c.columns[0].From)%time.Minute != 0 {
		layout = "15:04:05"
	}
	if days {
		layout = "2 Jan 15:04"
		every = max(1, int(math.Ceil(110/width)))
	}
	for i := 0; i < len(c.columns); i += every {
		x := left + width*float64(i)
		if x > chartWidth-right-40 {
			break // its label would not fit
		}
		fmt.Fprintf(b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/><text class="axis" x="%.1f" y="%g">%s</text>`,
			x, x, top+plotHeight, top+plotHeight+5, x, chartHeight-8, c.columns[i].From.In(c.zone).Format(layout))
	}
}

// scale returns the top of the axis: a round number above every value.
func (c *chart) scale() float64 {
	if c.top > 0 {
		return c.top
	}
	most := 0.0
	for i := range c.columns {
		sum := 0.0
		for _, s := range c.bars {
			if !math.IsNaN(s.values[i]) {
				sum += s.values[i]
			}
		}
		most = math.Max(most, sum)
		for _, s := range c.lines {
			if !math.IsNaN(s.values[i]) {
				most = math.Max(most, s.values[i])
			}
		}
	}
	if most <= 4 {
		return 4
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	for _, m := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10} {
		if m*unit >= most {
			return m * unit
		}
	}
	return 10 * unit
}
