package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/instant"
	"greenlane/tiering/bulk"
)

// importFlags are what the command line says of an import.
type importFlags struct {
	tierFlags
	zone, delimiter, checkpoint, faults string
	columns                             map[string]string
	asJSON, ignore, dry, restart        bool

	regrade         bool // the tiers are made of figures
	preset, expires string
}

func tiersImportCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Give callers the tiers that a file says",
		Long: `import reads CSV with a header, or JSON lines (--json), and grades every caller in
it. A caller on the blacklist stays there: only the grade beneath changes.

Columns are number, tier, ends, flags and note; number and tier must be there. Each
line that is wrong is told with line and column, and all the others are in.

It asks the daemon at --addr; with --redis or --config it works on the daemon's Redis
itself, which is faster and needs no daemon.

` + importLong,
		Example: `  greenlane tiers import callers.csv
  greenlane tiers import crm.csv --columns number=phone,tier=level --ignore-columns
  greenlane tiers import callers.csv --dry-run
  greenlane tiers import callers.csv --config greenlane.yaml`,
	}
	return f.command(cmd)
}

// importLong is what all that reads files of callers has in common.
const importLong = `What is done is noted in a file beside it (FILE.import). When the command is run
again after it was broken off, it goes on from there; after it was done, it does
nothing. FILE may be - for standard input, of which nothing is noted.

Exit codes: 0 everything is in, 1 it was broken off (run it again to go on), 2 the
command line or the header is wrong, 3 some lines were wrong, the others are in, 6 the
daemon was not reached or went away for more than a minute (run it again to go on).`

func tiersRegradeCommand() *cobra.Command {
	f := importFlags{regrade: true}
	cmd := &cobra.Command{
		Use:   "regrade FILE",
		Short: "Grade callers again from a file of figures; tell promotions and demotions",
		Long: `regrade reads CSV with a header, or JSON lines (--json), of customers' figures, and
gives each caller the tier that the figures earn, by the weights and thresholds of the
daemon's configuration, or by --preset. It tells how many callers were promoted and
demoted between which tiers. The blacklist always wins.

Columns are number, the scheme's figures (payment_record, order_amount and
profit_contribution, unless the daemon or --preset has others), and, if wanted, ends,
flags and note. --expires ends the grades of all lines that have no end of their own.

` + importLong,
		Example: `  greenlane tiers regrade figures.csv --dry-run
  greenlane tiers regrade figures.csv --expires 2027-04-01
  greenlane tiers regrade figures.csv --preset six-factor --columns number=phone,growth=potential`,
	}
	fl := cmd.Flags()
	fl.StringVar(&f.preset, "preset", "", "`scheme` to grade by: three-factor or six-factor (default the configuration's)")
	fl.StringVar(&f.expires, "expires", "", "`day` (2027-04-01, its beginning) or instant (RFC 3339) at which these grades end (default never)")
	return f.command(cmd)
}

// command adds the flags and what is done.
func (f *importFlags) command(cmd *cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(1)(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.asJSON, "json", false, "the file is JSON lines")
	fl.StringToStringVar(&f.columns, "columns", nil, "what the file calls our columns, such as number=phone,tier=level")
	fl.BoolVar(&f.ignore, "ignore-columns", false, "pass over columns that are not ours")
	fl.StringVar(&f.delimiter, "delimiter", ",", "`character` between fields; \\t for a tab")
	fl.StringVar(&f.zone, "zone", "Asia/Shanghai", "time `zone` of days in the column ends")
	fl.BoolVar(&f.dry, "dry-run", false, "change nothing; say how many callers would move between which tiers")
	fl.StringVar(&f.faults, "faults", "", "`file` to which wrong lines are told; else standard error")
	fl.StringVar(&f.checkpoint, "checkpoint", "", "`file` in which is noted what is done (default FILE.import)")
	fl.BoolVar(&f.restart, "restart", false, "begin anew, whatever was noted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return interruptible(func(ctx context.Context, _ func(func())) error { return f.run(ctx, cmd, args[0]) })
	}
	return cmd
}

// options checks the flags that say how the file is written.
func (f *importFlags) options() (bulk.Options, error) {
	o := bulk.Options{JSON: f.asJSON, Names: f.columns, Ignore: f.ignore}
	delimiter := strings.ReplaceAll(f.delimiter, `\t`, "\t")
	if len(delimiter) != 1 || strings.ContainsAny(delimiter, "\"\r\n") {
		return o, usageErrorf("--delimiter: one character is allowed, and neither a quote nor a line's end")
	}
	o.Delimiter = delimiter[0]
	var err error
	if o.Zone, err = time.LoadLocation(f.zone); err != nil {
		return o, usageErrorf("--zone: %w", err)
	}
	if f.expires != "" {
		if o.Ends, err = bulk.End(f.expires, o.Zone); err != nil {
			return o, usageErrorf("--expires: %w", err)
		}
	}
	return o, nil
}

