package softphone

import (
	"context"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"google.golang.org/grpc/status"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// mode is what the keys mean.
type mode uint8

const (
	atDesk       mode = iota
	choosePause       // why the agent is not ready
	chooseReason      // why the agent declines
	writeReason       // the same in the agent's own words
	writeNote         // on the callback at hand
	confirmQuit       // with a call or an offer
	showHelp
	showPast
)

// How often the screen is looked at, so that what counts is right to the second;
// how long signing out may take at the end.
const (
	look       = 200 * time.Millisecond
	quitWithin = 3 * time.Second
	// deaf is how long keys are not taken when an offer came up in the middle of
	// something else: they were meant for that, not for the caller.
	deaf = time.Second
)

// deskLine is what the model needs of a line.
type deskLine interface {
	do(ctx context.Context, c *command)
	open()
}

// lookups are what the model asks the daemon besides.
type lookups interface {
	limits() tea.Cmd
	atHand(a *pb.Agent) tea.Cmd
	before(id, caller string) tea.Cmd
}

// model puts a phone on a terminal.
type model struct {
	ctx    context.Context
	phone  *Phone
	line   deskLine
	lookup lookups
	tick   tea.Cmd
	pilot  *autopilot // nil: the agent answers
	clock  *tui.Clock

	width, height int
	mode          mode
	input         textinput.Model
	note          string // on the callback at hand
	scroll        int    // of the past
	limits        limits
	before        history // of the caller at hand
	asked         string  // the last call or callback that was looked up
	rung          string  // the last offer that rang
	deafUntil     time.Time
	wasOpen       bool // the session has been open once
	quitting      bool
	quitBy        time.Time
	end           error
}

type lookMsg struct{}

func newModel(ctx context.Context, opt Options, l deskLine, ask lookups, clock *tui.Clock) *model {
	m := &model{
		ctx: ctx, phone: &Phone{site: opt.Site, id: opt.Agent}, line: l, lookup: ask, clock: clock, input: tui.Input(""),
		tick: tea.Tick(look, func(time.Time) tea.Msg { return lookMsg{} }),
	}
	m.phone.agent = &pb.Agent{Queues: opt.Queues}
	if opt.Auto != nil {
		m.pilot = &autopilot{Auto: *opt.Auto}
	}
	return m
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.tick }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmds []tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		cmds = append(cmds, m.key(msg))
	case tea.PasteMsg:
		cmds = append(cmds, m.write(msg))
	case lookMsg:
		cmds = append(cmds, m.tick)
	case tui.StopMsg:
		cmds = append(cmds, m.quit(true))
	case limits:
		m.limits = msg
	case found:
		m.take(msg)
	case history:
		if msg.of == m.asked {
			m.before = msg
		}
	case tea.FocusMsg, tea.BlurMsg:
	default:
		m.phone.hear(msg, m.clock)
	}
	cmds = append(cmds, m.after())
	return m, tea.Batch(cmds...)
}

// after does what follows from how things stand now.
func (m *model) after() tea.Cmd {
	var cmds []tea.Cmd
	p, now := m.phone, m.clock.Now()
	p.expire(now)
	if m.quitting {
		return m.leave(now)
	}
	if p.link == Open && !m.wasOpen {
		m.wasOpen = true
		cmds = append(cmds, m.lookup.limits())
	}
	if p.link == Out && !m.wasOpen { // refused: say so where the command was given
		m.end = p.why
		return tea.Quit
	}
	if o := p.offer; o != nil && m.rung != o.GetOfferId() {
		m.rung = o.GetOfferId()
		if m.mode != atDesk { // whatever was being chosen or written, the caller comes first
			m.mode, m.deafUntil = atDesk, now.Add(deaf)
		}
		cmds = append(cmds, tea.Raw("\a"))
	}
	if m.mode == chooseReason && p.offer == nil || m.mode == writeNote && p.agent.GetCallbackId() == "" || m.mode == confirmQuit && !m.engaged() {
		m.mode = atDesk
	}
	cmds = append(cmds, m.look())
	if c, _ := m.pilot.next(p, now); c != nil {
		m.submit(c)
	}
	return tea.Batch(cmds...)
}

