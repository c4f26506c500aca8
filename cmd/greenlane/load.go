package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/cli"
	"greenlane/internal/dial"
	"greenlane/internal/load"
	"greenlane/internal/load/day"
	"greenlane/tiering"
)

// dayFlags say which day to make.
type dayFlags struct {
	seed     uint64
	weekday  string
	scale    float64
	from, to float64
	rate     float64
	calls    int
	tiers    string
	withheld float64
	stats    string
}

func (f *dayFlags) register(cmd *cobra.Command, scale float64) {
	fl := cmd.Flags()
	fl.Uint64Var(&f.seed, "seed", 1, "`number` that the day is drawn from: the same seed is the same day")
	fl.StringVar(&f.weekday, "weekday", "", "`day` of the week, as the statistics name it: Sun, Mon, ... (default the first)")
	fl.Float64Var(&f.scale, "scale", scale, "how many `times` the calls of the statistics (about 1,400 a day)")
	fl.Float64Var(&f.from, "from", 7, "first `hour` of the day that is played")
	fl.Float64Var(&f.to, "to", 24, "`hour` at which the played part ends")
	fl.IntVar(&f.calls, "calls", 0, "at most this `number` of calls, redials not counted; 0: no limit")
	fl.StringVar(&f.tiers, "tiers", "vip=5,mid=20,ordinary=70,blacklist=5", "`shares` of calls by tier")
	fl.Float64Var(&f.withheld, "withheld", 0.02, "`share` of calls without a number")
	fl.StringVar(&f.stats, "stats", "", "statistics `file` to draw from instead of the ones that come with the program")
}

// make draws the day. Speed turns a rate per real second into one of the day.
func (f *dayFlags) make(speed float64) (*day.Day, *day.Stats, error) {
	if !(speed > 0) {
		return nil, nil, usageError{fmt.Errorf("--speed: %v must be above 0", speed)}
	}
	stats := day.Bank()
	if f.stats != "" {
		data, err := os.ReadFile(f.stats)
		if err != nil {
			return nil, nil, usageError{err}
		}
		if stats, err = day.Parse(data); err != nil {
			return nil, nil, usageError{err}
		}
	}
	mix, err := parseMix(f.tiers)
	if err != nil {
		return nil, nil, usageError{err}
	}
	opt := day.Options{
		Seed: f.seed, Weekday: f.weekday, Scale: f.scale, From: hours(f.from), To: hours(f.to),
		Rate: f.rate / speed, Calls: f.calls, Tiers: mix, Withheld: f.withheld,
	}
	d, err := day.Make(stats, opt)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return d, stats, nil
}

func hours(h float64) time.Duration { return time.Duration(h * float64(time.Hour)) }

// parseMix reads "vip=5,mid=20".
func parseMix(s string) (day.Mix, error) {
	mix := day.Mix{}
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		share, err := strconv.ParseFloat(value, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("--tiers: %q is not allowed: a tier, = and a number, such as vip=5", part)
		}
		t, err := tiering.ParseTier(name)
		if err != nil {
			return nil, fmt.Errorf("--tiers: %w", err)
		}
		mix[t] = share
	}
	return mix, nil
}

// callFlags say who plays the day.
type callFlags struct {
	speed             float64
	switches, streams int
	agents            int
	polling, ringing  int
	decline, noAnswer float64
	reaction          time.Duration
	callbackTiers     string
	shortAbandon      time.Duration
	noMess            bool
	closing           time.Duration
}

func (f *callFlags) register(cmd *cobra.Command, speed float64, agents int) {
	fl := cmd.Flags()
	fl.Float64Var(&f.speed, "speed", speed, "`seconds` of the day that pass in one real second")
	fl.IntVar(&f.switches, "switches", 4, "`number` of switches that report the calls")
	fl.IntVar(&f.streams, "connect", 2, "so `many` of them by a Connect stream, the others by unary calls")
	fl.IntVar(&f.agents, "agents", agents, "`number` of agents")
	fl.IntVar(&f.polling, "polling", agents/4, "so `many` agents by NextCall (long poll), ...")
	fl.IntVar(&f.ringing, "ringing", agents/8, "so `many` by a phone that the call's switch rings, the others by Session streams")
	fl.DurationVar(&f.reaction, "reaction", load.DefaultManners().Reaction, "mean `time`, in the day, from an offer until the agent accepts")
	fl.Float64Var(&f.decline, "decline", load.DefaultManners().Decline, "`share` of offers that an agent declines")
	fl.Float64Var(&f.noAnswer, "no-answer", load.DefaultManners().Ignore, "`share` of offers that an agent does not answer")
	fl.BoolVar(&f.noMess, "orderly", false, "report every event once and in order (else a share comes twice, or after its hang-up)")
}

