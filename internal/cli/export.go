package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

func itoa(n int32) string { return strconv.Itoa(int(n)) }

func exportCommand() *cobra.Command {
	f := callbackFilter{}
	var to, format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write callbacks, ended ones too, as CSV or JSON lines",
		Long: `export writes every callback that is kept, or those of the flags. A file is there whole
or not at all. Times are in UTC.`,
		Example: "  greenlane callbacks export --to callbacks.csv\n  greenlane callbacks export --state missed --format json",
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().StringVar(&to, "to", "", "`file` to write (default the standard output)")
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	complete(cmd, "format", "csv", "json")
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		writer, ok := map[string]func(io.Writer, []*pb.Callback) error{"csv": callbacksCSV, "json": callbacksJSON}[format]
		if !ok {
			return usagef("--format: %q is not allowed: csv or json", format)
		}
		f.all = len(f.states) == 0
		all, err := f.read(ctx, s)
		if err != nil {
			return err
		}
		if to == "" {
			return writer(s.out, all)
		}
		return replaceFile(to, func(w io.Writer) error { return writer(w, all) })
	})
}

func callbacksCSV(w io.Writer, all []*pb.Callback) error {
	out := csv.NewWriter(w)
	rows := [][]string{{
		"callback_id", "state", "caller", "queue", "tier", "due_at", "deadline", "attempts", "last_result", "last_attempt_at",
		"reason", "call_id", "created_at", "arrived_at", "claimed_by", "claim_until", "escalated_at", "ended_at", "end_reason", "note",
	}}
	for _, cb := range all {
		rows = append(rows, []string{
			cb.GetCallbackId(), word(cb.GetState()), cb.GetCaller(), cb.GetQueue(), word(cb.GetTier()), utc(cb.GetDueAt()), utc(cb.GetDeadline()),
			itoa(cb.GetAttempts()), word(cb.GetLastResult()), utc(cb.GetLastAttemptAt()), cb.GetReason(), cb.GetCallId(),
			utc(cb.GetCreatedAt()), utc(cb.GetArrivedAt()), cb.GetClaimedBy(), utc(cb.GetClaimUntil()), utc(cb.GetEscalatedAt()),
			utc(cb.GetEndedAt()), cb.GetEndReason(), cb.GetNote(),
		})
	}
	return out.WriteAll(rows)
}

func callbacksJSON(w io.Writer, all []*pb.Callback) error {
	for _, cb := range all {
		line, err := jsonOf(cb, asJSON)
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

func utc(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339Nano)
}

// replaceFile writes a file beside the old one and puts it in its place once it is
// on disk: whoever reads it sees the old one or the new one, whole. The new one is
// for the eyes of whom the old one was for, else of its owner's only. What is no
// file, such as /dev/stdout, is left alone.
func replaceFile(name string, write func(io.Writer) error) (fault error) {
	old, err := os.Lstat(name)
	switch {
	case err == nil && !old.Mode().IsRegular():
		return usagef("%s is there and is no ordinary file; name another", name)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if fault != nil {
			fault = errors.Join(fault, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if old != nil {
		if err := os.Chmod(f.Name(), old.Mode().Perm()); err != nil {
			return err
		}
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes a rename in a directory last. Windows does so by itself.
func syncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
