package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "greenlane/proto/greenlane/v1"
)

func callCommand() *cobra.Command {
	return parent("call", "Report calls by hand, list them, ask why one went where it went",
		`call does what a telephony switch does, by hand or from a file, and looks calls up.
A switch's own calls belong to it: to abandon or end one by hand, name the switch with
--switch.`,
		placeCommand(), endCommand("abandon"), endCommand("end"), callShowCommand(), callListCommand(), explainCommand())
}

// defaultSwitch is the name under which this tool reports calls.
const defaultSwitch = "cli"

func placeCommand() *cobra.Command {
	var req pb.CallArrivedRequest
	var attest, many string
	var jobs int
	var attributes map[string]string
	cmd := &cobra.Command{
		Use:   "place [CALL]",
		Short: "Report that a call arrived, or all calls of a file",
		Long: `place reports an inbound call. CALL is the call's id, by default a new one; the same id
again is the same call.

With --many the calls come from a CSV file ("-": the standard input), and --jobs of them
are on their way at once; with --jobs 1 they join in the order of the file. What became
of them is told in that order in any case. The first line names the columns: call_id (required), caller, dialed, queue,
switch_id, attestation, preferred_agent, arrived_at (as 2026-03-02T09:00:00+08:00) and
any number of attr.NAME. Flags give what a column does not. A bad line is listed with
its line and column and left out, the others are placed, and the exit code is 3.
Every line carries a request_id made of its contents, so that the file can be run again.`,
		Example: `  greenlane call place c-1 --from 13800138000 --queue billing
  greenlane call place --many calls.csv --switch pbx-1`,
		Args: cobra.MaximumNArgs(1),
	}
	fl := cmd.Flags()
	fl.StringVar(&req.SwitchId, "switch", defaultSwitch, "`name` of the switch that has the call")
	fl.StringVar(&req.Caller, "from", "", "the caller's `number`; empty when withheld")
	fl.StringVar(&req.Dialed, "to", "", "the `number` that the caller dialled")
	fl.StringVar(&req.Queue, "queue", "", "`queue` to join (default the site's, or that of the number dialled)")
	fl.StringVar(&req.PreferredAgent, "preferred-agent", "", "`agent` who should have the call")
	fl.StringVar(&attest, "attestation", "", "how far the number is trusted: full, partial, gateway or none")
	fl.StringToStringVar(&attributes, "attr", nil, "`name=value` for the agent to see; may be given more than once")
	fl.StringVar(&many, "many", "", "CSV `file` of calls")
	fl.IntVar(&jobs, "jobs", 32, "with --many: how `many` calls are on their way at once, 1 to 256")
	complete(cmd, "attestation", words(pb.Attestation(0))...)
	completeQueues(cmd)
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		var err error
		if req.Attestation, err = parseWord[pb.Attestation]("--attestation", attest); err != nil {
			return UsageError{err}
		}
		req.Site, req.Attributes = s.site, attributes
		if many != "" {
			if len(args) > 0 || s.requestID != "" {
				return usagef("--many: the file has the calls; a call id or a --request-id is not allowed with it")
			}
			if jobs < 1 || jobs > 256 {
				return usagef("--jobs: %d is not allowed: 1 to 256", jobs)
			}
			return s.placeMany(ctx, many, jobs, &req)
		}
		req.RequestId, req.CallId = s.id(), "call-"+newID()
		if len(args) == 1 {
			req.CallId = args[0]
		}
		res, err := do(ctx, s, s.switches().CallArrived, &req)
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) {
			callTable(t, s, res.GetCall())
			place, left := "", seconds(res.GetEstimatedWait())
			if res.GetPosition() > 0 {
				place = fmt.Sprint(res.GetPosition())
			}
			t.head = append(t.head, "PLACE", "ESTIMATE")
			t.rows[0] = append(t.rows[0], plain(place, left)...)
		})
	})
}

