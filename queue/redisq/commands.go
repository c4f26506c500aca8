package redisq

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/vmihailenco/msgpack/v5"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// argsOf returns a command's script and its own arguments, those after the
// request's; see the head of the script's file.
func (e *Engine) argsOf(cmd queue.Command) (s *script, args []any, err error) {
	switch c := cmd.(type) {
	case *queue.Arrive:
		record, err := packed(e.vault.said(c))
		return scripts()["arrive"], []any{c.Call, c.Switch, e.routeOf(c), record, c.Refuse}, err
	case *queue.Abandon:
		return scripts()["hang_up"], []any{c.Call, c.Switch, int64(c.At), queue.ReasonCallerHungUp, c.Kind()}, nil
	case *queue.End:
		return scripts()["hang_up"], []any{c.Call, c.Switch, int64(c.At), queue.ReasonSwitchEnded, c.Kind()}, nil
	case *queue.Accept:
		return scripts()["accept"], []any{c.Agent, c.Offer}, nil
	case *queue.Decline:
		return scripts()["decline"], []any{c.Agent, c.Offer, c.Reason, asFlag(c.NotReady)}, nil
	case *queue.Complete:
		return scripts()["complete"], []any{c.Agent, c.Call}, nil
	case *queue.Acknowledge:
		return scripts()["acknowledge"], []any{c.Agent, c.Offer}, nil
	case *queue.Attach:
		return scripts()["attach"], []any{c.Agent, c.Owner, c.Token, int(c.Presence), c.Wait.Milliseconds()}, nil
	case *queue.Detach:
		return scripts()["detach"], []any{c.Agent, c.Token, asFlag(c.Undelivered)}, nil
	case *queue.RenewOwner:
		return scripts()["renew_owner"], []any{c.Owner}, nil
	case *queue.SetState:
		return scripts()["set_state"], []any{c.Agent, int(c.State), c.Reason, c.State.String()}, nil
	default:
		return e.rareArgsOf(cmd)
	}
}

func (e *Engine) rareArgsOf(cmd queue.Command) (*script, []any, error) {
	switch c := cmd.(type) {
	case *queue.SignIn:
		record, err := packed(signedIn(c))
		return scripts()["sign_in"], []any{c.Agent, record}, err
	case *queue.SignOut:
		return scripts()["sign_out"], []any{c.Agent, asFlag(c.Force)}, nil
	case *queue.AttachSwitch:
		return scripts()["attach_switch"], []any{c.Switch, c.Owner, c.Token}, nil
	case *queue.DetachSwitch:
		return scripts()["detach_switch"], []any{c.Switch, c.Token}, nil
	case *queue.MoveCall:
		return scripts()["move_call"], []any{c.Call, c.Queue, c.By}, nil
	case *queue.Rerank:
		return scripts()["rerank"], []any{
			c.Call, e.vault.seal(c.Caller), int(c.Tier), asFlag(c.OnlyProvisional), asFlag(c.UnattestedVIP), asFlag(c.AttestedVIP),
		}, nil
	case *queue.CreateCallback:
		name, tier := c.Queue, c.Tier
		if name == "" {
			name = e.site.DefaultQueue
		}
		if !tier.Valid() {
			tier = tiering.Ordinary
		}
		return scripts()["create_callback"], []any{e.vault.seal(c.Caller), name, int(tier), int64(c.DueAt), e.vault.sealText(c.Note)}, nil
	case *queue.ClaimCallback:
		return scripts()["claim_callback"], []any{c.Callback, c.Claimant}, nil
	case *queue.ReportCallback:
		return scripts()["report_callback"], []any{c.Callback, c.Claimant, int(c.Result), e.vault.sealText(c.Note)}, nil
	case *queue.RescheduleCallback:
		return scripts()["reschedule_callback"], []any{c.Callback, int64(c.DueAt)}, nil
	case *queue.CancelCallback:
		return scripts()["cancel_callback"], []any{c.Callback, c.Reason}, nil
	}
	return nil, nil, &queue.Error{Kind: queue.ErrInvalid, Field: "command", Detail: fmt.Sprintf("%T is none the engine knows", cmd)}
}

func asFlag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}

// routeOf returns the queue a call goes to, "" when nothing says so.
func (e *Engine) routeOf(c *queue.Arrive) string {
	if c.Queue != "" {
		return c.Queue
	}
	if name := e.site.Routes[c.Dialed]; name != "" {
		return name
	}
	return e.site.DefaultQueue
}

// signedIn is what a sign-in says of an agent.
func signedIn(c *queue.SignIn) *agentRecord {
	r := &agentRecord{Endpoint: c.Endpoint, WrapUp: c.WrapUp.Milliseconds(), RingBySwitch: c.RingBySwitch}
	if c.WrapUp < 0 {
		r.WrapUp = -1
	}
	for _, s := range c.Services {
		r.Services = append(r.Services, serviceRecord{Queue: s.Queue, Level: s.Level})
	}
	return r
}

// decideTries bounds how often a command is sent because something had to be
// done first: timers to fire, settings to take over.
const decideTries = 100