// look looks up what belongs to the call or callback at hand.
func (m *model) look() tea.Cmd {
	p := m.phone
	id, caller := m.atHand()
	if id == "" {
		if p.link == Open && p.talking() && p.agent.GetCallId()+p.agent.GetCallbackId() != m.asked {
			m.asked, m.note = p.agent.GetCallId()+p.agent.GetCallbackId(), ""
			m.before = history{}
			return m.lookup.atHand(p.agent)
		}
		return nil
	}
	if id == m.before.of || p.link != Open {
		return nil
	}
	m.asked, m.before, m.note = id, history{of: id}, ""
	if len(caller) < 4 || caller[0] == '*' { // withheld, or masked
		return nil
	}
	return m.lookup.before(id, caller)
}

// atHand is the call or callback that the agent is offered or is at.
func (m *model) atHand() (id, caller string) {
	p := m.phone
	call, callback := p.call, p.callback
	if o := p.offer; o != nil {
		call, callback = o.GetCall(), o.GetCallback()
	}
	if call != nil {
		return call.GetCallId(), call.GetCaller()
	}
	return callback.GetCallbackId(), callback.GetCaller()
}

// take puts on the desk what was looked up, if the agent is still at it.
func (m *model) take(f found) {
	p := m.phone
	if !p.talking() {
		return
	}
	if f.call != nil && p.call == nil && f.call.GetCallId() == p.agent.GetCallId() {
		p.call = f.call
	}
	if f.callback != nil && p.callback == nil && f.callback.GetCallbackId() == p.agent.GetCallbackId() {
		p.callback = f.callback
	}
}

// submit carries out one command at a time.
func (m *model) submit(c *command) {
	if m.phone.busy != nil {
		return
	}
	m.phone.busy = c
	m.line.do(m.ctx, c)
}

// engaged reports whether the agent has somebody to lose by leaving.
func (m *model) engaged() bool { return m.phone.offer != nil || m.phone.talking() }

// quit signs the agent out and ends the program. Whoever leaves in the middle of a
// call, or is made to leave, is signed out all the same.
func (m *model) quit(force bool) tea.Cmd {
	if m.quitting {
		return nil
	}
	if m.phone.link == Out || m.phone.link == Taken { // another softphone has the agent
		return tea.Quit
	}
	m.quitting, m.quitBy = true, m.clock.Now().Add(quitWithin)
	m.phone.busy = &command{kind: signOut, force: force}
	m.line.do(m.ctx, m.phone.busy)
	return nil
}

// leave ends the program once the daemon confirmed, or did not in time.
func (m *model) leave(now time.Time) tea.Cmd {
	switch {
	case m.phone.signedOut || m.phone.link == Out || m.phone.link == Taken:
		return tea.Quit
	case m.phone.busy == nil: // refused: the agent had just got a call
		m.quitting = false
		return nil
	case now.After(m.quitBy):
		m.end = ErrNotSignedOut
		return tea.Quit
	}
	return nil
}

// Run shows the softphone until the agent leaves it. When ctx ends, the agent is
// signed out.
func Run(ctx context.Context, opt Options) error {
	if !tui.OnTerminal(opt.In, opt.Out) {
		if opt.Auto == nil {
			return tui.ErrNoTerminal
		}
		return runHeadless(ctx, opt)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	clock := tui.NewClock(time.Now)
	var send func(tea.Msg)
	l := newLine(opt, func(msg any) { send(msg) })
	m := newModel(running, opt, l, newLookup(opt), clock)
	ended := make(chan struct{})
	err := tui.Run(ctx, m, opt.In, opt.Out, func(s func(tea.Msg)) {
		send = s
		go func() { defer close(ended); l.run(running) }()
	})
	stop()
	<-ended
	if err != nil {
		return err
	}
	return m.end
}

// message is what a status says, without gRPC's own words.
func message(err error) string { return tui.Clean(tui.Unwrapped(status.Convert(err).Message())) }
