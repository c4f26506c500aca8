package queuetest

import (
	"fmt"
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// Source is where a generator draws its choices from: rapid, so that failures
// shrink, or a seed.
type Source interface {
	// Intn returns a number from 0 to n-1. Small ones should mean the plain case.
	Intn(what string, n int) int
}

// Generator makes random commands for a site. It knows the state that the
// commands have led to, and names what is there more often than not: sequences
// reach offers, answers, wrap-ups, claims.
type Generator struct {
	Site queue.Site
	src  Source
	sent []queue.Command // for retries
	plan []queue.Command // what comes first
	ids  int
	now  instant.Instant
}

// NewGenerator returns a generator for one sequence.
func NewGenerator(site queue.Site, src Source) *Generator {
	g := &Generator{Site: site, src: src}
	g.opening()
	return g
}

// opening has some agents at work when the first caller comes.
func (g *Generator) opening() {
	for _, agent := range genAgents[:g.src.Intn("agents at work", len(genAgents))] {
		in := &queue.SignIn{Agent: agent, WrapUp: -1}
		for _, q := range g.Site.Queues {
			in.Services = append(in.Services, queue.Service{Queue: q.Name, Level: 1 + g.src.Intn("level", 2)})
		}
		out := &queue.Attach{Agent: agent, Owner: pick(g, "owner", genOwners), Token: pick(g, "token", genTokens), Presence: queue.PresentStream}
		g.plan = append(g.plan, in, out)
	}
}

// Few of each, so that they meet.
var (
	genAgents   = []string{"a1", "a2", "a3", "a4"}
	genCalls    = []string{"c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9"}
	genCallers  = []tiering.Number{"+8613800000001", "+8613800000002", "+8613800000003", tiering.Withheld}
	genSwitches = []string{"s1", "s2"}
	genOwners   = []string{"d1", "d2"}
	genTokens   = []string{"t1", "t2", "t3"}
)

func pick[T any](g *Generator, what string, list []T) T { return list[g.src.Intn(what, len(list))] }

func (g *Generator) erase(*queue.State) queue.Command {
	return &queue.EraseCaller{Request: g.request(), Caller: pick(g, "caller", genCallers[:3]), AtEnd: !g.oneIn("only what is over", 3)}
}

// oneIn is true once in n times.
func (g *Generator) oneIn(what string, n int) bool { return g.src.Intn(what, n) == n-1 }

// weighted is a maker of commands and how often it is asked: by the first
// weight when the state has something for it to work on, else by the second.
type weighted struct {
	name           string
	fitting, other int
	fits           func(*scene) bool
	make           func(*Generator, *queue.State) queue.Command
}

// scene is what the state has to offer.
type scene struct {
	waiting, live, talking, offers, absent, present, working, agents, open int
}

func sceneOf(st *queue.State) *scene {
	s := &scene{agents: len(st.Agents)}
	for _, c := range st.Calls {
		if waits(c) {
			s.waiting++
		}
		if isLive(c) {
			s.live++
		}
	}
	for _, a := range st.Agents {
		switch {
		case a.State == queue.AgentSignedOut:
			continue
		case a.Presence == queue.Absent:
			s.absent++
		default:
			s.present++
		}
		if a.Call != "" {
			s.talking++
		}
		if a.Offer != 0 {
			s.offers++
		}
		if a.State.Working() {
			s.working++
		}
	}
	for _, cb := range st.Callbacks {
		if cb.State.Open() {
			s.open++
		}
	}
	return s
}

var makers = []weighted{
	{"arrive", 24, 8, func(s *scene) bool { return s.waiting < 5 }, (*Generator).arrive},
	{"attach", 22, 4, func(s *scene) bool { return s.absent > 0 }, (*Generator).attach},
	{"sign_in", 18, 3, func(s *scene) bool { return s.working < 2 }, (*Generator).signIn},
	{"accept", 20, 1, func(s *scene) bool { return s.offers > 0 }, (*Generator).accept},
	{"decline", 11, 1, func(s *scene) bool { return s.offers > 0 }, (*Generator).decline},
	{"complete", 11, 1, func(s *scene) bool { return s.talking > 0 }, (*Generator).complete},
	{"hang_up", 7, 1, func(s *scene) bool { return s.live > 0 }, (*Generator).hangUp},
	{"set_state", 8, 1, func(s *scene) bool { return s.agents > 0 }, (*Generator).setState},
	{"tick", 6, 6, func(*scene) bool { return true }, func(*Generator, *queue.State) queue.Command { return &queue.Tick{} }},
	{"acknowledge", 7, 1, func(s *scene) bool { return s.offers > 0 }, (*Generator).acknowledge},
	{"detach", 6, 1, func(s *scene) bool { return s.present > 0 }, (*Generator).detach},
	{"renew_owner", 7, 1, func(s *scene) bool { return s.present > 0 }, (*Generator).renewOwner},
	{"rerank", 5, 1, func(s *scene) bool { return s.waiting > 0 }, (*Generator).rerank},
	{"move_call", 4, 1, func(s *scene) bool { return s.waiting > 0 }, (*Generator).moveCall},
	{"sign_out", 2, 1, func(s *scene) bool { return s.working > 1 }, (*Generator).signOut},
	{"switch", 3, 3, func(*scene) bool { return true }, (*Generator).attachSwitch},
	{"reconcile", 2, 2, func(*scene) bool { return true }, (*Generator).reconcile},
	{"callback", 12, 4, func(s *scene) bool { return s.open > 0 }, (*Generator).callbackCommand},
	{"erase", 3, 1, func(s *scene) bool { return s.open > 0 || s.live > 1 }, (*Generator).erase},
	{"restart", 2, 2, func(*scene) bool { return true }, func(*Generator, *queue.State) queue.Command { return &Restart{} }},
}

func (w *weighted) weight(s *scene) int {
	if w.fits(s) {
		return w.fitting
	}
	return w.other
}

// Next returns the next step, given the state so far and when the next timer
// is due.
func (g *Generator) Next(now instant.Instant, st *queue.State, due instant.Instant) Step {
	step := Step{After: g.wait(now, due)}
	g.now = now.Add(step.After)
	if len(g.plan) > 0 {
		step.Cmd, g.plan = g.plan[0], g.plan[1:]
		return step
	}
	if len(g.sent) > 0 && g.oneIn("retry", 12) {
		step.Cmd = g.sent[len(g.sent)-1-g.src.Intn("which", min(4, len(g.sent)))]
		return step
	}
	step.Cmd = g.command(st)
	g.sent = append(g.sent, step.Cmd)
	return step
}

func (g *Generator) command(st *queue.State) queue.Command {
	s, total := sceneOf(st), 0
	for i := range makers {
		total += makers[i].weight(s)
	}
	n := g.src.Intn("command", total)
	for i := range makers {
		if n < makers[i].weight(s) {
			return makers[i].make(g, st)
		}
		n -= makers[i].weight(s)
	}
	return &queue.Tick{}
}

// wait says how much time passes: none, exactly as much as the next timer
// needs, or a length that some rule turns on.
func (g *Generator) wait(now, due instant.Instant) time.Duration {
	n := g.src.Intn("wait", 40)
	toTimer := time.Duration(0)
	if due > now && due < now.Add(48*time.Hour) {
		toTimer = due.Sub(now)
	}
	switch {
	case n < 20:
		return 0
	case n < 24:
		return toTimer
	case n == 24:
		return max(0, toTimer-time.Millisecond)
	case n == 25:
		return toTimer + time.Millisecond
	case n < 38:
		return []time.Duration{
			time.Millisecond, time.Second, time.Second, 2 * time.Second, 5 * time.Second, 5 * time.Second, 10 * time.Second,
			10 * time.Second, 15 * time.Second, 20 * time.Second, 20*time.Second + time.Millisecond, 40 * time.Second,
		}[n-26]
	}
	return []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 6 * time.Hour}[g.src.Intn("long wait", 4)]
}

