package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	pb "greenlane/proto/greenlane/v1"
)

// TierVerbs returns the verbs of `greenlane tiers` that ask a daemon.
func TierVerbs() []*cobra.Command {
	blacklist := parent("blacklist", "Put a caller on the blacklist, take one off it, or list who is on it",
		"A caller on the blacklist is served after everyone else, whatever the grading says.",
		blacklistAddCommand(), blacklistRemoveCommand(), blacklistListCommand())
	return []*cobra.Command{tierGetCommand(), tierSetCommand(), blacklist, scoreCommand()}
}

func (s *session) tiers() pb.TierServiceClient { return pb.NewTierServiceClient(s.conn) }

// standing is what is known of one number, for --output json.
type standing struct {
	Caller string          `json:"caller"`
	Found  json.RawMessage `json:"found"`
}

func tierGetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get NUMBER...",
		Short:   "Tell callers' tiers",
		Example: "  greenlane tiers get 13800138000 13900139000",
		Args:    cobra.MinimumNArgs(1),
	}
	return leaf(cmd, false, func(ctx context.Context, s *session, args []string) error {
		t := table{head: []string{"CALLER", "TIER", "KNOWN", "SINCE", "UNTIL", "NOTE"}}
		all := []standing{}
		for _, number := range args {
			res, err := do(ctx, s, s.tiers().Lookup, &pb.TierServiceLookupRequest{Site: s.site, Caller: number})
			if err != nil {
				return fmt.Errorf("%s: %w", printable(number), err)
			}
			text, err := jsonOf(res, asJSON)
			if err != nil {
				return err
			}
			all = append(all, standing{Caller: number, Found: text})
			known := "no"
			if res.GetKnown() {
				known = "yes"
			}
			t.add(cell{text: number}, tierCell(res.GetTier(), false), cell{text: known}, cell{text: s.clock(res.GetGradedAt())},
				cell{text: s.clock(res.GetExpiresAt())}, cell{text: res.GetNote()})
		}
		if s.output == "json" {
			return s.showJSON(all)
		}
		return t.write(s.out, s.style)
	})
}

func tierSetCommand() *cobra.Command {
	var note, expires string
	cmd := &cobra.Command{
		Use:   "set NUMBER TIER",
		Short: "Give a caller a tier; calls of the caller that wait are ranked again at once",
		Long: `set gives a caller a tier by hand: vip, mid, ordinary or blacklist. Any tier but
blacklist takes the caller off the blacklist.`,
		Example: "  greenlane tiers set 13800138000 vip --note 'contract 4711' --expires '2027-01-01 00:00'",
		Args:    cobra.ExactArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return words(pb.Tier(0)), cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "`why`, for the record")
	cmd.Flags().StringVar(&expires, "expires", "", "`time` at which the caller is ordinary again: "+timeForms+" (default never)")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		tier, err := parseWord[pb.Tier]("TIER", args[1])
		if err != nil {
			return UsageError{err}
		}
		req := &pb.TierServiceSetRequest{RequestId: s.id(), Site: s.site, Caller: args[0], Tier: tier, Note: note}
		if expires != "" {
			if req.ExpiresAt, err = s.instant(ctx, "--expires", expires); err != nil {
				return err
			}
		}
		res, err := do(ctx, s, s.tiers().Set, req)
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) { tierTable(t, args[0], res.GetTier(), res.GetReranked()) })
	})
}

func tierTable(t *table, caller string, tier pb.Tier, reranked int32) {
	t.head = []string{"CALLER", "TIER", "WAITING CALLS RANKED AGAIN"}
	t.add(cell{text: caller}, tierCell(tier, false), cell{text: itoa(reranked)})
}

func blacklistAddCommand() *cobra.Command {
	var reason, until string
	cmd := &cobra.Command{
		Use:     "add NUMBER",
		Short:   "Put a caller on the blacklist",
		Example: "  greenlane tiers blacklist add 13800138000 --reason 'threats' --until +720h",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record (required)")
	cmd.Flags().StringVar(&until, "until", "", "`time` at which the caller comes off by itself: "+timeForms+" (default never)")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		if reason == "" {
			return usagef("--reason: say why the caller is put on the blacklist")
		}
		req := &pb.TierServiceBlacklistRequest{RequestId: s.id(), Site: s.site, Caller: args[0], Reason: reason}
		if until != "" {
			var err error
			if req.Until, err = s.instant(ctx, "--until", until); err != nil {
				return err
			}
		}
		return s.blacklist(ctx, req)
	})
}

func blacklistRemoveCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "remove NUMBER",
		Short: "Take a caller off the blacklist: the grade counts again",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		return s.blacklist(ctx, &pb.TierServiceBlacklistRequest{RequestId: s.id(), Site: s.site, Caller: args[0], Remove: true, Reason: reason})
	})
}

func (s *session) blacklist(ctx context.Context, req *pb.TierServiceBlacklistRequest) error {
	res, err := do(ctx, s, s.tiers().Blacklist, req)
	if err != nil {
		return err
	}
	return s.show(res, func(t *table) { tierTable(t, req.GetCaller(), res.GetTier(), res.GetReranked()) })
}
