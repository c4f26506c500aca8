package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

func callbacksCommand() *cobra.Command {
	return parent("callbacks", "See and keep the promises to call back",
		`callbacks lists what was promised, what is due and near its deadline first, and lets
somebody who is no signed-in agent make a callback: claim it, call, report the result.`,
		callbackListCommand(), claimCommand(), reportCommand(), rescheduleCommand(), cancelCommand(), createCommand(), exportCommand())
}

func (s *session) callbacks() pb.CallbackServiceClient { return pb.NewCallbackServiceClient(s.conn) }

// openStates are the callbacks that are still to be made.
var openStates = []pb.CallbackState{
	pb.CallbackState_CALLBACK_STATE_PENDING, pb.CallbackState_CALLBACK_STATE_DUE,
	pb.CallbackState_CALLBACK_STATE_OFFERED, pb.CallbackState_CALLBACK_STATE_CLAIMED,
}

// callbackFilter says which callbacks to read.
type callbackFilter struct {
	queue, caller string
	states        []string
	all           bool
}

func (f *callbackFilter) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.queue, "queue", "", "only callbacks of this `queue`")
	fl.StringVar(&f.caller, "caller", "", "only callbacks to this `number`")
	fl.StringSliceVar(&f.states, "state", nil, "only callbacks in this `state`: "+strings.Join(words(pb.CallbackState(0)), ", ")+"; may be given more than once")
	complete(cmd, "state", words(pb.CallbackState(0))...)
	completeQueues(cmd)
}

// read reads the callbacks, in the order in which they should be looked at.
func (f *callbackFilter) read(ctx context.Context, s *session) ([]*pb.Callback, error) {
	states, err := parseWords[pb.CallbackState]("--state", f.states)
	if err != nil {
		return nil, err
	}
	switch {
	case f.all:
		states = []pb.CallbackState{pb.CallbackState_CALLBACK_STATE_UNSPECIFIED}
	case len(states) == 0:
		states = openStates
	}
	// One that changes state between two pages comes twice; the later one counts.
	found := map[string]*pb.Callback{}
	for _, state := range states {
		req := &pb.CallbackServiceListRequest{Site: s.site, State: state, Queue: f.queue, Caller: f.caller, PageSize: pageSize}
		for {
			res, err := do(ctx, s, s.callbacks().List, req)
			if err != nil {
				return nil, err
			}
			for _, cb := range res.GetCallbacks() {
				found[cb.GetCallbackId()] = cb
			}
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
	}
	all := make([]*pb.Callback, 0, len(found))
	for _, cb := range found {
		all = append(all, cb)
	}
	slices.SortFunc(all, byUrgency)
	return all, nil
}

// byUrgency puts what may be made now first, by its deadline; then what somebody
// is at; then what is to come, by when it is due; then what is over, latest first.
func byUrgency(a, b *pb.Callback) int {
	if d := cmp.Compare(urgency(a), urgency(b)); d != 0 {
		return d
	}
	var d int
	switch urgency(a) {
	case 2:
		d = a.GetDueAt().AsTime().Compare(b.GetDueAt().AsTime())
	case 3:
		d = b.GetEndedAt().AsTime().Compare(a.GetEndedAt().AsTime())
	default:
		d = a.GetDeadline().AsTime().Compare(b.GetDeadline().AsTime())
	}
	return cmp.Or(d, cmp.Compare(a.GetCallbackId(), b.GetCallbackId()))
}

func urgency(cb *pb.Callback) int {
	switch cb.GetState() {
	case pb.CallbackState_CALLBACK_STATE_DUE:
		return 0
	case pb.CallbackState_CALLBACK_STATE_OFFERED, pb.CallbackState_CALLBACK_STATE_CLAIMED:
		return 1
	case pb.CallbackState_CALLBACK_STATE_PENDING:
		return 2
	}
	return 3
}

func callbackListCommand() *cobra.Command {
	var f callbackFilter
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List callbacks that are still to be made: due and near the deadline first",
		Example: "  greenlane callbacks list --queue billing\n  greenlane callbacks list --state missed",
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "ended ones too, for as long as they are kept")
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		if err := exclusive(cmd, "all", "state"); err != nil {
			return err
		}
		all, err := f.read(ctx, s)
		if err != nil {
			return err
		}
		res := &pb.CallbackServiceListResponse{Callbacks: all}
		return s.show(res, func(t *table) { callbackTable(t, s, all...) })
	})
}

