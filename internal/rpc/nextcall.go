package rpc

import (
	"context"
	"errors"
	"strconv"
	"time"

	"greenlane/internal/feed"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// defaultWait is how long NextCall waits when it is not told.
const defaultWait = 30 * time.Second

// NextCall implements the rpc.
//
// The agent's events are subscribed to before the agent becomes available, so
// that no offer can fall between the two. From then on the poll ends in one of
// four ways: with the offer; when the wait is over or the daemon stops, with the
// offer of the last moment if there is one; when a newer poll or a session of
// the agent takes over, without; when the client goes away, in which case a live
// offer goes back at once.
func (s *agentService) NextCall(ctx context.Context, req *pb.NextCallRequest) (*pb.NextCallResponse, error) {
	var c check
	c.name("site", req.GetSite(), false)
	c.id("agent_id", req.GetAgentId())
	wait := c.duration("wait", req.GetWait(), 0, maxWait, defaultWait)
	if err := c.err(); err != nil {
		return nil, err
	}
	st, err := s.site(req.GetSite())
	if err != nil {
		return nil, err
	}
	p := &poll{
		s: s.Server, st: st, until: time.Now().Add(wait),
		attachment: attachment{agent: req.GetAgentId(), token: s.token(), replaced: make(chan struct{})},
	}
	st.attached.open(&p.attachment)
	defer st.attached.close(&p.attachment)
	s.counts.Polls.Add(1)
	defer s.counts.Polls.Add(-1)
	agent, offer, err := p.run(ctx, wait)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return &pb.NextCallResponse{Offer: s.viewer(ctx).asAgent(req.GetAgentId()).offer(st.name, offer, st.now()), Agent: toAgent(st.name, agent)}, nil
}

// poll is one NextCall that waits.
type poll struct {
	attachment
	s     *Server
	st    *site
	until time.Time
}

func (p *poll) run(ctx context.Context, wait time.Duration) (*queue.Agent, *queue.Offer, error) {
	sub := p.st.feed.Agent(p.agent, feed.FromNow)
	defer sub.Close()
	agent, offer, err := p.attach(ctx, wait)
	if err != nil || offer != nil {
		return agent, offer, p.orGone(ctx, err)
	}
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	for {
		select {
		case _, open := <-sub.Ready():
			agent, offer, over, err := p.look(ctx, sub, open)
			if over || err != nil || offer != nil {
				return agent, offer, p.orGone(ctx, err)
			}
		case <-timer.C:
			return p.detach(false)
		case <-p.s.stopping:
			return p.detach(false)
		case <-p.replaced:
			agent, _, err := p.st.engine.Agent(ctx, p.agent)
			return agent, nil, err
		case <-ctx.Done():
			return nil, nil, p.orGone(ctx, ctx.Err())
		}
	}
}

func (p *poll) attach(ctx context.Context, wait time.Duration) (*queue.Agent, *queue.Offer, error) {
	var res queue.Result
	err := p.st.attached.attach(ctx, &p.attachment, func() (err error) {
		res, err = p.st.engine.Do(ctx, &queue.Attach{
			Agent: p.agent, Owner: p.s.owner, Token: p.token, Presence: queue.PresentPoll, Wait: max(0, wait),
		})
		return err
	})
	if errors.Is(err, errReplaced) {
		return nil, nil, nil // as p.replaced says, too
	}
	return res.Agent, res.Offer, err
}

// look reads what happened to the agent. over means that waiting is pointless.
func (p *poll) look(ctx context.Context, sub *feed.Sub, open bool) (agent *queue.Agent, offer *queue.Offer, over bool, err error) {
	if !open { // the feed was stopped
		agent, offer, err = p.detach(false)
		return agent, offer, true, err
	}
	events, err := sub.Take(ctx, nil, 1000)
	if err != nil {
		return nil, nil, true, err
	}
	concerned := false
	for _, ev := range events {
		switch ev.Type {
		case queue.EventCallOffered, queue.EventCallbackOffered, queue.EventAgentSignedOut, queue.EventAgentStateChanged:
			concerned = true
		}
	}
	if !concerned {
		return nil, nil, false, nil
	}
	agent, offer, err = p.st.engine.Agent(ctx, p.agent)
	switch {
	case err != nil:
		return nil, nil, true, err
	case agent.Token != p.token && agent.Token != "", agent.State == queue.AgentSignedOut:
		return agent, nil, true, nil // another poll or session has the agent
	case offer == nil && agent.Presence == queue.Absent:
		// An offer came and was taken back before it could be seen. It has used the
		// poll up, so the agent is made available again for what is left of the wait.
		agent, offer, err = p.attach(ctx, time.Until(p.until))
		return agent, offer, err != nil, err
	}
	return agent, offer, false, nil
}

// detach ends the agent's availability. Unless the client is gone, an offer of
// the last moment is returned to be delivered.
func (p *poll) detach(undelivered bool) (*queue.Agent, *queue.Offer, error) {
	ctx, cancel := p.s.detached()
	defer cancel()
	res, err := p.st.engine.Do(ctx, &queue.Detach{Agent: p.agent, Token: p.token, Undelivered: undelivered})
	return res.Agent, res.Offer, err
}

// orGone gives a live offer back when the client has gone away meanwhile: what
// it is sent would reach nobody.
func (p *poll) orGone(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if _, _, derr := p.detach(true); derr != nil {
		p.s.log.Warn("a poll's client went away and its agent could not be detached; the lease will end it",
			"site", p.st.name, "agent", p.agent, "error", derr)
	}
	return ctx.Err()
}

// quote shows what a client sent, short enough for a message.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strconv.Quote(s)
}
