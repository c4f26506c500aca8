package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
)

// TierVerbs returns the verbs of `greenlane tiers` that ask a daemon.
func TierVerbs() []*cobra.Command {
	blacklist := parent("blacklist", "Put a caller on the blacklist, or take one off it",
		"A caller on the blacklist is served after everyone else, whatever the grading says.",
		blacklistAddCommand(), blacklistRemoveCommand())
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

// figures are the columns of a file of customers, in the order of the API.
var figures = []string{"payment_record", "order_amount", "profit_contribution"}

func scoreCommand() *cobra.Command {
	var req pb.TierServiceScoreRequest
	var file string
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Grade a customer, or a file of them, from figures; stores nothing",
		Long: `score grades by the weights and thresholds of the daemon's configuration. Each figure is
0 to 100.

With --file the customers come from a CSV file ("-": the standard input) with the
columns payment_record, order_amount, profit_contribution and, if wanted, customer. Out
come CSV lines with score and tier added, or with --output json JSON lines. A bad line
is listed with its line and column and left out; the exit code is then 3.`,
		Example: `  greenlane tiers score --payment-record 90 --order-amount 40 --profit-contribution 80
  greenlane tiers score --file customers.csv > graded.csv`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.Float64Var(&req.PaymentRecord, "payment-record", 0, "how well the customer pays, a `figure` of 0 to 100")
	fl.Float64Var(&req.OrderAmount, "order-amount", 0, "how much the customer orders, a `figure` of 0 to 100")
	fl.Float64Var(&req.ProfitContribution, "profit-contribution", 0, "how much the customer contributes to profit, a `figure` of 0 to 100")
	fl.StringVar(&file, "file", "", "CSV `file` of customers")
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		if err := exclusive(cmd, "file", "payment-record", "order-amount", "profit-contribution"); err != nil {
			return err
		}
		if !slices.ContainsFunc([]string{"file", "payment-record", "order-amount", "profit-contribution"}, fl.Changed) {
			return usagef("give the customer's figures, or --file")
		}
		if file != "" {
			return s.scoreFile(ctx, file)
		}
		res, err := do(ctx, s, s.tiers().Score, &req)
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) {
			t.head = []string{"SCORE", "TIER"}
			t.add(cell{text: figure(res.GetScore())}, tierCell(res.GetTier(), false))
		})
	})
}

func figure(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// graded is one customer of a file.
type graded struct {
	Line     int     `json:"line"`
	Customer string  `json:"customer,omitempty"`
	Score    float64 `json:"score"`
	Tier     string  `json:"tier"`
}

func (s *session) scoreFile(ctx context.Context, name string) error {
	file, err := openLines(name, figures, func(c string) bool {
		return c == "customer" || c == figures[0] || c == figures[1] || c == figures[2]
	})
	if err != nil {
		return err
	}
	defer file.close() //nolint:errcheck // the file was only read
	out := csv.NewWriter(s.out)
	lines := json.NewEncoder(s.out)
	if s.output == "table" {
		if err := out.Write([]string{"customer", figures[0], figures[1], figures[2], "score", "tier"}); err != nil {
			return err
		}
	}
	wrong := 0
	for {
		rec, bad, err := file.next()
		if errors.Is(err, io.EOF) {
			break
		}
		var res *pb.TierServiceScoreResponse
		if err == nil && bad == nil {
			res, bad, err = s.scoreLine(ctx, rec)
		}
		switch {
		case err != nil:
			return errors.Join(fmt.Errorf("broken off at line %d: %w", file.line, err), flush(out))
		case bad != nil:
			wrong++
			fmt.Fprintf(s.err, "%s:%d:%d: %s\n", file.name, bad.Line, bad.Column, printable(bad.Message))
		case s.output == "json":
			err = lines.Encode(graded{rec.line, rec.values["customer"], res.GetScore(), word(res.GetTier())})
		default:
			v := rec.values
			err = out.Write([]string{v["customer"], v[figures[0]], v[figures[1]], v[figures[2]], figure(res.GetScore()), word(res.GetTier())})
		}
		if err != nil {
			return err
		}
	}
	if err := flush(out); err != nil {
		return err
	}
	if wrong > 0 {
		return ErrPartly
	}
	return nil
}

func flush(w *csv.Writer) error {
	w.Flush()
	return w.Error()
}

func parseFigure(text string) (float64, bool) {
	v, err := strconv.ParseFloat(text, 64)
	return v, err == nil && v >= 0 && v <= 100
}

func (s *session) scoreLine(ctx context.Context, rec *record) (*pb.TierServiceScoreResponse, *badLine, error) {
	var req pb.TierServiceScoreRequest
	for i, into := range []*float64{&req.PaymentRecord, &req.OrderAmount, &req.ProfitContribution} {
		v, ok := parseFigure(rec.values[figures[i]])
		if !ok {
			return nil, rec.bad(figures[i], fmt.Sprintf("%s: %q is no figure of 0 to 100", figures[i], rec.values[figures[i]])), nil
		}
		*into = v
	}
	res, err := do(ctx, s, s.tiers().Score, &req)
	if status.Code(err) == codes.InvalidArgument {
		field, message := faultyField(err)
		return nil, rec.bad(field, message), nil
	}
	return res, nil, err
}