// complete adds what only the store knows: how numbers are read, and by what is
// graded. Then the columns can be checked.
func (f *importFlags) complete(ctx context.Context, store tierStore, o *bulk.Options) (err error) {
	if o.Normalizer, err = store.normalizer(ctx); err != nil {
		return err
	}
	if f.regrade {
		g, err := store.grading(ctx, f.preset)
		if err != nil {
			return err
		}
		o.Grading = &g
	}
	known := o.Known()
	for name := range f.columns {
		if !slices.Contains(known, name) {
			return usageErrorf("--columns: %q is unknown: %s are known", name, strings.Join(known, ", "))
		}
	}
	return nil
}

// importGC is how much garbage an import may make, in per cent of what it holds:
// half as much as usual, so that a file of any size takes less than 100 MB.
const importGC = 50

func (f *importFlags) run(ctx context.Context, cmd *cobra.Command, path string) error {
	defer debug.SetGCPercent(debug.SetGCPercent(importGC))
	o, err := f.options()
	if err != nil {
		return err
	}
	asJSON, err := f.JSON()
	if err != nil {
		return err
	}
	if err := f.checkSite(cmd); err != nil {
		return err
	}
	store, err := f.open(ctx, cmd)
	if err != nil {
		return err
	}
	defer store.close()
	in, size, err := openInput(cmd, path)
	if err != nil {
		return err
	}
	defer in.Close()
	job := &importJob{
		store: store, site: f.Site(cmd), dry: f.dry, asJSON: asJSON, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), name: path,
	}
	if err := job.resume(f, in, path, size); err != nil || job.noted.Done {
		return err
	}
	if err := f.complete(ctx, store, &o); err != nil {
		return err
	}
	o.At = job.noted.At
	reader, err := bulk.NewReader(in, o)
	if err != nil {
		return usageErrorf("%s: %w", path, err)
	}
	closeFaults, err := job.openFaults(f.faults)
	if err != nil {
		return err
	}
	job.bar = newBar(cmd.ErrOrStderr(), size)
	err = job.work(ctx, reader)
	job.bar.stop()
	if err := errors.Join(err, closeFaults()); err != nil {
		return job.brokenOff(err)
	}
	return job.report()
}

// openInput opens the file to read; its size is -1 when nobody knows.
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	if !info.Mode().IsRegular() {
		return file, -1, nil
	}
	return file, info.Size(), nil
}

// importJob is one import under way.
type importJob struct {
	store     tierStore
	site      string
	dry       bool
	asJSON    bool
	out, errs io.Writer
	name      string
	faults    io.Writer
	bar       *bar

	notes string // the checkpoint's path; empty: nothing is noted
	noted checkpoint
	cut   bool // the last line has no end
}

// resume reads what was noted of an earlier run. When that was done, it says so.
func (j *importJob) resume(f *importFlags, in io.ReadCloser, path string, size int64) error {
	j.noted = checkpoint{At: instant.Of(time.Now()), Site: j.site}
	file, ok := in.(*os.File)
	if f.dry || size < 0 || !ok {
		return nil
	}
	if j.notes = f.checkpoint; j.notes == "" {
		j.notes = path + ".import"
	}
	whole, err := fingerprint(file, size, f)
	if err != nil {
		return err
	}
	j.noted.File = whole
	if f.restart {
		return nil
	}
	noted, err := loadCheckpoint(j.notes)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w; --restart begins anew", err)
	case noted.File != whole || noted.Site != j.site:
		return fmt.Errorf("%s was noted for another file, site or way of reading it; --restart begins anew", j.notes)
	}
	j.noted = noted
	if noted.Done {
		fmt.Fprintf(j.errs, "%s is in already: %s callers, at line %d; --restart does it again\n", path, grouped(noted.Good), noted.End.Line)
		return nil
	}
	fmt.Fprintf(j.errs, "going on after line %d\n", noted.End.Line)
	return nil
}

func (j *importJob) openFaults(path string) (closeFaults func() error, err error) {
	if path == "" {
		j.faults = j.errs
		return func() error { return nil }, nil
	}
	mode := os.O_TRUNC
	if j.noted.End.Line > 0 {
		mode = os.O_APPEND
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|mode, 0o600)
	if err != nil {
		return nil, err
	}
	j.faults = file
	return file.Close, nil
}

// brokenOff says what is to be done after an import that did not end.
func (j *importJob) brokenOff(err error) error {
	if j.notes == "" {
		return err
	}
	return fmt.Errorf("what is in is noted up to line %d, run the same command again to go on: %w", j.noted.End.Line, err)
}