func (f *callFlags) options(d *day.Day, seed uint64) (load.Options, error) {
	m := load.DefaultManners()
	m.Reaction, m.Decline, m.Ignore = f.reaction, f.decline, f.noAnswer
	if f.noMess {
		m.Twice, m.Overtaken, m.Hurried = 0, 0, 0
	}
	opt := load.Options{
		Day: d, Speed: f.speed, Seed: seed, Switches: f.switches, Streams: f.streams,
		Agents: f.agents, Polling: f.polling, Ringing: f.ringing, Manners: m, ShortAbandon: f.shortAbandon, Closing: f.closing,
	}
	opt.CallbackTiers = []tiering.Tier{}
	for name := range strings.SplitSeq(f.callbackTiers, ",") {
		if name == "" {
			continue
		}
		t, err := tiering.ParseTier(name)
		if err != nil {
			return opt, usageError{fmt.Errorf("--callback-tiers: %w", err)}
		}
		opt.CallbackTiers = append(opt.CallbackTiers, t)
	}
	return opt, nil
}

func loadCommand() *cobra.Command {
	var days dayFlags
	var calls callFlags
	var where cli.Where
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Play a synthetic day of calls to a daemon, and check what it made of it",
		Long: `load drives a daemon as a whole call centre does: switches report calls, agents take
them, callers give up and ring again, as published statistics of a real call centre
say. It keeps its own record of every acknowledged call, and at the end checks it
against the daemon's calls, event log and counters. Exit code 1: something differs.
Nobody else may be at work in the site.

The daemon's clock always runs in real time. With --speed 60, its threshold of 20 s is
20 minutes of the day; for a day with the usual threshold, give the daemon a
configuration whose times are divided by the speed, as 'greenlane demo' does.

The daemon may be killed and started again meanwhile: load repeats its requests.`,
		Example: `  greenlane load --from 9 --to 12
  greenlane load --speed 1 --from 10 --to 10.5
  greenlane load --rate 500 --calls 20000 --speed 2000 --agents 64`,
		Args: cobra.NoArgs,
	}
	days.register(cmd, 1)
	calls.register(cmd, 60, 16)
	where.Register(cmd)
	fl := cmd.Flags()
	fl.Float64Var(&days.rate, "rate", 0, "constant `calls` per real second, instead of the day's shape; for measuring")
	fl.StringVar(&calls.callbackTiers, "callback-tiers", "mid", "`tiers` that earn a callback, as the daemon is configured")
	fl.DurationVar(&calls.shortAbandon, "short-abandon", 5*time.Second, "short abandon `limit` that the daemon is configured with")
	fl.DurationVar(&calls.closing, "closing", time.Hour, "`time` of the day after its end at which callers who still wait are hung up on")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		d, stats, err := days.make(calls.speed)
		if err != nil {
			return err
		}
		opt, err := calls.options(d, days.seed)
		if err != nil {
			return err
		}
		opt.Addr, opt.Site = where.Get(cmd)
		if opt.Dial, err = dial.Options(cmd.Context(), opt.Addr); err != nil {
			return usageError{err}
		}
		return play(cmd, opt, stats)
	}
	return cmd
}

// play plays a day with a line of progress now and then, and prints the report.
func play(cmd *cobra.Command, opt load.Options, stats *day.Stats) error {
	return interruptible(func(ctx context.Context, onStop func(func())) error {
		run, err := load.New(opt)
		if err != nil {
			return usageError{err}
		}
		onStop(run.Stop)
		out, errs := cmd.OutOrStdout(), cmd.ErrOrStderr()
		printWrapped(errs, fmt.Sprintf("%d calls, drawn from statistics of: %s", len(opt.Day.Calls), stats.Source))
		if opt.Speed != 1 {
			fmt.Fprintf(errs, "the day runs %g times as fast as the daemon's clock: a second of the daemon is %s of the day\n",
				opt.Speed, load.Span(time.Duration(opt.Speed*float64(time.Second))))
		}
		stopProgress := progress(errs, run)
		report, err := run.Play(ctx)
		stopProgress()
		if err != nil {
			return err
		}
		report.Print(out)
		if report.FaultCount > 0 {
			return errDifferences
		}
		return nil
	})
}
