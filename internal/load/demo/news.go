package demo

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"greenlane/internal/load"
	"greenlane/internal/load/screen"
	pb "greenlane/proto/greenlane/v1"
)

// reporter turns the event log into news, and counts what the snapshots don't.
// It is safe for concurrent use.
type reporter struct {
	now    func() time.Duration
	caller func(callID string) string

	mu        sync.Mutex
	news      []screen.News
	last      map[screen.Kind]time.Time
	preempted int
	displaced map[string]pb.Tier // agent -> the tier of the offer taken back just now
	callbacks map[string]string  // callback -> caller
}

func newReporter() *reporter {
	return &reporter{
		last: make(map[screen.Kind]time.Time), displaced: make(map[string]pb.Tier), callbacks: make(map[string]string),
		now: func() time.Duration { return 0 }, caller: func(string) string { return "" },
	}
}

// newsEvery is the least time between two news of a kind: more could not be read.
const newsEvery = 800 * time.Millisecond

// keptNews is how much news is kept.
const keptNews = 100

// Observe takes one event.
func (r *reporter) Observe(e *pb.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind, text := r.tell(e)
	if text == "" || time.Since(r.last[kind]) < newsEvery {
		return
	}
	r.last[kind] = time.Now()
	r.news = append(r.news, screen.News{At: r.now(), Kind: kind, Text: text})
	if len(r.news) > keptNews {
		r.news = r.news[len(r.news)-keptNews:]
	}
}

// tell puts an event into words; none when it is not news.
func (r *reporter) tell(e *pb.Event) (screen.Kind, string) {
	agent := short(e.GetAgentId())
	switch e.GetType() {
	case pb.EventType_EVENT_TYPE_OFFER_RETURNED:
		switch e.GetReason() {
		case "preempted":
			r.displaced[e.GetAgentId()] = e.GetTier()
		case "expired":
			return screen.Trouble, fmt.Sprintf("%s does not answer: not ready now, and the caller keeps the place", agent)
		}
	case pb.EventType_EVENT_TYPE_CALL_OFFERED:
		if e.GetWhy() == "preemption" {
			r.preempted++
			return screen.Green, fmt.Sprintf("VIP %s goes first: %s's offer (%s) is taken back",
				masked(r.caller(e.GetCallId())), agent, load.TierName(r.displaced[e.GetAgentId()]))
		}
	case pb.EventType_EVENT_TYPE_CALLBACK_CREATED:
		r.callbacks[e.GetCallbackId()] = r.caller(e.GetCallId())
		return screen.Promise, fmt.Sprintf("%s caller %s gave up, and will be called back", load.TierName(e.GetTier()), masked(r.caller(e.GetCallId())))
	case pb.EventType_EVENT_TYPE_CALLBACK_REPORTED:
		return screen.Promise, fmt.Sprintf("%s calls %s back: %s", agent, masked(r.callbacks[e.GetCallbackId()]), strings.ReplaceAll(e.GetReason(), "_", " "))
	case pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED:
		return screen.Promise, fmt.Sprintf("%s rang again and was answered: no callback is needed", masked(r.callbacks[e.GetCallbackId()]))
	}
	return 0, ""
}

// short turns an agent's id into what people call the agent.
func short(id string) string {
	if _, number, ok := strings.Cut(id, "-agent-"); ok {
		return "agent " + strings.TrimLeft(number, "0")
	}
	return id
}

// masked shows the last four digits of a number.
func masked(number string) string {
	if len(number) < 4 {
		return "(no number)"
	}
	return "..." + number[len(number)-4:]
}

// fill puts the news into a model.
func (r *reporter) fill(m *screen.Model) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m.Preempted = r.preempted
	m.News = append(m.News[:0], r.news...)
}
