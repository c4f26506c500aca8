package queuetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"greenlane/callback"
	"greenlane/queue"
	"greenlane/tiering"
)

// command executes a command of the engine, or a question.
func (s *Script) command(w *words) error {
	if cmd := s.callCommand(w); cmd != nil {
		return s.give(cmd)
	}
	if cmd := s.agentCommand(w); cmd != nil {
		return s.give(cmd)
	}
	if cmd := s.callbackCommand(w); cmd != nil {
		return s.give(cmd)
	}
	switch w.verb {
	case "tick":
		return s.tick(w)
	case "at":
		return s.setClock(w)
	case "restart":
		if s.d.restart != nil {
			s.d.e = s.d.restart(s.d.TB)
		}
		return nil
	case "snapshot":
		return s.snapshot()
	case "calls":
		return s.calls()
	case "agents":
		return s.agents()
	case "callbacks":
		return s.callbacks()
	case "counts":
		return s.counts(w)
	case "positions":
		return s.positions(w.opt("switch", defaultSwitch))
	case "explain":
		return s.explain(w.next())
	}
	return fmt.Errorf("there is no command %q", w.verb)
}

// give hands a command to the engine and prints what it answered.
func (s *Script) give(cmd queue.Command) error {
	res, err := s.d.e.Do(s.d.ctx(), cmd)
	// What a command makes due at once fires by itself or with the next command:
	// here, so that all engines tell the same story.
	s.d.do(&queue.Tick{})
	if err != nil {
		s.answer("refused: %s", kindOf(err)) // its words are for people and may change
		return nil
	}
	var notes []string
	if res.Duplicate {
		notes = append(notes, "again")
	}
	if c := res.Call; c != nil {
		note := fmt.Sprintf("%s %s", c.ID, c.State)
		if c.Reason != "" {
			note += " (" + c.Reason + ")"
		}
		if res.Position > 0 {
			note += fmt.Sprintf(" position %d", res.Position)
		}
		notes = append(notes, note)
	}
	if a := res.Agent; a != nil {
		notes = append(notes, strings.TrimSpace(fmt.Sprintf("%s %s %s", a.ID, a.State, a.Reason)))
	}
	if o := res.Offer; o != nil {
		notes = append(notes, "offer "+queue.OfferID(o.Epoch))
	}
	if cb := res.Callback; cb != nil {
		notes = append(notes, s.describe(cb))
	}
	if _, ok := cmd.(*queue.Rerank); ok {
		notes = append(notes, fmt.Sprintf("reranked %d", res.Reranked))
	}
	if _, ok := cmd.(*queue.Reconcile); ok {
		notes = append(notes, fmt.Sprintf("added %d, kept %d, closed %d", res.Added, res.Kept, res.Closed))
		for _, item := range res.Items {
			notes = append(notes, item.Call+" "+item.Outcome)
		}
	}
	if len(notes) > 0 {
		s.answer("%s", strings.Join(notes, "; "))
	}
	return nil
}

// tick lets time pass and fires what is due.
func (s *Script) tick(w *words) error {
	span, err := time.ParseDuration(w.next())
	if err != nil {
		return err
	}
	s.d.clock.Advance(span)
	for _, owner := range strings.FieldsFunc(w.opt("renew", ""), func(r rune) bool { return r == ',' }) {
		s.d.do(&queue.RenewOwner{Owner: owner})
	}
	return s.give(&queue.Tick{})
}

// setClock lets time pass until a time of day, tomorrow's if today's is over.
func (s *Script) setClock(w *words) error {
	clock := clockOf(w, w.next())
	now := s.d.clock.Now().In(s.site.Zone)
	at := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, s.site.Zone).Add(clock)
	if at.Before(now) {
		at = at.AddDate(0, 0, 1)
	}
	s.d.clock.Set(at)
	return s.give(&queue.Tick{})
}

func (s *Script) arrival(w *words, call string) queue.Arrive {
	now := s.d.now()
	return queue.Arrive{
		Request: w.request(), Call: call, Switch: w.opt("switch", defaultSwitch), Caller: tiering.Number(w.opt("caller", "")),
		Dialed: w.opt("dialed", ""), Queue: w.opt("queue", ""), Tier: w.tier("tier", tiering.Ordinary),
		Provisional: w.flag("provisional"), PreferredAgent: w.opt("prefer", ""), ArrivedAt: w.instant("arrived", now),
		Refuse: w.opt("refuse", ""),
	}
}

func (s *Script) callCommand(w *words) queue.Command {
	now := s.d.now()
	switch w.verb {
	case "arrive":
		cmd := s.arrival(w, w.next())
		return &cmd
	case "hangup":
		return &queue.Abandon{Request: w.request(), Call: w.next(), Switch: w.opt("switch", defaultSwitch), At: w.instant("at", now)}
	case "end":
		return &queue.End{Request: w.request(), Call: w.next(), Switch: w.opt("switch", defaultSwitch), At: w.instant("at", now)}
	case "move":
		return &queue.MoveCall{Request: w.request(), Call: w.next(), Queue: w.next(), By: w.opt("by", "boss")}
	case "rerank":
		cmd := &queue.Rerank{
			Request: w.request(), Caller: tiering.Number(w.opt("caller", "")), Tier: w.tier("tier", 0),
			OnlyProvisional: w.flag("only_provisional"),
		}
		cmd.Call = w.next()
		return cmd
	case "reconcile":
		return s.reconcileCommand(w)
	case "attach_switch":
		return &queue.AttachSwitch{Switch: w.next(), Owner: w.opt("owner", "d1"), Token: w.opt("token", "x1")}
	case "detach_switch":
		return &queue.DetachSwitch{Switch: w.next(), Token: w.opt("token", "x1")}
	}
	return nil
}