func callbackTable(t *table, s *session, all ...*pb.Callback) {
	t.head = []string{"CALLBACK", "STATE", "CALLER", "QUEUE", "TIER", "DUE", "DEADLINE", "ATTEMPTS", "LAST", "WHO", "END", "NOTE"}
	for _, cb := range all {
		t.add(cell{text: cb.GetCallbackId()}, callbackStateCell(cb.GetState()), cell{text: cb.GetCaller()}, cell{text: cb.GetQueue()},
			tierCell(cb.GetTier(), false), cell{text: s.clock(cb.GetDueAt())}, s.deadlineCell(cb), cell{text: itoa(cb.GetAttempts())},
			cell{text: word(cb.GetLastResult())}, cell{text: cb.GetClaimedBy()}, cell{text: cb.GetEndReason()}, cell{text: cb.GetNote()})
	}
}

// deadlineCell is red once the callback is ranked by its deadline.
func (s *session) deadlineCell(cb *pb.Callback) cell {
	c := cell{text: s.clock(cb.GetDeadline())}
	if cb.GetEscalatedAt() != nil && cb.GetEndedAt() == nil {
		c.text += " near"
		c.color = red
	}
	return c
}

func callbackStateCell(state pb.CallbackState) cell {
	c := cell{text: word(state)}
	switch state {
	case pb.CallbackState_CALLBACK_STATE_DUE:
		c.color = yellow
	case pb.CallbackState_CALLBACK_STATE_DONE:
		c.color = green
	case pb.CallbackState_CALLBACK_STATE_FAILED, pb.CallbackState_CALLBACK_STATE_MISSED:
		c.color = red
	}
	return c
}

func (s *session) showCallback(cb *pb.Callback) error {
	return s.show(cb, func(t *table) { callbackTable(t, s, cb) })
}

func claimCommand() *cobra.Command {
	var who string
	cmd := &cobra.Command{
		Use:   "claim CALLBACK",
		Short: "Take a callback to make it now; claiming again extends the claim",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&who, "as", "", "`name` of who makes it, such as an agent's id; your own, where the daemon asks who you are (required)")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		if who == "" {
			return usagef("--as: say who makes the callback")
		}
		res, err := do(ctx, s, s.callbacks().Claim, &pb.CallbackServiceClaimRequest{RequestId: s.id(), Site: s.site, CallbackId: args[0], Claimant: who})
		if err != nil {
			return err
		}
		return s.showCallback(res.GetCallback())
	})
}

func reportCommand() *cobra.Command {
	var who, result, note string
	cmd := &cobra.Command{
		Use:     "report CALLBACK",
		Short:   "Tell what came of an attempt",
		Example: "  greenlane callbacks report cb-7 --as 1001 --result no-answer --note 'voice mail'",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&who, "as", "", "`name` of who claimed it or accepted it, as for claim (required)")
	cmd.Flags().StringVar(&result, "result", "", "what came of it: "+strings.Join(words(pb.CallbackResult(0)), ", ")+" (required)")
	cmd.Flags().StringVar(&note, "note", "", "`text` for the record")
	complete(cmd, "result", words(pb.CallbackResult(0))...)
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		came, err := parseWord[pb.CallbackResult]("--result", result)
		switch {
		case err != nil:
			return UsageError{err}
		case came == 0:
			return usagef("--result: say what came of it: %s", strings.Join(words(came), ", "))
		case who == "":
			return usagef("--as: say who made the attempt")
		}
		res, err := do(ctx, s, s.callbacks().Report, &pb.CallbackServiceReportRequest{
			RequestId: s.id(), Site: s.site, CallbackId: args[0], Claimant: who, Result: came, Note: note,
		})
		if err != nil {
			return err
		}
		return s.showCallback(res.GetCallback())
	})
}

