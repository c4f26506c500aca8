package report

import (
	"encoding/json"
	"io"
	"time"

	"greenlane/metrics"
)

type jsonReport struct {
	Site      string            `json:"site"`
	Made      string            `json:"as_of"`
	Range     jsonSpan          `json:"range"`
	Interval  float64           `json:"interval_seconds"`
	Formulas  map[string]string `json:"formulas"`
	Missing   []jsonSpan        `json:"missing"`
	Occupancy *float64          `json:"occupancy,omitempty"`
	Totals    []jsonLine        `json:"totals"`
	Intervals []jsonInterval    `json:"intervals"`
}

type jsonSpan struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type jsonInterval struct {
	jsonSpan
	State     string     `json:"state"`
	Occupancy *float64   `json:"occupancy,omitempty"`
	Lines     []jsonLine `json:"lines"`
}

type jsonLine struct {
	Queue         string             `json:"queue"`
	Tier          string             `json:"tier"`
	Counts        map[string]int64   `json:"counts"`
	ServiceLevels map[string]float64 `json:"service_levels"`
	Seconds       map[string]float64 `json:"seconds"`
	Target        *float64           `json:"target,omitempty"`
	Verdict       string             `json:"verdict"`
	Spare         *int64             `json:"spare_calls,omitempty"`
}

// JSON writes the report for programs. Shares are 0 to 1, times in seconds; what
// has no value is absent.
func (r *Report) JSON(w io.Writer) error {
	out := jsonReport{
		Site: r.Site, Made: r.Made.In(r.Zone).Format(time.RFC3339), Range: r.jsonSpan(Span{r.From, r.To}), Interval: r.Interval.Seconds(),
		Formulas: map[string]string{}, Missing: []jsonSpan{}, Occupancy: jsonOccupancy(&r.Agents), Totals: jsonLines(r.Lines), Intervals: []jsonInterval{},
	}
	for _, f := range metrics.Formulas {
		out.Formulas[f.Key()] = f.String()
	}
	for _, s := range r.Missing {
		out.Missing = append(out.Missing, r.jsonSpan(s))
	}
	for i := range r.Intervals {
		iv := &r.Intervals[i]
		out.Intervals = append(out.Intervals, jsonInterval{r.jsonSpan(iv.Span), iv.State.String(), jsonOccupancy(&iv.Agents), jsonLines(iv.Lines)})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func (r *Report) jsonSpan(s Span) jsonSpan {
	return jsonSpan{s.From.In(r.Zone).Format(time.RFC3339), s.To.In(r.Zone).Format(time.RFC3339)}
}

func jsonOccupancy(a *metrics.AgentTime) *float64 {
	if v, ok := metrics.Occupancy(a); ok {
		return &v
	}
	return nil
}

func jsonLines(in []Line) []jsonLine {
	out := []jsonLine{}
	for i := range in {
		l := &in[i]
		c := &l.Counts
		x := jsonLine{
			Queue: l.Queue, Tier: l.Tier.String(), ServiceLevels: map[string]float64{}, Seconds: map[string]float64{},
			Verdict: metrics.Judge(metrics.Headline, c, l.Target).String(),
			Counts: map[string]int64{
				"joined": l.Joined, "answered_in_time": c.AnsweredInTime, "answered_late": c.AnsweredLate,
				"abandoned_short": c.AbandonedShort, "abandoned_in_time": c.AbandonedInTime, "abandoned_late": c.AbandonedLate,
				"timed_out": c.TimedOut, "overflowed": c.Overflowed, "refused": c.Refused, "waiting": l.Waiting, "waiting_late": c.LateWaiting,
				"completed": l.Completed, "callbacks_promised": l.Promised, "callbacks_kept": l.Promises.Kept,
				"callbacks_broken": l.Promises.Broken, "callbacks_withdrawn": l.Withdrawn, "callbacks_open": l.Open(),
			},
		}
		for _, f := range metrics.Formulas {
			if v, ok := metrics.ServiceLevel(f, c); ok {
				x.ServiceLevels[f.Key()] = v
			}
		}
		if v, ok := metrics.AverageSpeedOfAnswer(c); ok {
			x.Seconds["average_speed_of_answer"] = v
		}
		if l.Longest > 0 {
			x.Seconds["longest_wait"] = l.Longest.Seconds()
		}
		if v, ok := l.AverageTalk(); ok {
			x.Seconds["average_talk"] = v.Seconds()
		}
		if l.Target > 0 {
			x.Target = &l.Target
		}
		if n, ok := metrics.Spare(metrics.Headline, c, l.Target); ok {
			x.Spare = &n
		}
		out = append(out, x)
	}
	return out
}
