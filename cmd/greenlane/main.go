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

	"greenlane/internal/cli"
	"greenlane/internal/dial"
	"greenlane/internal/discreet"
)

// The tool's exit codes that its own commands use; cli.ExitCodes has them all.
const (
	exitFailed = cli.ExitFailed // the command failed, or found what should not be
	exitUsage  = cli.ExitUsage  // the command line is wrong
	exitPartly = cli.ExitPartly // some lines of a file were wrong; all the others are in
)

func main() {
	cmd, err := command().ExecuteC()
	line, code := explain(err)
	if line != "" {
		fmt.Fprintln(os.Stderr, "greenlane:", discreet.Text(line)) // it may end in somebody's log
	}
	if isUsage(err) {
		fmt.Fprintf(os.Stderr, "Try '%s --help'.\n", cmd.CommandPath())
	}
	if code != 0 {
		os.Exit(code)
	}
}

// isUsage says whether the command line is wrong as it stands, whatever a daemon
// thinks of it.
func isUsage(err error) bool {
	var own usageError
	var line cli.UsageError
	return errors.As(err, &own) || errors.As(err, &line)
}

// explain turns an error into the line that the user gets and the exit code.
func explain(err error) (line string, code int) {
	var usage usageError
	switch {
	case errors.As(err, &usage):
		return err.Error(), exitUsage
	case errors.Is(err, errDifferences):
		return "", exitFailed // What differs has been listed.
	case errors.Is(err, errPartly):
		return "", exitPartly // Which lines were wrong has been listed.
	}
	return cli.Explain(err)
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
	// Whoever talks to a daemon does so by these.
	credentials := new(dial.Credentials)
	credentials.Register(root.PersistentFlags())
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) {
		credentials.Environment()
		cmd.SetContext(dial.With(cmd.Context(), credentials))
	}
	root.AddCommand(cli.Commands()...)
	root.AddCommand(tiersCommand(), loadCommand(), demoCommand(), reportCommand(), doctorCommand(), versionCommand(), pkiCommand())
	usageOfArgs(root)
	return root
}

// usageOfArgs makes wrong arguments of every command errors of usage, as wrong
// flags are.
func usageOfArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil && !isUsage(err) {
				err = usageError{err}
			}
			return err
		}
	}
	for _, child := range cmd.Commands() {
		usageOfArgs(child)
	}
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
