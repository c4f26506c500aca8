package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	pb "greenlane/proto/greenlane/v1"
)

// errLive says that something of the person is under way that the daemon's engine
// can't erase when it ends.
var errLive = errors.New("calls or callbacks of this number are under way and keep it: run the command again once they are over")

func eraseCommand() *cobra.Command {
	var caller string
	var yes bool
	cmd := &cobra.Command{
		Use:   "erase --caller NUMBER --yes",
		Short: "Remove a person: the number from the tiers, the calls and the callbacks",
		Long: `erase removes a number from the tier directory and from every call and callback that
is kept, with their attributes and notes. Open callbacks are cancelled. Counts,
reports and the event log, which have no numbers, stay true. It cannot be undone.

What is under way (a call that waits or talks, a callback that somebody has claimed)
keeps the number until it is over, and is erased by itself then. Where the engine
can't do that, the command ends with exit code 5 and is to be run again.`,
		Example: "  greenlane erase --caller 13800138000 --yes",
		Args:    cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&caller, "caller", "", "the person's `number` (required)")
	fl.BoolVar(&yes, "yes", false, "do it: nothing can bring it back (required)")
	return leaf(cmd, true, func(ctx context.Context, s *session, _ []string) error {
		switch {
		case caller == "":
			return usagef("--caller: say whose number is to be erased")
		case !yes:
			return usagef("--yes: must be given, since nothing can bring back what is erased")
		}
		res, err := do(ctx, s, s.supervisor().EraseCaller, &pb.EraseCallerRequest{RequestId: s.id(), Site: s.site, Caller: caller})
		if err != nil {
			return err
		}
		err = s.show(res, func(t *table) {
			t.head = []string{"CALLS", "CALLBACKS", "TIER", "DAMAGED", "WHEN OVER", "STILL UNDER WAY"}
			tier := "was not known"
			if res.GetTier() {
				tier = "forgotten"
			}
			t.add(cell{text: itoa(res.GetCalls())}, cell{text: itoa(res.GetCallbacks())}, cell{text: tier}, cell{text: itoa(res.GetDamaged())},
				cell{text: itoa(res.GetAtEnd())}, cell{text: itoa(res.GetLive())})
		})
		if err == nil && res.GetLive() > 0 {
			return errLive
		}
		return err
	})
}