// request gives some commands an id, and sometimes one that was used before.
func (g *Generator) request() queue.Request {
	switch n := g.src.Intn("request", 16); n {
	case 13, 14:
		g.ids++
		return queue.Request{ID: fmt.Sprintf("r%d", g.ids), Print: 1}
	case 15:
		return queue.Request{ID: "r1", Print: uint64(1 + g.src.Intn("print", 2))}
	}
	return queue.Request{}
}

func (g *Generator) queueName(what string) string {
	if g.oneIn(what+" odd", 24) {
		return "nowhere"
	}
	return g.Site.Queues[g.src.Intn(what, len(g.Site.Queues))].Name
}

func (g *Generator) tier() tiering.Tier {
	return []tiering.Tier{
		tiering.Ordinary, tiering.VIP, tiering.Mid, tiering.Blacklist, tiering.VIP, tiering.Mid, tiering.Ordinary,
	}[g.src.Intn("tier", 7)]
}

func (g *Generator) arrive(st *queue.State) queue.Command {
	cmd := &queue.Arrive{
		Request: g.request(), Call: g.newCall(st), Switch: pick(g, "switch", genSwitches), Caller: pick(g, "caller", genCallers),
		Queue: g.queueName("queue"), Tier: g.tier(), ArrivedAt: g.past(st),
	}
	if g.oneIn("in the way", 3) {
		cmd.Tier = g.inTheWay(st, cmd.Tier)
	}
	if g.oneIn("routed", 10) {
		cmd.Queue, cmd.Dialed = "", []string{"10086", "10010"}[g.src.Intn("dialed", 2)]
	}
	if g.oneIn("preferred", 4) {
		cmd.PreferredAgent = pick(g, "agent", genAgents)
	}
	if g.oneIn("provisional", 5) {
		cmd.Provisional, cmd.Tier = true, tiering.Ordinary
	}
	cmd.Attestation = tiering.Attestation(g.src.Intn("attestation", 3))
	if g.oneIn("flood", 16) {
		cmd.Refuse = queue.ReasonSwitchFlood
	}
	return cmd
}

