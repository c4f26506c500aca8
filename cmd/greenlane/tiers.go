package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/cli"
	"greenlane/internal/instant"
	"greenlane/tiering"
	"greenlane/tiering/bulk"
)

func tiersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tiers",
		Short: "Look up, set, grade, import, export and count callers' tiers",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cli.TierVerbs()...)
	cmd.AddCommand(tiersImportCommand(), tiersRegradeCommand(), tiersExportCommand(), tiersCountCommand(), tiersReindexCommand())
	return cmd
}

func tiersCountCommand() *cobra.Command {
	var f tierFlags
	cmd := &cobra.Command{
		Use:     "count",
		Short:   "Say how many callers have each tier",
		Example: "  greenlane tiers count\n  greenlane tiers count --redis 127.0.0.1:6379",
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		asJSON, err := f.JSON()
		if err != nil {
			return err
		}
		store, err := f.open(cmd.Context(), cmd)
		if err != nil {
			return err
		}
		defer store.close()
		return printCount(cmd.Context(), cmd.OutOrStdout(), store, f.Site(cmd), asJSON)
	}
	return cmd
}

func printCount(ctx context.Context, w io.Writer, store tierReader, site string, asJSON bool) error {
	counts, err := store.Count(ctx, site)
	if err != nil {
		return err
	}
	if asJSON {
		byName := map[string]int64{}
		for tier, n := range counts {
			byName[tier.String()] = n
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(byName)
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	var total int64
	for _, tier := range tiering.Tiers {
		fmt.Fprintf(tab, "%s\t%s\t\n", tier, grouped(counts[tier]))
		total += counts[tier]
	}
	fmt.Fprintf(tab, "all\t%s\t\n", grouped(total))
	return tab.Flush()
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func tiersExportCommand() *cobra.Command {
	var f tierFlags
	var file, zone string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all callers and their tiers as a file that import reads",
		Long: `export writes CSV or JSON lines that 'tiers import' reads back. A caller on the
blacklist who also has a grade has two lines: the grade first, then the blacklist.
The order of the callers is the store's own.`,
		Example: "  greenlane tiers export --to callers.csv\n  greenlane tiers export --redis 127.0.0.1:6379 --to callers.csv",
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().StringVar(&file, "to", "", "`file` to write; else standard output")
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON lines instead of CSV; --output json says the same")
	cmd.Flags().StringVar(&zone, "zone", "UTC", "time `zone` in which ends are written")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		place, err := time.LoadLocation(zone)
		if err != nil {
			return usageErrorf("--zone: %w", err)
		}
		lines, err := f.JSON()
		if err != nil {
			return err
		}
		return interruptible(func(ctx context.Context, _ func(func())) error {
			store, err := f.open(ctx, cmd)
			if err != nil {
				return err
			}
			defer store.close()
			return writeTo(file, cmd.OutOrStdout(), func(w io.Writer) error {
				n, err := export(ctx, w, store, f.Site(cmd), asJSON || lines, place)
				fmt.Fprintf(cmd.ErrOrStderr(), "%s callers\n", grouped(n))
				return err
			})
		})
	}
	return cmd
}

// writeTo has a function write the file, which appears whole or not at all, or out
// when there is no file.
func writeTo(file string, out io.Writer, write func(w io.Writer) error) error {
	if file == "" {
		w := bufio.NewWriterSize(out, 1<<16)
		return errors.Join(write(w), w.Flush())
	}
	part := file + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<16)
	if err := errors.Join(write(w), w.Flush(), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, file)
}

// exportPage is how many callers are read at a time.
const exportPage = 5000

// export writes every caller. What can't be read is reported at the end; the
// others are written nevertheless.
func export(ctx context.Context, w io.Writer, store tierReader, site string, asJSON bool, zone *time.Location) (n int64, err error) {
	table := csv.NewWriter(w)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	if !asJSON {
		if err := table.Write(bulk.Columns); err != nil {
			return 0, err
		}
	}
	var faults []error
	for cursor := tiering.Cursor(""); ; {
		items, next, err := store.Walk(ctx, site, cursor, exportPage)
		if errors.Is(err, tiering.ErrCorrupt) {
			faults = append(faults, err)
		} else if err != nil {
			return n, err
		}
		for _, item := range items {
			for _, line := range exported(item, zone) {
				if asJSON {
					err = lines.Encode(line)
				} else {
					err = table.Write([]string{line.Number, line.Tier, line.Ends, line.flags(), line.Note})
				}
				if err != nil {
					return n, err
				}
			}
			n++
		}
		if cursor = next; next == "" {
			table.Flush()
			return n, errors.Join(append(faults, table.Error())...)
		}
	}
}

// exportLine is a line of an export.
type exportLine struct {
	Number string        `json:"number"`
	Tier   string        `json:"tier"`
	Ends   string        `json:"ends,omitempty"`
	Flags  tiering.Flags `json:"flags,omitempty"`
	Note   string        `json:"note,omitempty"`
}

func (l exportLine) flags() string {
	if l.Flags == 0 {
		return ""
	}
	return strconv.Itoa(int(l.Flags))
}

// exported returns the lines that import makes the same entry of.
func exported(item tiering.Item, zone *time.Location) []exportLine {
	e := item.Entry
	line := func(tier tiering.Tier, ends instant.Instant) exportLine {
		l := exportLine{Number: string(item.Number), Tier: tier.String(), Flags: e.Flags, Note: e.Note}
		if !ends.IsZero() {
			l.Ends = ends.Time().In(zone).Format("2006-01-02T15:04:05.999Z07:00")
		}
		return l
	}
	var lines []exportLine
	if e.Grade != tiering.TierUnset {
		lines = append(lines, line(e.Grade, e.GradeEnds))
	}
	if e.Blacklisted {
		lines = append(lines, line(tiering.Blacklist, e.BlacklistEnds))
	}
	return lines
}
