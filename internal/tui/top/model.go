package top

import (
	"context"
	"slices"
	"time"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// kind is what a page shows.
type kind uint8

const (
	queuesPane kind = iota
	agentsPane
	callbacksPane
	queuePage // who waits in one queue
	callPage  // one call, explained
	agentPage
	callbackPage
)

// panes are the pages at the bottom, in the order of their keys.
var panes = []kind{queuesPane, agentsPane, callbacksPane}

// page is one page: a pane, or what one has drilled down to.
type page struct {
	kind kind
	id   string
	tier pb.Tier // of a queue's page: only this one
}

// link is how the stream of snapshots stands.
type link uint8

const (
	connecting link = iota
	live
	broken
)

// tiersShown is which tiers stand under a queue.
type tiersShown uint8

const (
	allTiers tiersShown = iota
	usedTiers
	noTiers
	tierChoices // how many there are
)

// model is the live view. Its time is the daemon's.
type model struct {
	opt   Options
	asks  fetcher
	clock *tui.Clock
	tick  tea.Cmd

	width, height int
	link          link
	why           error
	brokenAt      time.Time
	retryAt       time.Time
	snap          *pb.GetSnapshotResponse // what is shown
	newest        *pb.GetSnapshotResponse // what came last; other than snap while paused
	zone          *time.Location          // the site's
	paused        bool
	pausedAt      time.Time

	pages    []page // the last is shown; the first is a pane
	tables   map[kind]*tui.Table
	scroll   int // of pages that are no tables
	order    Order
	agentsBy int // index into agentOrders
	tiers    tiersShown
	filter   string
	input    textinput.Model
	writing  bool // the filter
	help     bool

	got    fetched        // for the page that is shown
	list   []*pb.Callback // the callbacks that were listed last
	asking bool
	end    error
}

type tickMsg struct{}

// second is how often what counts is drawn again.
const second = time.Second

func newModel(opt Options, asks fetcher, clock *tui.Clock) *model {
	in := tui.Input("/")
	in.CharLimit = 64
	return &model{
		opt: opt, asks: asks, clock: clock, order: opt.Order, input: in, zone: time.Local,
		tick: tea.Tick(second, func(time.Time) tea.Msg { return tickMsg{} }), pages: []page{{kind: queuesPane}},
		tables: map[kind]*tui.Table{
			queuesPane: {Columns: queueColumns}, agentsPane: {Columns: agentColumns},
			callbacksPane: {Columns: callbackColumns}, queuePage: {Columns: callColumns},
		},
	}
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
	case tickMsg:
		cmds = append(cmds, m.tick)
	case tui.StopMsg:
		return m, tea.Quit
	case *pb.GetSnapshotResponse:
		m.take(msg)
	case lost:
		if m.link == live {
			m.brokenAt = m.clock.Now()
		}
		m.link, m.why, m.retryAt = broken, msg.err, m.clock.Now().Add(msg.in)
	case refused:
		m.end = msg.err
		return m, tea.Quit
	case fetched:
		m.asking = false
		if msg.page == m.page() {
			m.got = msg
		}
	default:
		if m.writing {
			var cmd tea.Cmd
			m.input, cmd = m.input.Update(msg)
			cmds = append(cmds, cmd)
		}
	}
	cmds = append(cmds, m.ask())
	m.fill()
	return m, tea.Batch(cmds...)
}

func (m *model) take(s *pb.GetSnapshotResponse) {
	m.clock.Reset(s.GetTakenAt().AsTime())
	m.link, m.why, m.newest = live, nil, s
	if s.GetZone() != m.zone.String() {
		if zone, err := time.LoadLocation(s.GetZone()); err == nil { // else this machine does not know it
			m.zone = zone
		}
	}
	if !m.paused {
		m.snap = s
	}
}

// page is the one that is shown.
func (m *model) page() page { return m.pages[len(m.pages)-1] }

// now is the instant that is drawn: time stands still while paused, and while
// nobody tells how things go on.
func (m *model) now() time.Time {
	switch {
	case m.paused:
		return m.pausedAt
	case m.link == broken && !m.brokenAt.IsZero():
		return m.brokenAt
	}
	return m.clock.Now()
}

// ask reads the list or the explanation of the page that is shown, when it has not
// been or when the site's log has moved on since: one at a time, and not more
// often than snapshots come.
func (m *model) ask() tea.Cmd {
	p := m.page()
	if p.kind != queuePage && p.kind != callPage && p.kind != callbacksPane || m.asking || m.snap == nil {
		return nil
	}
	known := m.got.page == p
	if known && (m.paused || m.link != live || !m.stale()) {
		return nil
	}
	m.asking = true
	return m.asks.fetch(p, m.snap)
}

// explainedFor is how long an explanation of a call that waits stands, though
// nothing happens to it: its sentences tell waits.
const explainedFor = 5 * time.Second

// stale reports whether what was read for the page that is shown may have changed.
func (m *model) stale() bool {
	moved := m.got.sequence != m.snap.GetSequence()
	if m.got.page.kind != callPage {
		return moved
	}
	switch c := m.got.explained.GetCall(); {
	case c.GetEndedAt() != nil:
		return false // nothing happens to it any more
	case c.GetAnsweredAt() != nil:
		return moved
	}
	return moved || m.snap.GetTakenAt().AsTime().Sub(m.got.at) >= explainedFor
}

// open goes down to a page, back up from it.
func (m *model) open(p page) {
	m.pages = append(m.pages, p)
	m.scroll, m.got = 0, fetched{}
}

func (m *model) back() {
	if len(m.pages) > 1 {
		m.pages = m.pages[:len(m.pages)-1]
		m.scroll, m.got = 0, fetched{}
	}
}

// show shows a pane.
func (m *model) show(pane kind) {
	m.pages = []page{{kind: pane}}
	m.scroll, m.got = 0, fetched{}
}

// queues are those to show, in their order.
func (m *model) queues() []*pb.QueueSnapshot {
	var out []*pb.QueueSnapshot
	for _, q := range m.snap.GetQueues() {
		if len(m.opt.Queues) == 0 || slices.Contains(m.opt.Queues, q.GetQueue()) {
			out = append(out, q)
		}
	}
	Sort(out, m.order)
	return out
}

// Run shows the live view until its user leaves it, or ctx ends.
func Run(ctx context.Context, opt Options) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	m := newModel(opt, fetch{opt}, tui.NewClock(time.Now))
	var ended chan struct{}
	err := tui.Run(ctx, m, opt.In, opt.Out, func(send func(tea.Msg)) {
		ended = make(chan struct{})
		go func() { defer close(ended); watch(running, opt, func(msg any) { send(msg) }) }()
	})
	stop()
	if ended != nil {
		<-ended
	}
	if err != nil {
		return err
	}
	return m.end
}