// endCommand is abandon (the caller hung up before an answer) or end (the call is
// over, whoever ended it).
func endCommand(name string) *cobra.Command {
	var switchID string
	cmd := &cobra.Command{
		Use:   name + " CALL",
		Short: "Report that the caller hung up before an answer; may earn a callback",
		Args:  cobra.ExactArgs(1),
	}
	if name == "end" {
		cmd.Short = "Report that a call is over, whoever ended it"
	}
	cmd.Flags().StringVar(&switchID, "switch", defaultSwitch, "`name` of the switch that has the call")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		if name == "end" {
			res, err := do(ctx, s, s.switches().CallEnded, &pb.CallEndedRequest{RequestId: s.id(), Site: s.site, SwitchId: switchID, CallId: args[0]})
			if err != nil {
				return err
			}
			return s.show(res, func(t *table) { callTable(t, s, res.GetCall()) })
		}
		res, err := do(ctx, s, s.switches().CallAbandoned, &pb.CallAbandonedRequest{RequestId: s.id(), Site: s.site, SwitchId: switchID, CallId: args[0]})
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) { callTable(t, s, res.GetCall()) })
	})
}

func callShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show CALL",
		Short: "Show one call in full",
		Args:  cobra.ExactArgs(1),
	}
	return leaf(cmd, false, func(ctx context.Context, s *session, args []string) error {
		res, err := do(ctx, s, s.supervisor().Explain, &pb.ExplainRequest{Site: s.site, CallId: args[0]})
		if err != nil {
			return err
		}
		c := res.GetCall()
		return s.show(c, func(t *table) { callDetails(t, s, c) })
	})
}

func callDetails(t *table, s *session, c *pb.Call) {
	line := func(name string, v cell) {
		if v.text != "" {
			t.add(cell{text: name, color: bold}, v)
		}
	}
	text := func(name, v string) { line(name, cell{text: v}) }
	instant := func(name string, at *timestamppb.Timestamp) { text(name, s.clock(at)) }
	text("call", c.GetCallId())
	text("switch", c.GetSwitchId())
	text("caller", c.GetCaller())
	text("dialed", c.GetDialed())
	line("tier", tierCell(c.GetTier(), c.GetProvisional()))
	text("attestation", word(c.GetAttestation()))
	if c.GetUnattestedVip() {
		text("note", "a VIP's number without the attestation that the site asks for: served as ordinary")
	}
	text("queue", c.GetQueue())
	text("overflowed from", c.GetOverflowedFrom())
	line("state", callStateCell(c.GetState()))
	text("reason", c.GetReason())
	line("waited", waitCell(c))
	instant("arrived", c.GetArrivedAt())
	instant("joined", c.GetJoinedAt())
	instant("offered", c.GetOfferedAt())
	instant("answered", c.GetAnsweredAt())
	instant("ended", c.GetEndedAt())
	text("offers", fmt.Sprint(c.GetOffers()))
	text("agent", c.GetAgentId())
	text("preferred agent", c.GetPreferredAgent())
	text("offer", c.GetOfferId())
	text("callback", c.GetCallbackId())
	for _, k := range sortedKeys(c.GetAttributes()) {
		text("attr "+k, c.GetAttributes()[k])
	}
}

func callListCommand() *cobra.Command {
	var queue, tier, caller string
	var states []string
	var all, mask bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List calls, oldest arrival first: the live ones unless told otherwise",
		Example: `  greenlane call list --queue billing --tier vip
  greenlane call list --state abandoned --output json`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&queue, "queue", "", "only calls of this `queue`")
	fl.StringVar(&tier, "tier", "", "only calls of this `tier`: "+strings.Join(words(pb.Tier(0)), ", "))
	fl.StringVar(&caller, "caller", "", "only calls of this `number`")
	fl.StringSliceVar(&states, "state", nil, "only calls in this `state`: "+strings.Join(words(pb.CallState(0)), ", ")+"; may be given more than once")
	fl.BoolVar(&all, "all", false, "ended calls too, for as long as they are kept")
	fl.BoolVar(&mask, "mask", false, "show only the last four digits of numbers")
	complete(cmd, "tier", words(pb.Tier(0))...)
	complete(cmd, "state", words(pb.CallState(0))...)
	completeQueues(cmd)
	return leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		if err := exclusive(cmd, "all", "state"); err != nil {
			return err
		}
		if all {
			states = words(pb.CallState(0))
		}
		in, err := parseWords[pb.CallState]("--state", states)
		if err != nil {
			return err
		}
		of, err := parseWord[pb.Tier]("--tier", tier)
		if err != nil {
			return UsageError{err}
		}
		req := &pb.ListCallsRequest{Site: s.site, Queue: queue, Tier: of, States: in, Caller: caller, MaskCallers: mask, PageSize: pageSize}
		got := &pb.ListCallsResponse{}
		for {
			res, err := do(ctx, s, s.supervisor().ListCalls, req)
			if err != nil {
				return err
			}
			got.Calls = append(got.Calls, res.GetCalls()...)
			if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		return s.show(got, func(t *table) { callTable(t, s, got.GetCalls()...) })
	})
}

