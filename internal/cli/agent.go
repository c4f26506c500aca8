package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "greenlane/proto/greenlane/v1"
)

func agentCommand() *cobra.Command {
	return parent("agent", "Be an agent, line by line: sign in, get calls, accept, complete",
		`agent is a softphone for scripts and for trying things out. A working agent is

  greenlane agent sign-in 1001 --queue billing
  greenlane agent next 1001 && greenlane agent accept 1001
  greenlane agent complete 1001

An agent is available only while 'next' waits. Who does not ask for the next one within
the daemon's poll_grace (5 s) becomes not ready with reason "lost", and ready again with
the next 'next'.`,
		signInCommand(), nextCommand(), acceptCommand(), declineCommand(), completeCommand(),
		stateCommand(pb.AgentState_AGENT_STATE_READY), stateCommand(pb.AgentState_AGENT_STATE_NOT_READY),
		signOutCommand(), agentShowCommand())
}

func signInCommand() *cobra.Command {
	var queues []string
	var endpoint string
	var wrapUp time.Duration
	var ring bool
	cmd := &cobra.Command{
		Use:   "sign-in AGENT",
		Short: "Sign an agent in, or change what the agent serves",
		Example: `  greenlane agent sign-in 1001 --queue billing --queue complaints:2
  greenlane agent sign-in 1002 --queue billing --endpoint SIP/1002 --ring-by-switch`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringSliceVar(&queues, "queue", nil, "`queue` to serve, or queue:level with 1 as the best level; may be given more than once")
	cmd.Flags().StringVar(&endpoint, "endpoint", "", "where the switch reaches the agent's `phone`, such as SIP/1001")
	cmd.Flags().DurationVar(&wrapUp, "wrap-up", 0, "`time` to finish up after each call (default the queue's)")
	cmd.Flags().BoolVar(&ring, "ring-by-switch", false, "the call's switch rings the endpoint: no softphone is needed")
	completeQueues(cmd)
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		serves, err := parseServes(queues)
		if err != nil {
			return err
		}
		req := &pb.SignInRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], Endpoint: endpoint, Queues: serves, RingBySwitch: ring}
		if cmd.Flags().Changed("wrap-up") {
			req.WrapUp = durationpb.New(wrapUp)
		}
		res, err := do(ctx, s, s.agents().SignIn, req)
		if err != nil {
			return err
		}
		return s.showAgent(res.GetAgent())
	})
}

// parseServes reads "billing" and "billing:2".
func parseServes(all []string) ([]*pb.AgentQueue, error) { return parseServesOf("--queue", all) }

func parseServesOf(flag string, all []string) ([]*pb.AgentQueue, error) {
	if len(all) == 0 {
		return nil, usagef("%s: name at least one queue that the agent serves", flag)
	}
	var out []*pb.AgentQueue
	for _, s := range all {
		name, text, leveled := strings.Cut(s, ":")
		level := 1
		if leveled {
			var err error
			if level, err = strconv.Atoi(text); err != nil || level < 1 || level > 100 {
				return nil, usagef("%s: %q is not allowed: a queue, or a queue, a colon and a level of 1 to 100", flag, s)
			}
		}
		out = append(out, &pb.AgentQueue{Queue: name, Level: int32(level)})
	}
	return out, nil
}

func nextCommand() *cobra.Command {
	var patience time.Duration
	cmd := &cobra.Command{
		Use:   "next AGENT",
		Short: "Wait for the agent's next offer",
		Long: `next makes the agent available and waits for an offer, which it prints. Accept or
decline it before it expires. Exit code 7: none came.`,
		Example: "  greenlane agent next 1001 --wait 5m --output json",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().DurationVar(&patience, "wait", 30*time.Second, "how `long` to wait at most, up to 5m; 0 looks and returns")
	return leaf(cmd, false, func(ctx context.Context, s *session, args []string) error {
		req := &pb.NextCallRequest{Site: s.site, AgentId: args[0], Wait: durationpb.New(patience)}
		res, err := doWithin(ctx, patience+s.timeout, s.agents().NextCall, req)
		if err != nil {
			return err
		}
		if res.GetOffer() == nil {
			if s.output == "json" {
				if err := s.show(res, nil); err != nil {
					return err
				}
			}
			return errNoOffer
		}
		return s.show(res, func(t *table) { offerTable(t, s, res.GetOffer()) })
	})
}

func offerTable(t *table, s *session, o *pb.Offer) {
	t.head = []string{"OFFER", "FOR", "ID", "CALLER", "TIER", "QUEUE", "WAITED", "EXPIRES", "WHY"}
	if c := o.GetCall(); c != nil {
		t.add(cell{text: o.GetOfferId()}, cell{text: "call"}, cell{text: c.GetCallId()}, cell{text: c.GetCaller()}, tierCell(c.GetTier(), c.GetProvisional()),
			cell{text: c.GetQueue()}, waitCell(c), cell{text: s.clock(o.GetExpiresAt())}, cell{text: o.GetWhy()})
		return
	}
	cb := o.GetCallback()
	t.add(cell{text: o.GetOfferId()}, cell{text: "callback"}, cell{text: cb.GetCallbackId()}, cell{text: cb.GetCaller()}, tierCell(cb.GetTier(), false),
		cell{text: cb.GetQueue()}, cell{}, cell{text: s.clock(o.GetExpiresAt())}, cell{text: o.GetWhy()})
}

func acceptCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accept AGENT [OFFER]",
		Short: "Accept an offer; without OFFER the one that the agent has",
		Args:  cobra.RangeArgs(1, 2),
	}
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		offer, err := s.offerOf(ctx, args)
		if err != nil {
			return err
		}
		res, err := do(ctx, s, s.agents().Accept, &pb.AcceptRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], OfferId: offer})
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) {
			if res.GetCallback() != nil {
				callbackTable(t, s, res.GetCallback())
				return
			}
			callTable(t, s, res.GetCall())
		})
	})
}

func declineCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "decline AGENT [OFFER]",
		Short: "Give an offer back; without OFFER the one that the agent has",
		Args:  cobra.RangeArgs(1, 2),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`why`, for reports")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		offer, err := s.offerOf(ctx, args)
		if err != nil {
			return err
		}
		res, err := do(ctx, s, s.agents().Decline, &pb.DeclineRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], OfferId: offer, Reason: reason})
		if err != nil {
			return err
		}
		return s.showAgent(res.GetAgent())
	})
}

// offerOf is the offer of the command line, else the one that the agent has.
func (s *session) offerOf(ctx context.Context, args []string) (string, error) {
	if len(args) == 2 {
		return args[1], nil
	}
	a, err := s.findAgent(ctx, args[0])
	if err != nil {
		return "", err
	}
	if a.GetOfferId() == "" || a.GetState() != pb.AgentState_AGENT_STATE_OFFERED {
		return "", status.Errorf(codes.FailedPrecondition, "agent %q is %s and has no offer; get one: greenlane agent next %s", a.GetAgentId(), word(a.GetState()), a.GetAgentId())
	}
	return a.GetOfferId(), nil
}

func completeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "complete AGENT [CALL]",
		Short: "End the call that the agent talks on",
		Args:  cobra.RangeArgs(1, 2),
	}
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		call, err := s.talkOf(ctx, args)
		if err != nil {
			return err
		}
		res, err := do(ctx, s, s.agents().Complete, &pb.CompleteRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], CallId: call})
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) { callTable(t, s, res.GetCall()) })
	})
}

// talkOf is the call of the command line, else the one that the agent talks on.
func (s *session) talkOf(ctx context.Context, args []string) (string, error) {
	if len(args) == 2 {
		return args[1], nil
	}
	a, err := s.findAgent(ctx, args[0])
	switch {
	case err != nil:
		return "", err
	case a.GetState() == pb.AgentState_AGENT_STATE_WRAP_UP:
		return "", status.Errorf(codes.FailedPrecondition, "agent %q is in wrap-up, and the call is over; end the wrap-up: greenlane agent ready %s",
			a.GetAgentId(), a.GetAgentId())
	case a.GetState() != pb.AgentState_AGENT_STATE_TALKING:
		return "", status.Errorf(codes.FailedPrecondition, "agent %q is %s and talks on no call", a.GetAgentId(), word(a.GetState()))
	case a.GetCallId() == "":
		return "", status.Errorf(codes.FailedPrecondition, "agent %q works on a callback; report it: greenlane callbacks report %s --as %s --result RESULT",
			a.GetAgentId(), a.GetCallbackId(), a.GetAgentId())
	}
	return a.GetCallId(), nil
}

func stateCommand(state pb.AgentState) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   word(state) + " AGENT",
		Short: "Make an agent ready for calls; ends a wrap-up",
		Args:  cobra.ExactArgs(1),
	}
	if state == pb.AgentState_AGENT_STATE_NOT_READY {
		cmd.Short = "Make an agent not ready; one who talks becomes it after the call"
		cmd.Flags().StringVar(&reason, "reason", "", "`why`, such as lunch")
	}
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		res, err := do(ctx, s, s.agents().SetState, &pb.SetStateRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], State: state, Reason: reason})
		if err != nil {
			return err
		}
		return s.showAgent(res.GetAgent())
	})
}

func signOutCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "sign-out AGENT",
		Short: "Sign an agent out",
		Args:  cobra.ExactArgs(1),
	}
	cmd.Flags().BoolVar(&force, "force", false, "even while talking; the call ends by the switch's report")
	return leaf(cmd, true, func(ctx context.Context, s *session, args []string) error {
		res, err := do(ctx, s, s.agents().SignOut, &pb.SignOutRequest{RequestId: s.id(), Site: s.site, AgentId: args[0], Force: force})
		if err != nil {
			return err
		}
		return s.showAgent(res.GetAgent())
	})
}

