package softphone

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// record is one line of a softphone without a terminal: what happened, and what it
// happened to, as the API's JSON.
type record struct {
	At       string          `json:"at"` // by the daemon's clock, once it is known
	Event    string          `json:"event"`
	OfferID  string          `json:"offer_id,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	Error    string          `json:"error,omitempty"`
	Offer    json.RawMessage `json:"offer,omitempty"`
	Agent    json.RawMessage `json:"agent,omitempty"`
	Call     json.RawMessage `json:"call,omitempty"`
	Callback json.RawMessage `json:"callback,omitempty"`
}

var asJSON = protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}

// raw is a message as JSON. Protobuf's own printer varies its blanks on purpose;
// scripts want them to stay.
func raw(m proto.Message) json.RawMessage {
	if m == nil || !m.ProtoReflect().IsValid() {
		return nil
	}
	text, err := asJSON.Marshal(m)
	if err != nil {
		return nil // a text that is no UTF-8, which the API does not let in
	}
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return nil
	}
	return b.Bytes()
}

// commandNames are what a command's answer is called in the record.
var commandNames = map[kind]string{
	accept: "accepted", decline: "declined", complete: "completed", setReady: "ready", pause: "not_ready", report: "reported", signOut: "signed_out",
}

// recordOf is the line for what the line tells; false for what is worth none.
func recordOf(msg any) (record, bool) {
	switch m := msg.(type) {
	case lost:
		return record{Event: "lost", Error: message(m.err)}, true
	case ended:
		if m.taken {
			return record{Event: "taken_over", Error: message(m.err)}, true
		}
		return record{Event: "ended", Error: message(m.err)}, true
	case done:
		r := record{Event: commandNames[m.cmd.kind], OfferID: m.cmd.offer, Reason: m.cmd.reason}
		if m.err != nil {
			r.Event, r.Error = "failed", message(m.err)
			return r, true
		}
		r.Call, r.Callback, r.Agent = raw(m.GetCall()), raw(m.GetCallback()), raw(m.GetAgent())
		return r, true
	case *pb.SessionResponse:
		switch m := m.GetMessage().(type) {
		case *pb.SessionResponse_Welcome:
			return record{Event: "connected", Agent: raw(m.Welcome.GetAgent())}, true
		case *pb.SessionResponse_Offer:
			return record{Event: "offer", OfferID: m.Offer.GetOfferId(), Offer: raw(m.Offer)}, true
		case *pb.SessionResponse_Rescind:
			return record{Event: "rescinded", OfferID: m.Rescind.GetOfferId(), Reason: m.Rescind.GetReason()}, true
		case *pb.SessionResponse_Agent:
			return record{Event: "agent", Agent: raw(m.Agent)}, true
		case *pb.SessionResponse_CallEnded:
			return record{Event: "call_ended", Reason: m.CallEnded.GetCall().GetReason(), Call: raw(m.CallEnded.GetCall())}, true
		}
	}
	return record{}, false
}

// headless is a softphone that answers by itself and has no screen.
type headless struct {
	phone *Phone
	line  *line
	pilot *autopilot
	clock *tui.Clock
	out   *json.Encoder
	// cut is why writing failed: whoever read the lines is gone.
	cut error
}

func runHeadless(ctx context.Context, opt Options) error {
	events := make(chan any)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	h := &headless{
		phone: &Phone{site: opt.Site, id: opt.Agent}, pilot: &autopilot{Auto: *opt.Auto},
		clock: tui.NewClock(time.Now), out: lines(opt.Out),
	}
	h.line = newLine(opt, func(m any) {
		select {
		case events <- m:
		case <-running.Done():
		}
	})
	ended := make(chan struct{})
	go func() { defer close(ended); h.line.run(running) }()
	defer func() { stop(); <-ended }()
	return h.loop(ctx, running, events)
}

func lines(w io.Writer) *json.Encoder {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e
}

func (h *headless) loop(ctx, running context.Context, events <-chan any) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	asked := ctx.Done()
	var patience <-chan time.Time
	for {
		select {
		case m := <-events:
			h.hear(m)
			switch p := h.phone; {
			case h.cut != nil:
				return h.cut
			case p.signedOut:
				return nil
			case p.link == Taken && asked == nil: // another softphone has the agent
				return nil
			case (p.link == Taken || p.link == Out) && asked != nil:
				return p.why
			}
		case <-wake.C:
		case <-asked:
			asked, patience = nil, time.After(quitWithin)
			h.submit(running, &command{kind: signOut, force: true})
		case <-patience:
			return ErrNotSignedOut
		}
		now := h.clock.Now()
		h.phone.expire(now)
		if asked == nil {
			continue
		}
		cmd, at := h.pilot.next(h.phone, now)
		if cmd != nil {
			h.submit(running, cmd)
		}
		if o := h.phone.offer; o != nil {
			at = o.GetExpiresAt().AsTime()
		}
		if !at.IsZero() {
			wake.Reset(max(at.Sub(now), 0))
		}
	}
}

func (h *headless) hear(m any) {
	h.phone.hear(m, h.clock)
	if r, ok := recordOf(m); ok {
		r.At = h.clock.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		if err := h.out.Encode(r); err != nil && h.cut == nil {
			h.cut = err
		}
	}
}

func (h *headless) submit(ctx context.Context, c *command) {
	h.phone.busy = c
	h.line.do(ctx, c)
}
