package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	pb "greenlane/proto/greenlane/v1"
)

// The formats of `greenlane events`.
const (
	formatJSON     = "json"
	formatQueueLog = "queue_log"
)

type eventFlags struct {
	after, until       uint64
	follow, callers    bool
	format, cursor, to string
	types              []string
}

func eventsCommand() *cobra.Command {
	var f eventFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Read or follow the event log, as JSON lines or as Asterisk's queue_log",
		Long: `events writes the site's event log, oldest first, without gap or double. With --follow it
goes on with what happens, and a daemon that is restarted is waited for. Ctrl-C ends it.

--cursor names a file that keeps how far it has come: run again with the same file, it
goes on from there. Together with --to, which appends to a file, not even a kill -9 of
this command loses or doubles a line; on the standard output, a kill -9 can make the
last lines come again. The file is one reader's: give each reader its own.

--format queue_log writes what tools for Asterisk read: ENTERQUEUE, CONNECT, ABANDON,
COMPLETEAGENT, COMPLETECALLER, RINGNOANSWER, EXITWITHTIMEOUT, ADDMEMBER, REMOVEMEMBER,
PAUSE and UNPAUSE. What differs:

  the bridged channel of CONNECT is the offer's id
  EXITWITHTIMEOUT also stands for a call that moved to another queue, which then has an
    ENTERQUEUE there; waits go on counting from the first queue
  RINGNOANSWER also stands for an offer that was declined; one that was taken away from
    the agent (preempted, the caller hung up) has no line
  COMPLETECALLER is every end that is not the agent's
  ENTERQUEUE has the caller's number only with --callers, one more request each
  a place is 0 for a call that joined before the oldest event kept
  the log does not say which queues an agent serves: those of now stand for it
  calls that are not let in have no line, as in Asterisk`,
		Example: `  greenlane events --follow | jq .type
  greenlane events --after 1200 --until 1300
  greenlane events --follow --format queue_log --to /var/log/queue_log --cursor /var/lib/queue_log.cursor`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.Uint64Var(&f.after, "after", 0, "begin after this `sequence`; 0 is the oldest event kept")
	fl.Uint64Var(&f.until, "until", 0, "end with this `sequence`")
	fl.BoolVarP(&f.follow, "follow", "f", false, "go on with events to come")
	fl.StringVar(&f.format, "format", formatJSON, "json or queue_log")
	fl.StringSliceVar(&f.types, "type", nil, "only events of this `type`, such as call-answered; may be given more than once; json only")
	fl.BoolVar(&f.callers, "callers", false, "give callers' numbers in ENTERQUEUE")
	fl.StringVar(&f.cursor, "cursor", "", "`file` that keeps how far it has come; --after counts only without one")
	fl.StringVar(&f.to, "to", "", "`file` to append to (default the standard output)")
	complete(cmd, "format", formatJSON, formatQueueLog)
	complete(cmd, "type", words(pb.EventType(0))...)
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error { return f.run(ctx, s) })
}

func (f *eventFlags) run(ctx context.Context, s *session) error {
	if f.format != formatJSON && f.format != formatQueueLog {
		return usagef("--format: %q is not allowed: json or queue_log", f.format)
	}
	types, err := parseWords[pb.EventType]("--type", f.types)
	if err != nil {
		return err
	}
	if f.format == formatQueueLog && len(types) > 0 {
		return usagef("--type: goes with --format json only: a line of a queue_log is made of several events")
	}
	w := &eventWriter{cursorFile: f.cursor, types: types, out: s.out, until: f.until}
	if w.cursor, err = loadCursor(f.cursor, s.site, f.format, f.after); err != nil {
		return err
	}
	r := &eventReader{s: s, follow: f.follow, last: w.cursor.Sequence}
	if f.format == formatQueueLog {
		w.queueLog(s, r, f.callers)
	}
	if f.to != "" {
		file, err := w.cursor.openOutput(f.to, w.cursor.Sequence > 0 && f.cursor != "")
		if err != nil {
			return err
		}
		defer file.Close() //nolint:errcheck // what was written has been synced
		w.out, w.file = file, file
	}
	if f.until > 0 && r.last >= f.until {
		return nil
	}
	return w.run(ctx, r)
}

