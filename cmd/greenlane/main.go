// Command greenlane is the operator's tool: it speaks the daemon's public API.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
)

// The tool's exit codes.
const (
	exitFailed = 1 // the command failed, or found what should not be
	exitUsage  = 2 // the command line is wrong
	exitPartly = 3 // some lines of a file were wrong; all the others are in
)

func main() {
	root := command()
	err := root.Execute()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "greenlane: %v\nTry 'greenlane --help'.\n", err)
		os.Exit(exitUsage)
	case errors.Is(err, errDifferences):
		os.Exit(exitFailed) // What differs has been listed.
	case errors.Is(err, errPartly):
		os.Exit(exitPartly) // Which lines were wrong has been listed.
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "greenlane: broken off")
		os.Exit(exitFailed)
	default:
		fmt.Fprintf(os.Stderr, "greenlane: %v\n", err)
		os.Exit(exitFailed)
	}
}

// usageError is a wrong command line.
type usageError struct{ error }

func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (e usageError) Unwrap() error { return e.error }

// errPartly says that some lines of a file were wrong, and were listed.
var errPartly = errors.New("some lines were wrong")

// errDifferences says that a check found what should not be, and listed it.
var errDifferences = errors.New("the check found differences")

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "greenlane",
		Short:         "Work with a Greenlane daemon",
		Long:          "greenlane is the operator's tool for greenlaned, the daemon that decides who is served next in a call centre.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(loadCommand(), demoCommand(), reportCommand(), tiersCommand(), doctorCommand(), versionCommand())
	return root
}

// version is set by the linker of a release build.
var version = ""

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintln(cmd.OutOrStdout(), "greenlane", versionString())
		},
	}
}

func versionString() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "devel"
}

// interruptible runs f with two steps of ending: the first Ctrl-C (or SIGTERM)
// calls stop, once there is something to stop, the second ends ctx.
func interruptible(f func(ctx context.Context, onStop func(stop func())) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	stops := make(chan func(), 1)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		select {
		case stop := <-stops:
			stop()
		default:
			cancel()
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return f(ctx, func(stop func()) { stops <- stop })
}
