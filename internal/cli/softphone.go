package cli

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"greenlane/internal/tui"
	"greenlane/internal/tui/softphone"
	pb "greenlane/proto/greenlane/v1"
)

func softphoneCommand() *cobra.Command {
	var opt softphone.Options
	var queues []string
	var wrapUp, handle time.Duration
	var auto bool
	var declines float64
	var result string
	cmd := &cobra.Command{
		Use:   "softphone",
		Short: "Be an agent: a softphone on the whole screen",
		Long: `softphone signs an agent in and keeps a session open: offers come to the screen, with the
caller's tier and wait, and go from it the moment they are somebody else's. Keys accept,
decline, end and report; '?' lists them. A connection that is lost is opened again by
itself; leaving signs the agent out.

With --auto it answers by itself. Without a terminal it then prints a line of JSON for
everything that happens, until it is interrupted:

  {"at":"2026-03-02T01:00:00.000Z","event":"offer","offer_id":"o-1","offer":{...}}

Events: connected, offer, rescinded, agent, call_ended (what the daemon says); accepted,
declined, completed, reported, ready, signed_out, failed (answers to what was done);
lost, taken_over, ended (the session).`,
		Example: `  greenlane softphone --agent 7001 --queues default:1,billing:2
  greenlane softphone --agent 7001 --queues default --wrap-up 10s --not-ready
  greenlane softphone --agent robot --queues default --auto --handle 5s --decline 0.1`,
		Args: cobra.NoArgs,
	}
	fl := cmd.Flags()
	fl.StringVar(&opt.Agent, "agent", "", "`id` of the agent who signs in (required)")
	fl.StringSliceVar(&queues, "queues", nil, "`queue` to serve, or queue:level with 1 as the best level; several with commas (required)")
	fl.StringVar(&opt.Endpoint, "endpoint", "", "where the switch reaches the agent's `phone`, such as SIP/1001")
	fl.DurationVar(&wrapUp, "wrap-up", 0, "`time` to finish up after each call (default the queue's)")
	fl.BoolVar(&opt.NotReady, "not-ready", false, "begin not ready")
	fl.BoolVar(&auto, "auto", false, "answer by itself")
	fl.DurationVar(&handle, "handle", 30*time.Second, "with --auto: `time` that a call or callback takes")
	fl.Float64Var(&declines, "decline", 0, "with --auto: `share` of offers to decline, 0 to 1")
	fl.StringVar(&result, "result", "reached", "with --auto: what comes of callbacks: reached, no-answer, busy or refused")
	complete(cmd, "result", words(pb.CallbackResult(0))...)
	completeQueuesFor(cmd, "queues")
	leaf(cmd, false, func(ctx context.Context, s *session, _ []string) error {
		var err error
		if opt.Agent == "" {
			return usagef("--agent: say who signs in")
		}
		if opt.Queues, err = parseServesOf("--queues", queues); err != nil {
			return err
		}
		if fl.Changed("wrap-up") {
			opt.WrapUp = durationpb.New(wrapUp)
		}
		if auto {
			if opt.Auto, err = autoOf(handle, declines, result); err != nil {
				return err
			}
		} else if !tui.OnTerminal(cmd.InOrStdin(), s.out) {
			return usagef("%w; for scripts there are --auto and 'greenlane agent'", tui.ErrNoTerminal)
		}
		opt.Conn, opt.Site, opt.Timeout, opt.In, opt.Out = s.conn, s.site, s.timeout, cmd.InOrStdin(), s.out
		return softphone.Run(ctx, opt)
	})
	if err := fl.MarkHidden("output"); err != nil { // its forms are the screen and, without one, lines of JSON
		panic(err) // leaf did not make it: an error in this package
	}
	return cmd
}

// autoOf checks the flags of --auto.
func autoOf(handle time.Duration, declines float64, result string) (*softphone.Auto, error) {
	if handle < 0 {
		return nil, usagef("--handle: %v must not be below 0", handle)
	}
	if !(declines >= 0 && declines <= 1) {
		return nil, usagef("--decline: %v must be between 0 and 1", declines)
	}
	r, err := parseWord[pb.CallbackResult]("--result", result)
	if err != nil {
		return nil, UsageError{err}
	}
	if r == 0 {
		return nil, usagef("--result: say what comes of callbacks")
	}
	return &softphone.Auto{Handle: handle, Decline: declines, Result: r, Chance: rand.Float64}, nil
}
