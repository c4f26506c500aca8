package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Commands returns the commands that stand at the top of the tool.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		softphoneCommand(), topCommand(), agentCommand(), callCommand(), callbacksCommand(), careCommand(), eventsCommand(), auditCommand(),
	}
}

// UsageError is a wrong command line, found before anything was asked of the
// daemon.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error as it was found.
func (e UsageError) Unwrap() error { return e.Err }

func usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// ErrPartly says that some lines of a file were wrong; they have been listed, and
// all the others are done.
var ErrPartly = errors.New("some lines were wrong")

// errNoOffer says that no offer came while `agent next` waited.
var errNoOffer = errors.New("no offer came in this time; ask again, or look at 'greenlane agent show AGENT'")

// parent makes a command that only holds others.
func parent(use, short, long string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(children...)
	return cmd
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("%q is no command of %q", args[0], cmd.CommandPath())
}

// exclusive refuses a flag together with any of others. (Cobra's own groups answer
// with an error that cannot be told from other failures.)
func exclusive(cmd *cobra.Command, flag string, others ...string) error {
	for _, other := range others {
		if cmd.Flags().Changed(flag) && cmd.Flags().Changed(other) {
			return usagef("--%s: not allowed together with --%s", flag, other)
		}
	}
	return nil
}

// leaf completes a command that talks to a daemon: its common flags, and run
// with a connection that is closed after it. The first Ctrl-C ends ctx.
func leaf(cmd *cobra.Command, changes bool, run func(ctx context.Context, s *session, args []string) error) *cobra.Command {
	var f flags
	f.register(cmd, changes)
	arity := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := arity(cmd, args); err != nil {
			return usagef("%w; it is used as: %s", err, cmd.UseLine())
		}
		return nil
	}
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := f.open(cmd)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return run(ctx, s, args)
	}
	return cmd
}