func agentShowCommand() *cobra.Command {
	var queue string
	var states []string
	cmd := &cobra.Command{
		Use:     "show [AGENT]",
		Short:   "Show an agent, or all who are signed in",
		Example: "  greenlane agent show --queue billing --state ready --state not-ready",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringVar(&queue, "queue", "", "only agents who serve this `queue`")
	cmd.Flags().StringSliceVar(&states, "state", nil, "only agents in this `state`; may be given more than once")
	complete(cmd, "state", words(pb.AgentState(0))...)
	completeQueues(cmd)
	return leaf(cmd, false, func(ctx context.Context, s *session, args []string) error {
		if len(args) == 1 {
			a, err := s.findAgent(ctx, args[0])
			if err != nil {
				return err
			}
			return s.showAgent(a)
		}
		in, err := parseWords[pb.AgentState]("--state", states)
		if err != nil {
			return err
		}
		res := &pb.ListAgentsResponse{}
		err = s.eachAgent(ctx, queue, in, func(a *pb.Agent) bool {
			res.Agents = append(res.Agents, a)
			return true
		})
		if err != nil {
			return err
		}
		return s.show(res, func(t *table) { agentTable(t, s, res.GetAgents()...) })
	})
}

func (s *session) agents() pb.AgentServiceClient { return pb.NewAgentServiceClient(s.conn) }

// everyState is all states, signed out ones too.
var everyState = []pb.AgentState{
	pb.AgentState_AGENT_STATE_READY, pb.AgentState_AGENT_STATE_NOT_READY, pb.AgentState_AGENT_STATE_OFFERED,
	pb.AgentState_AGENT_STATE_TALKING, pb.AgentState_AGENT_STATE_WRAP_UP, pb.AgentState_AGENT_STATE_SIGNED_OUT,
}

// pageSize is how much a list asks for at once: as much as the API gives.
const pageSize = 1000

// eachAgent reads agents until take has enough.
func (s *session) eachAgent(ctx context.Context, queue string, states []pb.AgentState, take func(*pb.Agent) bool) error {
	req := &pb.ListAgentsRequest{Site: s.site, Queue: queue, States: states, PageSize: pageSize}
	for {
		res, err := do(ctx, s, pb.NewSupervisorServiceClient(s.conn).ListAgents, req)
		if err != nil {
			return err
		}
		for _, a := range res.GetAgents() {
			if !take(a) {
				return nil
			}
		}
		if req.PageToken = res.GetNextPageToken(); req.PageToken == "" {
			return nil
		}
	}
}

// findAgent reads one agent: the API lists agents, and has no rpc for one.
func (s *session) findAgent(ctx context.Context, id string) (found *pb.Agent, err error) {
	err = s.eachAgent(ctx, "", everyState, func(a *pb.Agent) bool {
		if a.GetAgentId() == id {
			found = a
		}
		return found == nil
	})
	if err == nil && found == nil {
		err = status.Errorf(codes.NotFound, "agent %q is unknown; sign the agent in: greenlane agent sign-in %s --queue QUEUE", id, id)
	}
	return found, err
}

func (s *session) showAgent(a *pb.Agent) error {
	return s.show(a, func(t *table) { agentTable(t, s, a) })
}

func agentTable(t *table, s *session, agents ...*pb.Agent) {
	t.head = []string{"AGENT", "STATE", "SINCE", "REASON", "REACHABLE", "QUEUES", "HAS"}
	for _, a := range agents {
		var serves []string
		for _, q := range a.GetQueues() {
			serves = append(serves, fmt.Sprintf("%s:%d", q.GetQueue(), max(q.GetLevel(), 1)))
		}
		reach := "no"
		if a.GetAvailable() {
			reach = "yes"
		}
		has := ""
		switch {
		case a.GetCallId() != "":
			has = "call " + a.GetCallId()
		case a.GetCallbackId() != "":
			has = "callback " + a.GetCallbackId()
		}
		if a.GetOfferId() != "" && a.GetState() == pb.AgentState_AGENT_STATE_OFFERED {
			has += " (offer " + a.GetOfferId() + ")"
		}
		reason := a.GetReason()
		if a.GetNotReadyAfter() {
			reason = "not ready after this call"
		}
		t.add(cell{text: a.GetAgentId()}, agentStateCell(a.GetState()), cell{text: s.clock(a.GetSince())}, cell{text: reason}, cell{text: reach},
			cell{text: strings.Join(serves, " ")}, cell{text: has})
	}
}

func agentStateCell(state pb.AgentState) cell {
	c := cell{text: word(state)}
	switch state {
	case pb.AgentState_AGENT_STATE_READY:
		c.color = green
	case pb.AgentState_AGENT_STATE_NOT_READY:
		c.color = yellow
	}
	return c
}