func rescheduleCommand() *cobra.Command {
	var due string
	cmd := &cobra.Command{
		Use:     "reschedule CALLBACK",
		Short:   "Change when a callback is due; its deadline stays",
		Example: "  greenlane callbacks reschedule cb-7 --due 16:30\n  greenlane callbacks reschedule cb-7 --due +2h",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&due, "due", "", "`time` to call: "+timeForms+" (required)")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		at, err := s.instant(ctx, "--due", due)
		if err != nil {
			return err
		}
		res, err := do(ctx, s, s.callbacks().Reschedule, &pb.CallbackServiceRescheduleRequest{RequestId: s.id(), Site: s.site, CallbackId: args[0], DueAt: at})
		if err != nil {
			return err
		}
		return s.showCallback(res.GetCallback())
	})
}

func cancelCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel CALLBACK",
		Short: "End a callback that is no longer wanted",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for the record")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		res, err := do(ctx, s, s.callbacks().Cancel, &pb.CallbackServiceCancelRequest{RequestId: s.id(), Site: s.site, CallbackId: args[0], Reason: reason})
		if err != nil {
			return err
		}
		return s.showCallback(res.GetCallback())
	})
}

func createCommand() *cobra.Command {
	var queue, tier, due, note string
	cmd := &cobra.Command{
		Use:     "create NUMBER",
		Short:   "Promise a callback by hand",
		Example: "  greenlane callbacks create 13800138000 --queue billing --due +1h --note 'asked for Ms Li'",
		Args:    cobra.ExactArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&queue, "queue", "", "`queue` whose agents make it (default the site's)")
	fl.StringVar(&tier, "tier", "", "the caller's `tier` (default as the tier store says)")
	fl.StringVar(&due, "due", "", "`time` to call first: "+timeForms+" (default after the policy's delay)")
	fl.StringVar(&note, "note", "", "`text` for the agent")
	complete(cmd, "tier", words(pb.Tier(0))...)
	completeQueues(cmd)
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		of, err := parseWord[pb.Tier]("--tier", tier)
		if err != nil {
			return UsageError{err}
		}
		req := &pb.CallbackServiceCreateRequest{RequestId: s.id(), Site: s.site, Caller: args[0], Queue: queue, Tier: of, Note: note}
		if due != "" {
			if req.DueAt, err = s.instant(ctx, "--due", due); err != nil {
				return err
			}
		}
		res, err := do(ctx, s, s.callbacks().Create, req)
		if err != nil {
			return err
		}
		return s.showCallback(res.GetCallback())
	})
}

const timeForms = `2026-03-02T09:00:00+08:00, "2026-03-02 09:00" or 09:00 (today) in the site's zone, or +2h30m from now`

// instant reads a time of the command line, by the daemon's clock and the site's
// zone.
func (s *session) instant(ctx context.Context, flag, text string) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, usagef("%s: say when: %s", flag, timeForms)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return timestamppb.New(at), nil
	}
	snap, err := do(ctx, s, s.supervisor().GetSnapshot, &pb.GetSnapshotRequest{Site: s.site, OmitAgents: true})
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(snap.GetZone())
	if err != nil {
		return nil, err
	}
	at, err := readTime(text, snap.GetTakenAt().AsTime().In(zone))
	if err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	return timestamppb.New(at), nil
}

func readTime(text string, now time.Time) (time.Time, error) {
	if span, ok := strings.CutPrefix(text, "+"); ok {
		if d, err := time.ParseDuration(span); err == nil {
			return now.Add(d), nil
		}
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	if at, err := time.Parse("15:04", text); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location()), nil
	}
	return now, usagef("%q is no time; allowed is %s", text, timeForms)
}
