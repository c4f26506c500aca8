package queuetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// configureSite reads: site preemption=off max_waiting=3 ...
func (s *Script) configureSite(w *words) error {
	if s.d != nil {
		return fmt.Errorf("the site is at work already")
	}
	site, policy := &s.site, &s.site.Callback
	site.Preemption = w.opt("preemption", "on") == "on"
	site.RejectBlacklist = w.opt("blacklist", "serve") == "reject"
	site.MaxWaiting = w.number("max_waiting", site.MaxWaiting)
	site.AckTimeout = w.span("ack_timeout", site.AckTimeout)
	site.OwnerLease = w.span("owner_lease", site.OwnerLease)
	site.PollGrace = w.span("poll_grace", site.PollGrace)
	site.SignInGrace = w.span("sign_in_grace", site.SignInGrace)
	site.MaxTalk = w.span("max_talk", site.MaxTalk)
	site.DefaultQueue = w.opt("default_queue", site.DefaultQueue)
	policy.Delay = w.span("callback.delay", policy.Delay)
	policy.RetryDelay = w.span("callback.retry_delay", policy.RetryDelay)
	policy.ClaimLease = w.span("callback.claim_lease", policy.ClaimLease)
	policy.MaxAttempts = w.number("callback.max_attempts", policy.MaxAttempts)
	if route := w.opt("route", ""); route != "" {
		dialed, name, _ := strings.Cut(route, ":")
		site.Routes = map[string]string{dialed: name}
	}
	return w.leftOver()
}

// configureQueue reads: queue billing threshold=20s capacity=10 share.ordinary=0.5 ...
func (s *Script) configureQueue(w *words) error {
	if s.d != nil {
		return fmt.Errorf("the site is at work already")
	}
	q := queue.DefaultQueue(w.next())
	q.Threshold = w.span("threshold", q.Threshold)
	q.OfferTimeout = w.span("offer_timeout", q.OfferTimeout)
	q.PreferredWait = w.span("preferred_wait", q.PreferredWait)
	q.WrapUp = w.span("wrap_up", q.WrapUp)
	q.MaxWait = w.span("max_wait", q.MaxWait)
	q.Capacity = w.number("capacity", q.Capacity)
	q.Overflow.After = w.span("overflow_after", 0)
	q.Overflow.To = w.opt("overflow_to", "")
	q.Overflow.Destination = w.opt("overflow_destination", "")
	for _, t := range tiering.Tiers {
		if text := w.opt("share."+t.String(), ""); text != "" {
			share, err := strconv.ParseFloat(text, 64)
			w.fail(err)
			q.Shares[t] = share
		}
	}
	if text := w.opt("hours", ""); text != "" {
		q.Hours = &queue.Hours{Zone: s.site.Zone}
		from, to, _ := strings.Cut(text, "-")
		span := queue.Span{From: clockOf(w, from), To: clockOf(w, to)}
		for day := range q.Hours.Week {
			q.Hours.Week[day] = []queue.Span{span}
		}
	}
	s.site.Queues = append(s.site.Queues, q)
	return w.leftOver()
}

// clockOf reads 09:30 or 09:30:15.
func clockOf(w *words, text string) time.Duration {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 {
		w.fail(fmt.Errorf("%q is no time of day", text))
		return 0
	}
	total := time.Duration(0)
	for i, unit := range []time.Duration{time.Hour, time.Minute, time.Second}[:len(parts)] {
		n, err := strconv.Atoi(parts[i])
		w.fail(err)
		total += time.Duration(n) * unit
	}
	return total
}
