package queuetest

import (
	"time"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

func (g *Generator) signIn(st *queue.State) queue.Command {
	cmd := &queue.SignIn{Request: g.request(), Agent: pick(g, "agent", genAgents), WrapUp: -1}
	for _, q := range g.Site.Queues {
		if !g.oneIn("not this queue", 3) {
			cmd.Services = append(cmd.Services, queue.Service{Queue: q.Name, Level: 1 + g.src.Intn("level", 2)})
		}
	}
	switch g.src.Intn("wrap up", 4) {
	case 2:
		cmd.WrapUp = 0
	case 3:
		cmd.WrapUp = 10 * time.Second
	}
	for _, a := range st.Agents {
		cmd.RingBySwitch = cmd.RingBySwitch || a.ID == cmd.Agent && a.RingBySwitch
	}
	if g.oneIn("ring", 6) {
		cmd.RingBySwitch = !cmd.RingBySwitch
	}
	if cmd.RingBySwitch {
		cmd.Endpoint = "SIP/" + cmd.Agent
	}
	return cmd
}

// renewOwner mostly renews a lease that somebody's stream hangs on.
func (g *Generator) renewOwner(st *queue.State) queue.Command {
	for _, a := range st.Agents {
		if a.Presence == queue.PresentStream && !g.oneIn("another owner", 3) {
			return &queue.RenewOwner{Request: g.request(), Owner: a.Owner}
		}
	}
	return &queue.RenewOwner{Request: g.request(), Owner: pick(g, "owner", genOwners)}
}

// someAgent names an agent, if possible one of whom ok is true.
func (g *Generator) someAgent(st *queue.State, ok func(*queue.Agent) bool) *queue.Agent {
	var fit []*queue.Agent
	for _, a := range st.Agents {
		if ok(a) {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 || g.oneIn("any agent", 12) {
		return &queue.Agent{ID: pick(g, "agent", genAgents), Token: pick(g, "token", genTokens)}
	}
	return fit[g.src.Intn("fit agent", len(fit))]
}

func (g *Generator) attach(st *queue.State) queue.Command {
	a := g.someAgent(st, func(a *queue.Agent) bool { return a.Presence == queue.Absent && a.State != queue.AgentSignedOut })
	cmd := &queue.Attach{
		Request: g.request(), Agent: a.ID, Owner: pick(g, "owner", genOwners), Token: pick(g, "token", genTokens),
		Presence: queue.PresentStream,
	}
	if g.oneIn("poll", 2) {
		cmd.Presence, cmd.Wait = queue.PresentPoll, []time.Duration{30 * time.Second, 0, 5 * time.Second}[g.src.Intn("poll wait", 3)]
	}
	return cmd
}

func (g *Generator) detach(st *queue.State) queue.Command {
	a := g.someAgent(st, func(a *queue.Agent) bool { return a.Token != "" })
	cmd := &queue.Detach{Request: g.request(), Agent: a.ID, Token: a.Token, Undelivered: g.oneIn("undelivered", 2)}
	if g.oneIn("wrong token", 8) {
		cmd.Token = pick(g, "token", genTokens)
	}
	return cmd
}

func (g *Generator) setState(st *queue.State) queue.Command {
	a := g.someAgent(st, func(a *queue.Agent) bool { return a.State != queue.AgentSignedOut })
	cmd := &queue.SetState{Request: g.request(), Agent: a.ID, State: queue.AgentReady}
	if a.State != queue.AgentNotReady && !g.oneIn("ready anyway", 4) {
		cmd.State, cmd.Reason = queue.AgentNotReady, []string{"lunch", "training"}[g.src.Intn("reason", 2)]
	}
	return cmd
}

func (g *Generator) signOut(st *queue.State) queue.Command {
	a := g.someAgent(st, func(a *queue.Agent) bool { return a.State != queue.AgentSignedOut })
	return &queue.SignOut{Request: g.request(), Agent: a.ID, Force: g.oneIn("force", 3)}
}

func (g *Generator) complete(st *queue.State) queue.Command {
	a := g.someAgent(st, func(a *queue.Agent) bool { return a.Call != "" })
	cmd := &queue.Complete{Request: g.request(), Agent: a.ID, Call: a.Call}
	if cmd.Call == "" || g.oneIn("other call", 12) {
		cmd.Call = pick(g, "call", genCalls)
	}
	return cmd
}

// someOffer names a live offer and its agent, and sometimes another one.
func (g *Generator) someOffer(st *queue.State) (agent string, epoch uint64) {
	var live []*queue.OfferRecord
	for _, o := range st.Offers {
		if o.Ended == "" {
			live = append(live, o)
		}
	}
	switch {
	case len(live) > 0 && !g.oneIn("past offer", 10):
		o := live[g.src.Intn("live offer", len(live))]
		if g.oneIn("other agent", 24) {
			return pick(g, "agent", genAgents), o.Epoch
		}
		return o.Agent, o.Epoch
	case len(st.Offers) > 0:
		o := st.Offers[g.src.Intn("offer", len(st.Offers))]
		return o.Agent, o.Epoch
	}
	return pick(g, "agent", genAgents), 3
}

func (g *Generator) accept(st *queue.State) queue.Command {
	agent, epoch := g.someOffer(st)
	if g.oneIn("by the switch", 12) {
		agent = ""
	}
	return &queue.Accept{Request: g.request(), Agent: agent, Offer: epoch}
}

func (g *Generator) decline(st *queue.State) queue.Command {
	agent, epoch := g.someOffer(st)
	cmd := &queue.Decline{Request: g.request(), Agent: agent, Offer: epoch}
	if g.oneIn("phone failed", 5) {
		cmd.Agent, cmd.NotReady, cmd.Reason = "", true, queue.ReasonBusy
	}
	return cmd
}

func (g *Generator) acknowledge(st *queue.State) queue.Command {
	agent, epoch := g.someOffer(st)
	return &queue.Acknowledge{Request: g.request(), Agent: agent, Offer: epoch}
}

// GenStart is the instant at which generated sequences begin: 11:59 in the
// zone of the callback window.
const GenStart = instant.Instant(1_795_233_540_000) // 2026-11-21T03:59:00Z

// GenSite draws the configuration of a site with two or three queues.
func GenSite(src Source) queue.Site {
	oneIn := func(what string, n int) bool { return src.Intn(what, n) == n-1 }
	site := queue.DefaultSite("main")
	site.Queues = nil
	names := []string{"billing", "orders", "returns"}[:2+src.Intn("queues", 2)]
	for i, name := range names {
		site.Queues = append(site.Queues, genQueue(src, name, names[(i+1)%len(names)]))
	}
	site.DefaultQueue = names[0]
	site.Routes = map[string]string{"10086": names[1]}
	site.Preemption = !oneIn("no preemption", 4)
	site.RejectBlacklist = oneIn("reject blacklist", 6)
	site.MaxWaiting = 0
	if oneIn("small process", 6) {
		site.MaxWaiting = 4
	}
	site.AckTimeout = []time.Duration{5 * time.Second, 0}[src.Intn("ack timeout", 2)]
	site.SignInGrace = []time.Duration{time.Minute, 10 * time.Second}[src.Intn("grace", 2)]
	site.OwnerLease = []time.Duration{time.Minute, 10 * time.Second}[src.Intn("owner lease", 2)]
	site.MaxTalk = []time.Duration{8 * time.Hour, 0, 10 * time.Minute}[src.Intn("max talk", 3)]
	if oneIn("everyone is called back", 3) {
		site.Callback.Tiers = []tiering.Tier{tiering.VIP, tiering.Mid, tiering.Ordinary}
	}
	site.Callback.Delay = []time.Duration{0, 15 * time.Minute}[src.Intn("delay", 2)]
	if oneIn("short claims", 2) {
		site.Callback.ClaimLease = 5 * time.Minute
	}
	if oneIn("day and night", 3) {
		site.Callback.WindowFrom, site.Callback.WindowTo = 0, 24*time.Hour
	}
	// The model forgets nothing.
	age := 1000 * 24 * time.Hour
	site.Keep = queue.Keep{
		CallsAge: age, Calls: 1e6, CallbacksAge: age, Callbacks: 1e6, RequestsAge: age, Requests: 1e6,
		EventsAge: age, Events: 1e6, CohortsAge: age, AgentsAge: age,
	}
	return site
}

func genQueue(src Source, name, next string) queue.Queue {
	oneIn := func(what string, n int) bool { return src.Intn(what, n) == n-1 }
	q := queue.DefaultQueue(name)
	if oneIn("capacity", 4) {
		q.Capacity = 3
		if oneIn("shares", 2) {
			q.Shares = map[tiering.Tier]float64{tiering.Blacklist: 0.34, tiering.Ordinary: 0.67}
		}
	}
	if oneIn("max wait", 3) {
		q.MaxWait = time.Minute
	}
	switch src.Intn("overflow", 6) {
	case 4:
		q.Overflow = queue.Overflow{After: 30 * time.Second, Destination: "voicemail"}
	case 5:
		q.Overflow = queue.Overflow{After: 30 * time.Second, To: next}
	}
	if oneIn("threshold", 4) {
		q.Threshold = 40 * time.Second
	}
	q.PreferredWait = []time.Duration{20 * time.Second, 45 * time.Second, 0}[src.Intn("preferred wait", 3)]
	q.WrapUp = []time.Duration{0, 15 * time.Second}[src.Intn("queue wrap up", 2)]
	if oneIn("hours", 6) {
		q.Hours = &queue.Hours{Zone: time.UTC}
		for day := range q.Hours.Week {
			q.Hours.Week[day] = []queue.Span{{From: 0, To: 4*time.Hour + 30*time.Minute}}
		}
	}
	return q
}
