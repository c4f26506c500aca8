package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
		Long: `erase removes a number from the tier directory with its ratings, and from every call and
callback that is kept, with their attributes and notes. Open callbacks are cancelled.
Counts, reports and the event log, which have no numbers, stay true. It cannot be undone.

Without --site (and GREENLANE_SITE) it does so at "main" and then at every other site
of the daemon at which you may; with it, at that site alone. The output has a line, or
a JSON object, for each site. One that fails does not stop the others, and the error
names it. Sites of other daemons are asked for with --addr.

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
		first, err := eraseAt(ctx, s, s.site, caller)
		if err != nil {
			return err
		}
		done := []*pb.EraseCallerResponse{first}
		var failed []string
		if !s.siteNamed {
			for _, site := range first.GetOtherSites() {
				res, ferr := eraseAt(ctx, s, site, caller)
				if ferr != nil {
					failed, err = append(failed, site), cmp.Or(err, ferr)
					continue
				}
				done = append(done, res)
			}
		}
		if serr := showErased(s, done); serr != nil {
			return serr
		}
		if err != nil {
			return fmt.Errorf("not erased at %s: %w", strings.Join(failed, ", "), err)
		}
		if slices.ContainsFunc(done, func(res *pb.EraseCallerResponse) bool { return res.GetLive() > 0 }) {
			return errLive
		}
		return nil
	})
}

func eraseAt(ctx context.Context, s *session, site, caller string) (*pb.EraseCallerResponse, error) {
	return do(ctx, s, s.supervisor().EraseCaller, &pb.EraseCallerRequest{RequestId: s.id(), Site: site, Caller: caller})
}

// showErased shows what was erased, site by site, and where else there may be more.
func showErased(s *session, done []*pb.EraseCallerResponse) error {
	if s.output == "json" {
		for _, res := range done {
			if err := s.show(res, nil); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{head: []string{"SITE", "CALLS", "CALLBACKS", "TIER", "RATINGS", "DAMAGED", "WHEN OVER", "STILL UNDER WAY"}}
	forgotten := map[bool]string{true: "forgotten", false: "was not known"}
	rated := map[bool]string{true: "removed", false: "none"}
	for _, res := range done {
		t.add(cell{text: res.GetSite()}, cell{text: itoa(res.GetCalls())}, cell{text: itoa(res.GetCallbacks())}, cell{text: forgotten[res.GetTier()]},
			cell{text: rated[res.GetRatings()]}, cell{text: itoa(res.GetDamaged())}, cell{text: itoa(res.GetAtEnd())}, cell{text: itoa(res.GetLive())})
	}
	if err := t.write(s.out, s.style); err != nil {
		return err
	}
	if others := done[0].GetOtherSites(); s.siteNamed && len(others) > 0 {
		_, err := fmt.Fprintf(s.out, "Nothing was erased at other sites: %s.\n", strings.Join(others, ", "))
		return err
	}
	return nil
}
