package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "greenlane/proto/greenlane/v1"
)

func careCommand() *cobra.Command {
	return parent("care", "See whose satisfaction falls, and keep ratings",
		`care keeps how satisfied callers say they are, 1 (not at all) to 5 (very), month by
month, and lists who needs care. Several ratings of a month count as their mean. Looked
at are the last three months: those ending with this one, or with the one before while
this one has no rating. The classes, most urgent first:

  1  falling-dissatisfied   each month lower than the one before, and now dissatisfied
  2  falling                each month lower than the one before, and still satisfied
  3  fell                   lower at least once than in the month with a rating before
  4  always-dissatisfied    the same in every month with a rating, and dissatisfied

Dissatisfied is a mean of at most 2, unless the configuration or --dissatisfied says
another. With care.callback in the configuration the first class is called back.`,
		careListCommand(), careRateCommand())
}

func careListCommand() *cobra.Command {
	var req pb.TierServiceListCareRequest
	var classes []string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the callers who need care, the most urgent class first",
		Example: "  greenlane care list\n  greenlane care list --class falling-dissatisfied --output json",
		Args:    cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&classes, "class", nil, "only this `class`: "+strings.Join(words(pb.CareClass(0)), ", ")+"; may be given more than once")
	fl.Float64Var(&req.Dissatisfied, "dissatisfied", 0, "`mean` of a month up to which a caller is dissatisfied, 1 to 5 (default the configuration's)")
	fl.Int32Var(&req.Limit, "limit", 0, "at most so many `callers` (default all)")
	complete(cmd, "class", words(pb.CareClass(0))...)
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		if fl.Changed("dissatisfied") && req.GetDissatisfied() == 0 {
			return usagef("--dissatisfied: 1 to 5 is allowed")
		}
		var err error
		if req.Classes, err = parseWords[pb.CareClass]("--class", classes); err != nil {
			return err
		}
		req.Site = s.site
		stream, err := s.tiers().ListCare(ctx, &req)
		if err != nil {
			return err
		}
		return s.showCare(stream)
	})
}

// showCare prints the list: JSON lines as they come, or one table.
func (s *session) showCare(stream grpc.ServerStreamingClient[pb.TierServiceListCareResponse]) error {
	t := table{head: []string{"CLASS", "CALLER", "MONTHS", "CALLED BACK"}}
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if s.output == "json" {
			line, err := jsonOf(res.GetItem(), asJSON)
			if err != nil {
				return err
			}
			if _, err := s.out.Write(append(line, '\n')); err != nil {
				return err
			}
			continue
		}
		t.add(careRow(res.GetItem())...)
	}
	if s.output == "json" {
		return nil
	}
	return t.write(s.out, s.style)
}

func careRow(item *pb.CareItem) []cell {
	var months []string
	for _, m := range item.GetMonths() {
		mean := "-"
		if m.GetRatings() > 0 {
			mean = strconv.FormatFloat(m.GetMean(), 'f', 2, 64)
		}
		months = append(months, fmt.Sprintf("%s %s (%d)", m.GetMonth(), mean, m.GetRatings()))
	}
	class := cell{text: word(item.GetClass())}
	if item.GetClass() == pb.CareClass_CARE_CLASS_FALLING_DISSATISFIED {
		class.color = bold
	}
	return []cell{class, {text: item.GetCaller()}, {text: strings.Join(months, "  ")}, {text: item.GetCallbackMonth()}}
}

func careRateCommand() *cobra.Command {
	var month, at string
	cmd := &cobra.Command{
		Use:     "rate NUMBER SCORE",
		Short:   "Keep how satisfied a caller was: 1 to 5",
		Example: "  greenlane care rate 13800138000 2\n  greenlane care rate 13800138000 4 --month 2026-10",
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&month, "month", "", "`month` it counts for, such as 2026-10: this one or one of the three before (default that of --at)")
	cmd.Flags().StringVar(&at, "at", "", "`time` at which the caller said so: "+timeForms+" (default now)")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		score, err := strconv.ParseInt(args[1], 10, 32)
		if err != nil || score < 1 || score > 5 {
			return usagef("SCORE: %q is not allowed: 1 to 5", args[1])
		}
		req := &pb.TierServiceRateRequest{RequestId: s.id(), Site: s.site, Caller: args[0], Score: int32(score), Month: month}
		if at != "" {
			if req.At, err = s.instant(ctx, "--at", at); err != nil {
				return err
			}
		}
		res, err := do(ctx, s, s.tiers().Rate, req)
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) {
			t.head = []string{"CLASS", "CALLER", "MONTHS", "CALLED BACK", "CALLBACK"}
			t.add(append(careRow(res.GetStanding()), cell{text: res.GetCallbackId()})...)
		})
	})
}
