package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a site's zone must be known on machines without a zone database

	"github.com/spf13/cobra"

	"greenlane/internal/cli"
	"greenlane/internal/dial"
	"greenlane/internal/load"
	"greenlane/internal/report"
)

type reportFlags struct {
	where          cli.Where
	from, to, zone string
	format, output string
	interval       time.Duration
	queues         []string
}

func reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Tell how callers were served, interval by interval, from the event log",
		Long: `report reads a site's event log and tells, for each interval, queue and tier, how many
callers were answered in time, late, or hung up; waits, talk, agents and callbacks. A
call counts in the interval in which it joined its queue: the figures are those of the
dashboards' day and of GetSnapshot.

Times are in the site's zone: "2026-03-02 09:00", "2026-03-02", "09:00" (today), "today",
"yesterday", "now", or with a zone of their own as in 2026-03-02T09:00:00+08:00.

The log is kept by age and by size. What of the range it keeps no longer is said to be
missing, and is not counted as zero.`,
		Example: `  greenlane report
  greenlane report --from yesterday --to today --format html --output yesterday.html
  greenlane report --from 09:00 --to 12:00 --interval 15m --queue billing --format csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.where.Register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.from, "from", "today", "`time` at which the range begins")
	fl.StringVar(&f.to, "to", "now", "`time` at which it ends; not included")
	fl.StringVar(&f.zone, "zone", "", "time `zone` to read and show times in, such as Asia/Shanghai (default the site's)")
	fl.DurationVar(&f.interval, "interval", 30*time.Minute, "length of an interval")
	fl.StringSliceVar(&f.queues, "queue", nil, "only this `queue`; may be given more than once")
	fl.StringVar(&f.format, "format", "table", "table, csv, html or json")
	fl.StringVar(&f.output, "output", "", "`file` to write to instead of the standard output")
	return cmd
}

// lead is how long before the range the log is read for what agents were doing
// when it began: a long shift.
const lead = 12 * time.Hour

func (f *reportFlags) run(cmd *cobra.Command) error {
	write, ok := report.Formats[f.format]
	if !ok {
		return usageError{fmt.Errorf("--format: %q is not allowed: one of %s", f.format, strings.Join(slices.Sorted(maps.Keys(report.Formats)), ", "))}
	}
	return interruptible(func(ctx context.Context, _ func(func())) error {
		addr, name := f.where.Get(cmd)
		opts, err := dial.Options(cmd.Context(), addr)
		if err != nil {
			return usageError{err}
		}
		conn, err := load.Dial(addr, opts...)
		if err != nil {
			return usageError{err}
		}
		defer conn.Close()
		asked, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		site, err := report.Look(asked, conn, name)
		if err != nil {
			return err
		}
		opt, err := f.options(site)
		if err != nil {
			return err
		}
		made, err := report.Make(ctx, conn, site, opt)
		if err != nil {
			return err
		}
		return f.write(cmd.OutOrStdout(), made, write)
	})
}

// options reads the times, which only the site's zone and clock make clear.
func (f *reportFlags) options(site *report.Site) (report.Options, error) {
	opt := report.Options{Interval: f.interval, Queues: f.queues, Lead: lead}
	if f.zone != "" {
		zone, err := time.LoadLocation(f.zone)
		if err != nil {
			return opt, usageError{fmt.Errorf("--zone: %w", err)}
		}
		site.Zone = zone
	}
	var faults [2]error
	opt.From, faults[0] = parseTime("--from", f.from, site)
	opt.To, faults[1] = parseTime("--to", f.to, site)
	if err := errors.Join(faults[:]...); err != nil {
		return opt, usageError{err}
	}
	if opt.To.After(site.Now) {
		opt.To = site.Now // what is to come has no figures
	}
	if err := opt.Validate(); err != nil {
		return opt, usageError{err}
	}
	return opt, nil
}

// parseTime reads a time of the command line.
func parseTime(flag, s string, site *report.Site) (time.Time, error) {
	now := site.Now.In(site.Zone)
	day := func(n int) time.Time { return time.Date(now.Year(), now.Month(), now.Day()+n, 0, 0, 0, 0, site.Zone) }
	switch s {
	case "now":
		return now, nil
	case "today":
		return day(0), nil
	case "yesterday":
		return day(-1), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, site.Zone); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse("15:04", s); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, site.Zone), nil
	}
	return time.Time{}, fmt.Errorf(`%s: %q is no time: "2026-03-02 09:00", "2026-03-02", "09:00", today, yesterday, now or 2026-03-02T09:00:00+08:00 is allowed`, flag, s)
}

// write writes the report to the file or the standard output; a file that could
// not be written whole is an error.
func (f *reportFlags) write(stdout io.Writer, made *report.Report, format func(*report.Report, io.Writer) error) (fault error) {
	out := stdout
	if f.output != "" {
		file, err := os.Create(f.output)
		if err != nil {
			return err
		}
		defer func() { fault = errors.Join(fault, file.Close()) }()
		out = file
	}
	buffered := bufio.NewWriter(out)
	return errors.Join(format(made, buffered), buffered.Flush())
}