// eventWriter writes events, and the cursor behind them.
type eventWriter struct {
	cursor     *cursor
	cursorFile string
	types      []pb.EventType
	until      uint64 // the last event to write; 0: all
	silent     uint64 // events up to this one are only learnt from
	out        io.Writer
	file       *os.File // the --to file, nil for the standard output
}

// queueLog prepares the queue_log format: from the cursor's state, or else from
// the oldest event kept, so that live calls have their places.
func (w *eventWriter) queueLog(s *session, r *eventReader, callers bool) {
	if w.cursor.QueueLog == nil {
		w.cursor.QueueLog = &queueLog{Calls: map[string]*logCall{}, Agents: map[string]*logAgent{}}
		w.silent, r.last, r.must = r.last, 0, r.last
	}
	look := &lookup{s: s, patient: r.follow}
	w.cursor.QueueLog.serves = look.serves
	w.cursor.QueueLog.caller = func(context.Context, string) (string, error) { return "", nil }
	if callers {
		w.cursor.QueueLog.caller = look.caller
	}
}

// The cursor is saved so long after the first event that it does not know; where
// saving takes long, because many calls are live, it takes at most one part in
// saveShare of the time.
const (
	saveEvery = 200 * time.Millisecond
	saveShare = 20
)

// run writes what the reader reads. Lines go out as soon as no more events are at
// hand; the cursor follows a little later, since it has to reach the disk.
func (w *eventWriter) run(ctx context.Context, r *eventReader) (fault error) {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan *pb.Event, 1024)
	ended := make(chan error, 1)
	go func() {
		err := r.read(ctx, events)
		close(events)
		ended <- err
	}()
	defer func() {
		cancel()
		for range events {
			continue // the reader must not be left waiting
		}
		if err := <-ended; fault == nil && !errors.Is(err, context.Canceled) {
			fault = err
		}
	}()
	out := bufio.NewWriter(w.out)
	save := time.NewTimer(saveEvery)
	save.Stop()
	defer save.Stop()
	pending, took := false, time.Duration(0)
	for {
		select {
		case ev, ok := <-events:
			if !ok {
				return w.save(out)
			}
			if err := w.write(ctx, out, ev); err != nil {
				return errors.Join(err, w.save(out))
			}
			if w.until > 0 && ev.GetSequence() >= w.until {
				return w.save(out)
			}
			if len(events) == 0 {
				if err := out.Flush(); err != nil {
					return err
				}
			}
			if !pending {
				pending = true
				save.Reset(max(saveEvery, saveShare*took))
			}
		case <-save.C:
			began := time.Now()
			if err := w.save(out); err != nil {
				return err
			}
			pending, took = false, time.Since(began)
		}
	}
}

// write writes one event, whole or not at all.
func (w *eventWriter) write(ctx context.Context, out io.Writer, ev *pb.Event) error {
	text, err := w.text(ctx, ev)
	if err != nil {
		return err
	}
	if ev.GetSequence() > w.silent {
		n, err := io.WriteString(out, text)
		if err != nil {
			return err
		}
		w.cursor.Bytes += int64(n)
	}
	w.cursor.Sequence = ev.GetSequence()
	return nil
}

func (w *eventWriter) text(ctx context.Context, ev *pb.Event) (string, error) {
	if w.cursor.Format == formatQueueLog {
		lines, err := w.cursor.QueueLog.lines(ctx, ev)
		if len(lines) == 0 || err != nil {
			return "", err
		}
		return strings.Join(lines, "\n") + "\n", nil
	}
	if len(w.types) > 0 && !slices.Contains(w.types, ev.GetType()) {
		return "", nil
	}
	text, err := jsonOf(ev, protojson.MarshalOptions{UseProtoNames: true})
	return string(text) + "\n", err
}

// save writes the cursor once what it stands for is out, and on disk where it is a
// file.
func (w *eventWriter) save(out *bufio.Writer) error {
	if err := out.Flush(); err != nil {
		return err
	}
	if w.file != nil {
		if err := w.file.Sync(); err != nil {
			return err
		}
	}
	if w.cursorFile == "" || w.cursor.Sequence == 0 || w.cursor.Sequence < w.silent {
		return nil
	}
	if err := w.cursor.save(w.cursorFile); err != nil {
		return fmt.Errorf("--cursor: %w", err)
	}
	return nil
}