// reconcileCommand reads: reconcile s1 c1 c2,queue=billing,arrived=-40s,agent=a1,answered=-5s
func (s *Script) reconcileCommand(w *words) queue.Command {
	cmd := &queue.Reconcile{Request: w.request(), Switch: w.next(), AsOf: w.instant("as_of", s.d.now())}
	for _, text := range w.args {
		cmd.Calls = append(cmd.Calls, s.liveCall(w, text))
	}
	w.args = nil
	return cmd
}

func (s *Script) liveCall(w *words, text string) queue.Live {
	item := parseWords("live " + strings.ReplaceAll(text, ",", " "))
	now := s.d.now()
	live := queue.Live{Arrive: s.arrival(item, item.next()), Agent: item.opt("agent", ""), AnsweredAt: item.instant("answered", now)}
	w.fail(item.leftOver())
	return live
}

func (s *Script) agentCommand(w *words) queue.Command {
	switch w.verb {
	case "signin":
		return s.signIn(w)
	case "signout":
		return &queue.SignOut{Request: w.request(), Force: w.flag("force"), Agent: w.next()}
	case "ready":
		return &queue.SetState{Request: w.request(), Agent: w.next(), State: queue.AgentReady}
	case "pause":
		return &queue.SetState{Request: w.request(), Agent: w.next(), State: queue.AgentNotReady, Reason: w.next()}
	case "poll", "stream":
		cmd := &queue.Attach{
			Request: w.request(), Agent: w.next(), Owner: w.opt("owner", "d1"), Presence: queue.PresentStream,
			Wait: w.span("wait", 30*time.Second),
		}
		if w.verb == "poll" {
			cmd.Presence = queue.PresentPoll
		}
		cmd.Token = w.opt("token", "t-"+cmd.Agent)
		return cmd
	case "detach":
		cmd := &queue.Detach{Request: w.request(), Undelivered: w.flag("undelivered"), Agent: w.next()}
		cmd.Token = w.opt("token", "t-"+cmd.Agent)
		return cmd
	case "renew":
		return &queue.RenewOwner{Request: w.request(), Owner: w.next()}
	case "ack", "accept", "decline":
		return s.offerCommand(w)
	case "complete":
		cmd := &queue.Complete{Request: w.request(), Agent: w.next(), Call: w.next()}
		if cmd.Call == "" {
			cmd.Call = s.d.agent(cmd.Agent).Call
		}
		return cmd
	}
	return nil
}

// signIn reads: signin a1 billing:1 orders:2 wrap_up=20s ring=SIP/1001
func (s *Script) signIn(w *words) queue.Command {
	cmd := &queue.SignIn{Request: w.request(), Agent: w.next(), WrapUp: w.span("wrap_up", -1), Endpoint: w.opt("ring", "")}
	cmd.RingBySwitch = cmd.Endpoint != ""
	for {
		text := w.next()
		if text == "" {
			return cmd
		}
		name, level, ok := strings.Cut(text, ":")
		service := queue.Service{Queue: name, Level: 1}
		if ok {
			n, err := strconv.Atoi(level)
			w.fail(err)
			service.Level = n
		}
		cmd.Services = append(cmd.Services, service)
	}
}

// offerCommand reads: accept a1, accept a1 o-3, accept switch o-3. Without an
// offer it is the agent's live one.
func (s *Script) offerCommand(w *words) queue.Command {
	agent, id := w.next(), w.next()
	epoch, known := queue.ParseOfferID(id)
	if !known && id != "" {
		w.fail(fmt.Errorf("%q is no offer", id))
	}
	if !known {
		if o := s.d.offer(agent); o != nil {
			epoch = o.Epoch
		}
	}
	if agent == "switch" {
		agent = ""
	}
	switch w.verb {
	case "ack":
		return &queue.Acknowledge{Request: w.request(), Agent: agent, Offer: epoch}
	case "accept":
		return &queue.Accept{Request: w.request(), Agent: agent, Offer: epoch}
	}
	failed := w.opt("failed", "")
	return &queue.Decline{Request: w.request(), Agent: agent, Offer: epoch, Reason: failed, NotReady: failed != ""}
}

func (s *Script) callbackCommand(w *words) queue.Command {
	now := s.d.now()
	switch w.verb {
	case "promise":
		return &queue.CreateCallback{
			Request: w.request(), Caller: tiering.Number(w.opt("caller", "")), Queue: w.opt("queue", ""),
			Tier: w.tier("tier", tiering.Mid), DueAt: w.instant("due", now),
		}
	case "claim":
		return &queue.ClaimCallback{Request: w.request(), Callback: w.next(), Claimant: w.next()}
	case "report":
		cmd := &queue.ReportCallback{Request: w.request(), Callback: w.next(), Claimant: w.next()}
		result, err := callback.ParseResult(w.next())
		w.fail(err)
		cmd.Result = result
		return cmd
	case "reschedule":
		return &queue.RescheduleCallback{Request: w.request(), Callback: w.next(), DueAt: w.instant("due", now)}
	case "erase":
		return &queue.EraseCaller{Request: w.request(), Caller: tiering.Number(w.next()), AtEnd: w.flag("at-end")}
	case "cancel":
		return &queue.CancelCallback{Request: w.request(), Callback: w.next(), Reason: w.opt("reason", "not wanted")}
	}
	return nil
}