// inTheWay returns VIP when somebody else is being offered: preemption.
func (g *Generator) inTheWay(st *queue.State, otherwise tiering.Tier) tiering.Tier {
	for _, a := range st.Agents {
		if a.Offer != 0 {
			return tiering.VIP
		}
	}
	return otherwise
}

// newCall mostly names a call that is not known yet.
func (g *Generator) newCall(st *queue.State) string {
	if g.oneIn("known", 8) {
		return pick(g, "call", genCalls)
	}
	used := map[string]bool{}
	for _, c := range st.Calls {
		used[c.ID] = true
	}
	for i := 1; ; i++ {
		if id := fmt.Sprintf("c%d", i); !used[id] {
			return id
		}
	}
}

// past is a time that the switch gives: none, now, or a while ago.
func (g *Generator) past(st *queue.State) instant.Instant {
	switch n := g.src.Intn("past", 6); n {
	case 3, 4:
		return g.now.Add(-time.Duration(n*n) * time.Second)
	case 5:
		return g.now.Add(-time.Duration(g.src.Intn("ago", 3)) * 30 * time.Second)
	}
	return 0
}

// someCall names a live call if there is one.
func (g *Generator) someCall(st *queue.State, ok func(*queue.Call) bool) (id, sw string) {
	var live []*queue.Call
	for _, c := range st.Calls {
		if ok(c) {
			live = append(live, c)
		}
	}
	if len(live) == 0 || g.oneIn("any call", 10) {
		return pick(g, "call", genCalls), pick(g, "switch", genSwitches)
	}
	c := live[g.src.Intn("live call", len(live))]
	if g.oneIn("wrong switch", 20) {
		return c.ID, pick(g, "switch", genSwitches)
	}
	return c.ID, c.Switch
}

func isLive(c *queue.Call) bool { return !c.State.Terminal() }

func (g *Generator) hangUp(st *queue.State) queue.Command {
	id, sw := g.someCall(st, isLive)
	if g.oneIn("ended", 3) {
		return &queue.End{Request: g.request(), Call: id, Switch: sw, At: g.past(st)}
	}
	return &queue.Abandon{Request: g.request(), Call: id, Switch: sw, At: g.past(st)}
}

func (g *Generator) moveCall(st *queue.State) queue.Command {
	id, _ := g.someCall(st, waits)
	return &queue.MoveCall{Request: g.request(), Call: id, Queue: g.queueName("to"), By: "boss"}
}

func (g *Generator) rerank(st *queue.State) queue.Command {
	cmd := &queue.Rerank{Request: g.request(), Tier: g.tier(), OnlyProvisional: g.oneIn("only provisional", 3), AttestedVIP: g.oneIn("attested vip", 3)}
	if g.oneIn("by caller", 3) {
		cmd.Caller = pick(g, "caller", genCallers)
		return cmd
	}
	cmd.Call, _ = g.someCall(st, func(c *queue.Call) bool { return waits(c) || c.Provisional })
	cmd.UnattestedVIP = g.oneIn("unattested", 8)
	return cmd
}

func (g *Generator) reconcile(st *queue.State) queue.Command {
	cmd := &queue.Reconcile{Request: g.request(), Switch: pick(g, "switch", genSwitches), AsOf: g.past(st)}
	for _, c := range st.Calls {
		if c.Switch == cmd.Switch && isLive(c) && !g.oneIn("forget", 3) {
			live := queue.Live{Arrive: queue.Arrive{Call: c.ID, Queue: c.Queue, Tier: c.Tier}}
			if g.oneIn("talks", 4) {
				live.Agent, live.AnsweredAt = pick(g, "agent", genAgents), g.past(st)
			}
			cmd.Calls = append(cmd.Calls, live)
		}
	}
	if len(st.Calls) > 0 && g.oneIn("any", 4) { // perhaps one that has ended
		cmd.Calls = append(cmd.Calls, queue.Live{Arrive: queue.Arrive{Call: pick(g, "old", st.Calls).ID}})
	}
	for range g.src.Intn("more", 3) {
		live := queue.Live{Arrive: queue.Arrive{
			Call: g.newCall(st), Queue: g.queueName("queue"), Tier: g.tier(), Caller: pick(g, "caller", genCallers), ArrivedAt: g.past(st),
		}}
		if g.oneIn("answered", 3) {
			live.Agent, live.AnsweredAt = pick(g, "agent", genAgents), g.now.Add(-time.Second)
		}
		cmd.Calls = append(cmd.Calls, live)
	}
	return cmd
}

func (g *Generator) attachSwitch(*queue.State) queue.Command {
	sw, token := pick(g, "switch", genSwitches), pick(g, "token", genTokens)
	if g.oneIn("gone", 3) {
		return &queue.DetachSwitch{Request: g.request(), Switch: sw, Token: token}
	}
	return &queue.AttachSwitch{Request: g.request(), Switch: sw, Owner: pick(g, "owner", genOwners), Token: token}
}