func explainCommand() *cobra.Command {
	var mask bool
	cmd := &cobra.Command{
		Use:   "explain CALL",
		Short: "Tell where a call stands, and why it went where it went",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&mask, "mask", false, "show only the last four digits of numbers")
	return leaf(cmd, false, func(ctx context.Context, s *session, args []string) error {
		res, err := do(ctx, s, s.supervisor().Explain, &pb.ExplainRequest{Site: s.site, CallId: args[0], MaskCallers: mask})
		if err != nil {
			return err
		}
		if s.output == "json" {
			return s.show(res, nil)
		}
		for _, reason := range res.GetReasons() {
			fmt.Fprintln(s.out, printable(reason))
		}
		fmt.Fprintln(s.out)
		t := table{head: []string{s.now.Format("AT (-07:00)"), "EVENT", "AGENT", "QUEUE", "TIER", "REASON", "WAITED"}}
		for _, ev := range res.GetEvents() {
			t.add(cell{text: s.clock(ev.GetAt())}, cell{text: word(ev.GetType())}, cell{text: ev.GetAgentId()}, cell{text: ev.GetQueue()},
				tierCell(ev.GetTier(), false), cell{text: strings.TrimSpace(ev.GetReason() + " " + ev.GetWhy())}, cell{text: seconds(ev.GetWait())})
		}
		return t.write(s.out, s.style)
	})
}

func (s *session) switches() pb.SwitchServiceClient { return pb.NewSwitchServiceClient(s.conn) }
func (s *session) supervisor() pb.SupervisorServiceClient {
	return pb.NewSupervisorServiceClient(s.conn)
}

func callTable(t *table, s *session, calls ...*pb.Call) {
	t.head = []string{"CALL", "STATE", "TIER", "QUEUE", "CALLER", "WAITED", "JOINED", "AGENT", "REASON", "CALLBACK"}
	for _, c := range calls {
		t.add(cell{text: c.GetCallId()}, callStateCell(c.GetState()), tierCell(c.GetTier(), c.GetProvisional()), cell{text: c.GetQueue()},
			cell{text: c.GetCaller()}, waitCell(c), cell{text: s.clock(c.GetJoinedAt())}, cell{text: c.GetAgentId()}, cell{text: c.GetReason()},
			cell{text: c.GetCallbackId()})
	}
}

func tierCell(t pb.Tier, provisional bool) cell {
	c := cell{text: word(t), color: tierColor(t)}
	if provisional {
		c.text += "?" // a guess: the tier store has not answered
	}
	return c
}

func callStateCell(state pb.CallState) cell {
	c := cell{text: word(state)}
	switch state {
	case pb.CallState_CALL_STATE_ANSWERED, pb.CallState_CALL_STATE_COMPLETED:
		c.color = green
	case pb.CallState_CALL_STATE_ABANDONED, pb.CallState_CALL_STATE_TIMED_OUT, pb.CallState_CALL_STATE_REFUSED:
		c.color = red
	}
	return c
}

func waitCell(c *pb.Call) cell {
	w := cell{text: seconds(c.GetWait())}
	if c.GetLate() {
		w.text += " late"
		w.color = red
	}
	return w
}
