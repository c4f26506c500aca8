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
	"strings"

	"github.com/spf13/cobra"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// scoreFlags are what the command line says of a customer or a file of them.
type scoreFlags struct {
	preset, file string
	figures      map[string]string
	three        [3]float64
}

// threeFlags are the flags of the usual three figures, and their names.
var threeFlags = [3]struct{ flag, figure, meaning string }{
	{"payment-record", "payment_record", "how well the customer pays"},
	{"order-amount", "order_amount", "how much the customer orders"},
	{"profit-contribution", "profit_contribution", "how much the customer contributes to profit"},
}

func scoreCommand() *cobra.Command {
	var f scoreFlags
	cmd := &cobra.Command{
		Use:   "score",
		Short: "Grade a customer, or a file of them, from figures; stores nothing",
		Long: `score grades by the weights and thresholds of the daemon's configuration, or by a
preset: three-factor (payment_record 10 %, order_amount 30 %, profit_contribution 60 %)
or six-factor (payment_record, years_with_us, order_frequency and growth 15 points each,
order_amount and profit_contribution 20 each). Each figure is 0 to 100.

With --file the customers come from a CSV file ("-": the standard input) with a column
for each figure and, if wanted, customer. Out come CSV lines with score and tier added,
or with --output json JSON lines. A bad line is listed with its line and column and left
out; the exit code is then 3.`,
		Example: `  greenlane tiers score --payment-record 90 --order-amount 40 --profit-contribution 80
  greenlane tiers score --preset six-factor --figure growth=80,years_with_us=60,order_amount=90
  greenlane tiers score --file customers.csv > graded.csv`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	for i, three := range threeFlags {
		fl.Float64Var(&f.three[i], three.flag, 0, three.meaning+", a `figure` of 0 to 100")
	}
	fl.StringToStringVar(&f.figures, "figure", nil, "`figures` by their names, such as growth=80; what is not given is 0")
	fl.StringVar(&f.preset, "preset", "", "`scheme` to grade by: three-factor or six-factor (default the configuration's)")
	fl.StringVar(&f.file, "file", "", "CSV `file` of customers")
	complete(cmd, "preset", tiering.Presets...)
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		single := []string{threeFlags[0].flag, threeFlags[1].flag, threeFlags[2].flag, "figure"}
		if err := exclusive(cmd, "file", single...); err != nil {
			return err
		}
		if f.file != "" {
			return s.scoreFile(ctx, f.file, f.preset)
		}
		if !slices.ContainsFunc(single, fl.Changed) {
			return usagef("give the customer's figures, or --file")
		}
		return s.score(ctx, cmd, &f)
	})
}

// score grades one customer.
func (s *session) score(ctx context.Context, cmd *cobra.Command, f *scoreFlags) error {
	req := &pb.TierServiceScoreRequest{Preset: f.preset, Figures: map[string]float64{}}
	for i, three := range threeFlags {
		if cmd.Flags().Changed(three.flag) {
			req.Figures[three.figure] = f.three[i]
		}
	}
	for _, name := range sortedKeys(f.figures) {
		v, ok := parseFigure(f.figures[name])
		if !ok {
			return usagef("--figure: %s: %q is no figure of 0 to 100", name, f.figures[name])
		}
		req.Figures[name] = v
	}
	res, err := do(ctx, s, s.tiers().Score, req)
	if err != nil {
		return err
	}
	return s.show(res, func(t *table) {
		t.head = []string{"SCORE", "TIER"}
		t.add(cell{text: figure(res.GetScore())}, tierCell(res.GetTier(), false))
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

// scoreFile grades a file of customers. How, the daemon is asked once.
func (s *session) scoreFile(ctx context.Context, name, preset string) error {
	grading, _, err := (&TierStore{s: s}).Grading(ctx, preset)
	if err != nil {
		return err
	}
	var figures []string
	for _, f := range grading.Factors {
		figures = append(figures, f.Name)
	}
	file, err := openLines(name, figures, func(c string) bool { return c == "customer" || slices.Contains(figures, c) })
	if err != nil {
		return err
	}
	defer file.close() //nolint:errcheck // the file was only read
	out := csv.NewWriter(s.out)
	if s.output == "table" {
		if err := out.Write(slices.Concat([]string{"customer"}, figures, []string{"score", "tier"})); err != nil {
			return err
		}
	}
	wrong, err := s.scoreLines(ctx, file, grading, out)
	if err := errors.Join(err, flush(out)); err != nil {
		return err
	}
	if wrong > 0 {
		return ErrPartly
	}
	return nil
}

func (s *session) scoreLines(ctx context.Context, file *lineFile, grading tiering.Grading, out *csv.Writer) (wrong int, err error) {
	lines := json.NewEncoder(s.out)
	for ctx.Err() == nil {
		rec, bad, err := file.next()
		if errors.Is(err, io.EOF) {
			return wrong, nil
		}
		if err != nil {
			return wrong, fmt.Errorf("broken off at line %d: %w", file.line, err)
		}
		var score float64
		var tier tiering.Tier
		if bad == nil {
			score, tier, bad = scoreLine(rec, grading)
		}
		switch {
		case bad != nil:
			wrong++
			fmt.Fprintf(s.err, "%s:%d:%d: %s\n", file.name, bad.Line, bad.Column, printable(bad.Message))
		case s.output == "json":
			err = lines.Encode(graded{rec.line, rec.values["customer"], score, tier.String()})
		default:
			row := []string{rec.values["customer"]}
			for _, f := range grading.Factors {
				row = append(row, rec.values[f.Name])
			}
			err = out.Write(append(row, figure(score), tier.String()))
		}
		if err != nil {
			return wrong, err
		}
	}
	return wrong, ctx.Err()
}

func scoreLine(rec *record, grading tiering.Grading) (score float64, tier tiering.Tier, bad *badLine) {
	figures := make([]float64, len(grading.Factors))
	for i, f := range grading.Factors {
		v, ok := parseFigure(rec.values[f.Name])
		if !ok {
			return 0, 0, rec.bad(f.Name, fmt.Sprintf("%s: %q is no figure of 0 to 100", f.Name, rec.values[f.Name]))
		}
		figures[i] = v
	}
	score, tier, err := grading.Grade(figures)
	if err != nil {
		return 0, 0, rec.bad("", err.Error())
	}
	return score, tier, nil
}

func flush(w *csv.Writer) error {
	w.Flush()
	return w.Error()
}

func parseFigure(text string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return v, err == nil && v >= 0 && v <= 100
}
