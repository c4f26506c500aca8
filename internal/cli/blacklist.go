package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"

	"github.com/spf13/cobra"

	pb "greenlane/proto/greenlane/v1"
)

func blacklistListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who is on the blacklist: why, since when, until when",
		Long: `list writes a CSV line for each caller on the blacklist, or with --output json a JSON
line, as they come: the list may be long. The grade is what counts again when the
caller comes off it. Times are in UTC.`,
		Example: "  greenlane tiers blacklist list\n  greenlane tiers blacklist list --output json | jq -r .caller",
		Args:    cobra.NoArgs,
	}
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		w := bufio.NewWriter(s.out)
		out := csv.NewWriter(w)
		if s.output != "json" {
			if err := out.Write([]string{"caller", "reason", "since", "until", "grade"}); err != nil {
				return err
			}
		}
		err := s.eachBlacklisted(ctx, func(c *pb.BlacklistedCaller) error {
			if s.output == "json" {
				line, err := jsonOf(c, asJSON)
				if err != nil {
					return err
				}
				_, err = w.Write(append(line, '\n'))
				return err
			}
			return out.Write([]string{c.GetCaller(), c.GetReason(), utc(c.GetSince()), utc(c.GetUntil()), word(c.GetGrade())})
		})
		return errors.Join(err, flush(out), w.Flush())
	})
}

// eachBlacklisted visits everybody on the blacklist, page by page.
func (s *session) eachBlacklisted(ctx context.Context, visit func(*pb.BlacklistedCaller) error) error {
	req := &pb.TierServiceListBlacklistRequest{Site: s.site, PageSize: pageSize}
	for {
		res, err := do(ctx, s, s.tiers().ListBlacklist, req)
		if err != nil {
			return err
		}
		for _, c := range res.GetCallers() {
			if err := visit(c); err != nil {
				return err
			}
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return nil
		}
	}
}
