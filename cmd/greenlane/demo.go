package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/load"
	"greenlane/internal/load/daemon"
	"greenlane/internal/load/day"
	"greenlane/internal/load/demo"
)

// How the demo plays its day, unless it is told otherwise: three times the calls
// of the statistics, with as many agents as a careful planner would not have.
const (
	demoScale  = 3
	demoAgents = 34
	demoFor    = 85 * time.Second
)

func demoCommand() *cobra.Command {
	var days dayFlags
	var calls callFlags
	var lasts time.Duration
	var binary string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a call centre's day in a minute and a half, on a daemon of its own",
		Long: `demo starts a daemon with a data directory of its own, plays a synthetic day of a call
centre to it, and shows on one screen what happens: who waits, who is served, VIPs on
the green channel, callbacks earned and made. Then it checks every call against its own
record, stops the daemon, removes the data and prints the result. Exit code 1: something
differs. Ctrl-C ends the day early.

The daemon is the greenlaned beside this program.`,
		Args: cobra.NoArgs,
	}
	days.register(cmd, demoScale)
	calls.register(cmd, 0, demoAgents)
	fl := cmd.Flags()
	fl.DurationVar(&lasts, "for", demoFor, "`time` that the demo takes, when --speed is not given")
	fl.StringVar(&binary, "daemon", "", "`path` of greenlaned (default: beside this program)")
	fl.Lookup("speed").DefValue = "by --for"
	fl.Lookup("from").DefValue = "9"
	fl.Lookup("to").DefValue = "17"
	days.from, days.to = 9, 17
	calls.callbackTiers = "mid"
	calls.closing = 10 * time.Minute
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if lasts < time.Second {
			return usageError{fmt.Errorf("--for: %v must be at least 1s", lasts)}
		}
		if days.from >= days.to {
			return usageError{fmt.Errorf("--from: %v must be before --to, %v", days.from, days.to)}
		}
		if calls.speed == 0 {
			calls.speed = (days.to - days.from) * time.Hour.Seconds() / lasts.Seconds()
		}
		if binary == "" {
			var err error
			if binary, err = daemon.Beside(); err != nil {
				return err
			}
		}
		d, stats, err := days.make(calls.speed)
		if err != nil {
			return err
		}
		opt, err := calls.options(d, days.seed)
		if err != nil {
			return err
		}
		return show(opt, stats, binary)
	}
	return cmd
}

func show(opt load.Options, stats *day.Stats, binary string) error {
	return interruptible(func(ctx context.Context, onStop func(func())) error {
		report, err := demo.Run(ctx, demo.Options{
			Binary: binary, Load: opt, Out: os.Stdout, OnStop: onStop,
			Title: fmt.Sprintf("a synthetic day of a bank's call centre, %.0f times as fast", opt.Speed),
		})
		if err != nil {
			return err
		}
		fmt.Println()
		printWrapped(os.Stdout, "Drawn from statistics of: "+stats.Source)
		if report.FaultCount > 0 {
			return errDifferences
		}
		return nil
	})
}
