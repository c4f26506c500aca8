package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenlane/internal/instant"
	"greenlane/tiering"
	"greenlane/tiering/bulk"
	"greenlane/tiering/redisdir"
)

// importFlags are what the command line says of an import.
type importFlags struct {
	redisFlags
	site, zone, delimiter, checkpoint, faults string
	columns                                   map[string]string
	asJSON, ignore, dry, restart              bool
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

What is done is noted in a file beside it (FILE.import). When the command is run
again after it was broken off, it goes on from there; after it was done, it does
nothing. FILE may be - for standard input, of which nothing is noted.

Exit codes: 0 everything is in, 1 it was broken off (run it again to go on),
2 the command line or the header is wrong, 3 some lines were wrong, the others are in.`,
		Example: `  greenlane tiers import callers.csv --redis 127.0.0.1:6379
  greenlane tiers import crm.csv --config greenlane.yaml --columns number=phone,tier=level --ignore-columns
  greenlane tiers import callers.csv --redis 127.0.0.1:6379 --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.ExactArgs(1)(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.site, "site", "main", "`name` of the site")
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
	for name := range f.columns {
		if !slices.Contains(bulk.Columns, name) {
			return o, usageErrorf("--columns: %q is unknown: %s are known", name, strings.Join(bulk.Columns, ", "))
		}
	}
	delimiter := strings.ReplaceAll(f.delimiter, `\t`, "\t")
	if len(delimiter) != 1 || strings.ContainsAny(delimiter, "\"\r\n") {
		return o, usageErrorf("--delimiter: one character is allowed, and neither a quote nor a line's end")
	}
	o.Delimiter = delimiter[0]
	var err error
	if o.Zone, err = time.LoadLocation(f.zone); err != nil {
		return o, usageErrorf("--zone: %w", err)
	}
	return o, nil
}

func (f *importFlags) run(ctx context.Context, cmd *cobra.Command, path string) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	d, normalizer, done, err := openTiers(ctx, cmd, &f.redisFlags, redisdir.Options{Writers: importWriters})
	if err != nil {
		return err
	}
	defer done()
	in, size, err := openInput(cmd, path)
	if err != nil {
		return err
	}
	defer in.Close()
	job := &importJob{d: d, site: f.site, dry: f.dry, out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), name: path}
	if err := job.resume(f, in, path, size); err != nil || job.noted.Done {
		return err
	}
	o.Normalizer, o.At = normalizer, job.noted.At
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
	d         *redisdir.Directory
	site      string
	dry       bool
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
	j.noted = checkpoint{At: instant.Of(time.Now()), Site: f.site}
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
	case noted.File != whole || noted.Site != f.site:
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
	return fmt.Errorf("%w; what is in is noted up to line %d: run the same command again to go on", err, j.noted.End.Line)
}

// report says what the import came to.
func (j *importJob) report() error {
	n := &j.noted
	verb := "in"
	if j.dry {
		verb = "to come in (dry run: nothing was changed)"
	}
	fmt.Fprintf(j.out, "%s callers %s, %s lines wrong\n", grouped(n.Good), verb, grouped(n.Bad))
	printMoves(j.out, &n.Moves)
	if j.cut {
		fmt.Fprintln(j.errs, "the last line has no end: the file may have been cut off")
	}
	if n.Bad > 0 {
		return errPartly
	}
	return nil
}

// printMoves prints how many callers had which tier, and have which.
func printMoves(w io.Writer, moves *redisdir.Moves) {
	names := map[tiering.Tier]string{tiering.TierUnset: "unknown"}
	for _, tier := range tiering.Tiers {
		names[tier] = tier.String()
	}
	for _, from := range slices.Sorted(maps.Keys(names)) {
		for _, to := range tiering.Tiers {
			if n := moves[from][to]; n > 0 {
				word := "to"
				if from == to {
					word = "stays"
				}
				fmt.Fprintf(w, "%13s  %-9s %-5s %s\n", grouped(n), names[from], word, names[to])
			}
		}
	}
}

// importWriters is how many pipelines are under way at once: enough that Redis
// always has one at hand while the others are made.
const importWriters = 8