// decide carries one command out at one instant.
func (e *Engine) decide(ctx context.Context, now instant.Instant, s *script, req *queue.Request, args []any) (queue.Result, error) {
	all := append([]any{req.ID, strconv.FormatUint(req.Print, 16)}, args...)
	tick := e.timers.dueBy(now)
	for range decideTries {
		r := e.newRun(s, now, all...)
		runs := []*run{r}
		if tick {
			e.timers.fired()
			runs = []*run{e.newRun(scripts()["tick"], now), r}
		}
		if err := e.send(ctx, runs...); err != nil {
			return queue.Result{}, err
		}
		if r.err != nil {
			return queue.Result{}, r.err
		}
		e.heard(&r.reply)
		switch r.reply.status {
		case "OK", "AGAIN":
			res, err := e.vault.resultOf(r.reply.body)
			res.Duplicate = res.Duplicate || r.reply.status == "AGAIN"
			return res, err
		case "NO":
			return queue.Result{}, e.refusalOf(r.reply.body, args)
		case "DUE":
			tick = true
		case "CONFIG":
			if err := e.takeOver(ctx); err != nil {
				return queue.Result{}, e.unavailable(err)
			}
		default:
			return queue.Result{}, e.unavailable(fmt.Errorf("%s answered %q", s.name, r.reply.status))
		}
	}
	return queue.Result{}, fmt.Errorf("%w: more timers are due than can be fired", queue.ErrUnavailable)
}

// tick fires everything that is due.
func (e *Engine) tick(ctx context.Context, now instant.Instant) error {
	for {
		r := e.newRun(scripts()["tick"], now)
		if err := e.send(ctx, r); err != nil {
			return err
		}
		if r.err != nil {
			return r.err
		}
		e.heard(&r.reply)
		switch r.reply.status {
		case "OK":
			return nil
		case "MORE":
		case "CONFIG":
			if err := e.takeOver(ctx); err != nil {
				return e.unavailable(err)
			}
		default:
			return e.unavailable(fmt.Errorf("tick answered %q", r.reply.status))
		}
	}
}

func unpack(raw []byte, into any) error { return msgpack.Unmarshal(raw, into) }

// resultOf reads a script's answer.
func (v vault) resultOf(body string) (queue.Result, error) {
	var a answerRecord
	if err := unpack([]byte(body), &a); err != nil {
		return queue.Result{}, fmt.Errorf("%w: an answer can't be read: %w", queue.ErrUnavailable, err)
	}
	res := queue.Result{
		Position: a.Position, EstimatedWait: millis(a.EstimatedWait), Added: a.Added, Closed: a.Closed, Kept: a.Kept,
		Reranked: a.Reranked, Duplicate: a.Duplicate,
		ErasedCalls: a.ErasedCalls, ErasedCallbacks: a.ErasedCallbacks, Live: a.Live,
	}
	if a.EstimatedWait < 0 {
		res.EstimatedWait = -1
	}
	slices.SortFunc(a.Items, func(x, y []string) int { return cmp.Compare(placeOf(x), placeOf(y)) })
	for _, i := range a.Items {
		res.Items = append(res.Items, itemOf(i))
	}
	var faults [5]error
	if a.Call != nil {
		res.Call, faults[0] = v.readCall(a.CallID, a.Call)
	}
	if a.Agent != nil {
		res.Agent, faults[1] = readAgent(a.AgentID, a.Agent)
	}
	if a.Callback != nil {
		res.Callback, faults[2] = v.readCallback(a.CallbackID, a.Callback)
	}
	if a.OfferRecord != nil {
		var r offerRecord
		faults[3] = unpack(a.OfferRecord, &r)
		res.Offer = r.offer(a.Offer)
		if a.OfferCall != nil {
			res.Offer.Call, faults[4] = v.readCall(r.Call, a.OfferCall)
		} else if a.OfferCallback != nil {
			res.Offer.Callback, faults[4] = v.readCallback(r.Callback, a.OfferCallback)
		}
	}
	return res, errors.Join(faults[:]...)
}

// placeOf returns where the call of an item stood in the switch's list.
func placeOf(words []string) int {
	n, _ := strconv.Atoi(words[len(words)-1])
	return n
}

// itemOf reads the outcome for one call: the outcome, when it failed kind, field
// and detail of the refusal, the call, and its place in the switch's list.
func itemOf(words []string) queue.Item {
	words = append(words, make([]string, 5)...)
	item := queue.Item{Outcome: words[0], Call: words[4]}
	if kind := kinds[words[1]]; kind != nil {
		item.Err = &queue.Error{Kind: kind, Field: words[2], Detail: words[3]}
	}
	return item
}

// refusalOf reads why a script refused a command.
func (e *Engine) refusalOf(body string, args []any) error {
	var no []any
	if err := unpack([]byte(body), &no); err != nil || len(no) < 3 {
		return fmt.Errorf("%w: a refusal can't be read: %w", queue.ErrUnavailable, err)
	}
	name, _ := no[0].(string)
	field, _ := no[1].(string)
	detail, _ := no[2].(string)
	kind := kinds[name]
	switch {
	case kind == nil:
		return fmt.Errorf("%w: a refusal of unknown kind %q", queue.ErrUnavailable, name)
	case len(no) == 5: // a due time: the policy has the words
		return e.dueRefusal(kind, asInstant(no[3]), asInstant(no[4]), args)
	case field != "":
		return &queue.Error{Kind: kind, Field: field, Detail: detail}
	case detail != "":
		return fmt.Errorf("%w: %s", kind, detail)
	}
	return kind
}

// dueRefusal finds the words for a due time that is not allowed: it is the only
// instant among the command's arguments.
func (e *Engine) dueRefusal(kind error, now, deadline instant.Instant, args []any) error {
	i := slices.IndexFunc(args, func(a any) bool { _, ok := a.(int64); return ok })
	if i >= 0 {
		due, _ := args[i].(int64)
		if err := e.site.Callback.CheckDue(now, instant.Instant(due), deadline); err != nil {
			return err
		}
	}
	return kind
}

func asInstant(v any) instant.Instant {
	var n int64
	raw, err := msgpack.Marshal(v)
	if err == nil {
		_ = msgpack.NewDecoder(bytes.NewReader(raw)).Decode(&n)
	}
	return instant.Instant(n)
}
