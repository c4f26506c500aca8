package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
	"greenlane/internal/tui/top"
	pb "greenlane/proto/greenlane/v1"
)

// How often `top` may get a snapshot, as the API bounds it.
const (
	leastInterval = 100 * time.Millisecond
	mostInterval  = time.Hour
)

func topCommand() *cobra.Command {
	var opt top.Options
	var once bool
	var order string
	var orders []string
	for _, o := range top.Orders {
		orders = append(orders, string(o))
	}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a site live: queues by tier, agents, callbacks",
		Long: `top shows how a site stands, as it changes: queues by tier with the service level of
today against its target, who waits and for how long, agents by state, callbacks that
are due. Keys order, filter and pause, and lead from a queue to the calls that wait, to
one call and why it stands where it stands; '?' lists them. With --once it prints how
things stand now and ends.

A level is answered in time / (answered + abandoned), of the calls that joined today,
rounded down.`,
		Example: `  greenlane top
  greenlane top --queue billing --queue complaints --sort oldest
  greenlane top --once --output json`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&opt.Queues, "queue", nil, "only this `queue`; may be given more than once")
	fl.StringVar(&order, "sort", string(top.ByName), "`order` of the queues: "+strings.Join(orders, ", "))
	fl.BoolVar(&once, "once", false, "print how things stand now, and end")
	fl.BoolVar(&opt.Mask, "mask", false, "show only the last four digits of numbers")
	fl.DurationVar(&opt.Interval, "interval", time.Second, "least `time` between two looks at the site")
	complete(cmd, "sort", orders...)
	completeQueues(cmd)
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		if !slices.Contains(orders, order) {
			return usagef("--sort: %q is not allowed: one of %s", order, strings.Join(orders, ", "))
		}
		if opt.Interval < leastInterval || opt.Interval > mostInterval {
			return usagef("--interval: %v is not allowed: %v to %v", opt.Interval, leastInterval, mostInterval)
		}
		opt.Order = top.Order(order)
		if once {
			return s.topOnce(ctx, opt)
		}
		if s.output == "json" {
			return usagef("--output: json is for --once; 'greenlane events' follows a site as JSON")
		}
		if !tui.OnTerminal(cmd.InOrStdin(), s.out) {
			return usagef("%w; for scripts there is --once", tui.ErrNoTerminal)
		}
		opt.Conn, opt.Site, opt.Timeout, opt.In, opt.Out = s.conn, s.site, s.timeout, cmd.InOrStdin(), s.out
		return top.Run(ctx, opt)
	})
}

// topOnce prints one snapshot.
func (s *session) topOnce(ctx context.Context, opt top.Options) error {
	snap, err := do(ctx, s, s.supervisor().GetSnapshot, &pb.GetSnapshotRequest{Site: s.site})
	if err != nil {
		return err
	}
	if err := keepQueues(snap, opt.Queues); err != nil {
		return err
	}
	top.Sort(snap.Queues, opt.Order)
	if s.output == "json" {
		return s.show(snap, nil)
	}
	t := table{head: []string{"QUEUE", "TIER", "LEVEL", "TARGET", "WAITING", "LATE", "OLDEST", "ANSWERED", "ABANDONED"}}
	for _, q := range snap.GetQueues() {
		for _, row := range q.GetTiers() {
			level, target := top.LevelOf(row)
			t.add(cell{text: q.GetQueue()}, tierCell(row.GetTier(), false), cell{level.Text, string(level.Ink)}, cell{text: target.Text},
				cell{text: itoa(row.GetWaiting())}, lateCell(row.GetLateWaiting()), cell{text: seconds(row.GetOldestWait())},
				cell{text: itoa(row.GetAnswered())}, cell{text: itoa(row.GetAbandoned())})
		}
	}
	if err := t.write(s.out, s.style); err != nil {
		return err
	}
	states := map[pb.AgentState]int{}
	free := 0
	for _, a := range snap.GetAgents() {
		states[a.GetState()]++
		if a.GetState() == pb.AgentState_AGENT_STATE_READY && a.GetAvailable() {
			free++
		}
	}
	cb := snap.GetCallbacks()
	fmt.Fprintf(s.out, "\nagents     %d ready (%d of them free), %d offered, %d talking, %d wrap-up, %d not ready\n", states[pb.AgentState_AGENT_STATE_READY],
		free, states[pb.AgentState_AGENT_STATE_OFFERED], states[pb.AgentState_AGENT_STATE_TALKING], states[pb.AgentState_AGENT_STATE_WRAP_UP], states[pb.AgentState_AGENT_STATE_NOT_READY])
	fmt.Fprintf(s.out, "callbacks  %d due, %d pending, %d offered, %d claimed", cb.GetDue(), cb.GetPending(), cb.GetOffered(), cb.GetClaimed())
	if cb.GetNextDeadline() != nil {
		fmt.Fprintf(s.out, "; next deadline %s", s.clock(cb.GetNextDeadline()))
	}
	fmt.Fprintf(s.out, "\nlevel      %s, calls that joined today\n", printable(snap.GetFormula()))
	if n := snap.GetGreenChannelViolations(); n > 0 {
		fmt.Fprintln(s.out, s.style.paint(red, fmt.Sprintf("the green channel was violated %d times", n)))
	}
	return nil
}

// keepQueues takes everything out of a snapshot that does not belong to some
// queues; without names nothing.
func keepQueues(snap *pb.GetSnapshotResponse, names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(snap.GetQueues(), func(q *pb.QueueSnapshot) bool { return q.GetQueue() == name }) {
			return status.Errorf(codes.NotFound, "queue %q is unknown; there are: %s", name, strings.Join(queueNames(snap), ", "))
		}
	}
	snap.Queues = slices.DeleteFunc(snap.Queues, func(q *pb.QueueSnapshot) bool { return !slices.Contains(names, q.GetQueue()) })
	snap.Agents = slices.DeleteFunc(snap.Agents, func(a *pb.Agent) bool {
		return !slices.ContainsFunc(a.GetQueues(), func(q *pb.AgentQueue) bool { return slices.Contains(names, q.GetQueue()) })
	})
	return nil
}

func queueNames(snap *pb.GetSnapshotResponse) (names []string) {
	for _, q := range snap.GetQueues() {
		names = append(names, q.GetQueue())
	}
	return names
}

func lateCell(n int32) cell {
	c := cell{text: itoa(n)}
	if n > 0 {
		c.color = red
	}
	return c
}
