package queue

import (
	"slices"

	"github.com/tidwall/btree"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Machine is one site's state machine. It is not safe for concurrent use; an
// engine drives it from one goroutine.
type Machine struct {
	site Site
	now  instant.Instant // of the command at hand
	meta Meta

	queues    map[string]*queueState
	queueList []*queueState // as configured, then ghosts by name

	pastQueues map[string]*queueState // not configured, and nobody waits there: see ghosts.go

	rooms    rooms            // where calls live
	calls    index            // every call kept, by id
	byCaller index            // the last of each number
	bySeq    map[uint64]*call // nil until the first Sync
	ended    shelf[*call]     // kept for a while, oldest end first
	trimmed  uint             // calls forgotten
	waiting  int              // calls waiting or offered
	held     int              // calls that wait for their preferred agent
	warmed   uint64           // see warmUp

	agents      map[string]*agent
	agentList   *btree.Map[string, *agent]
	agentStates agentCounts

	offers offerLog
	live   [slots]offerList // victims of a preemption

	callbacks     map[string]*cbRecord
	openCallbacks map[callbackKey]*cbRecord
	endedBacks    shelf[*cbRecord]
	endedStates   [len(callback.States) + 1]int // of endedBacks, by state

	owners   map[string]*owner
	switches map[string]*switchState

	requests    map[requestKey]*RequestRecord
	requestList shelf[*RequestRecord] // oldest first

	origins map[origin]*origin // one copy of each
	origin  *origin            // the one asked for last
	shown   room               // records in the answer to the command at hand

	spareOffers []*offer // room of forgotten ones, to be used again
	goneOffers  []*offer // forgotten by the command at hand, which may still hold them

	overdue overdue // what is over, and to be erased before the command at hand is

	timers   timers
	talkLane *lane
	ackLane  *lane
	touched  touched
	changes  *Changes // since TakeChanges
	spare    *Changes
	warnings []string

	// apart is false when surely no answered call names an agent who is not on it.
	apart bool
}

type requestKey struct{ kind, id string }

type callbackKey struct {
	caller tiering.Number
	queue  string
}

// cbRecord is a callback at work.
type cbRecord struct {
	callback.Callback
	entry
	timer    timer
	declined []string // agents who declined it since it was due
}

// offer is an offer, live or past.
type offer struct {
	OfferRecord
	e          *entry
	a          *agent
	rank       rank
	prev, next *offer // in the list of live offers of its slot
	slot       slot
	dirty      bool
}

type owner struct {
	OwnerRecord
	timer timer
	dirty bool
}

type switchState struct {
	SwitchRecord
	dirty bool
}

// sharedOrigins bounds Machine.origins.
const sharedOrigins = 10_000

// NewMachine returns an empty site.
func NewMachine(site Site) (*Machine, error) { return RestoreMachine(site, &State{}) }

func newMachine(site Site) *Machine {
	m := &Machine{
		site:          site,
		queues:        map[string]*queueState{},
		pastQueues:    map[string]*queueState{},
		agents:        map[string]*agent{},
		agentList:     btree.NewMap[string, *agent](16),
		offers:        offerLog{older: map[uint64]*offer{}, callbacks: map[string][]*offer{}},
		ended:         shelf[*call]{before: endedBefore},
		endedBacks:    shelf[*cbRecord]{before: callbackEndedBefore},
		requestList:   shelf[*RequestRecord]{before: func(a, b *RequestRecord) bool { return a.Seq < b.Seq }},
		callbacks:     map[string]*cbRecord{},
		openCallbacks: map[callbackKey]*cbRecord{},
		owners:        map[string]*owner{},
		switches:      map[string]*switchState{},
		requests:      map[requestKey]*RequestRecord{},
		origins:       map[origin]*origin{},
		timers:        newTimers(),
		changes:       &Changes{},
		spare:         &Changes{},
	}
	m.calls, m.byCaller = newIndex(&m.rooms, false), newIndex(&m.rooms, true)
	m.talkLane = m.timers.laneFor(laneTalk, site.MaxTalk)
	m.ackLane = m.timers.laneFor(laneAck, site.AckTimeout)
	for _, q := range site.Queues {
		m.addQueue(newQueue(q))
	}
	return m
}

func newQueue(cfg Queue) *queueState {
	return &queueState{cfg: cfg, declined: map[*entry]struct{}{}}
}

// addQueue opens a queue for calls.
func (m *Machine) addQueue(q *queueState) {
	cfg := &q.cfg
	if q.rec.Name == "" {
		q.rec = newQueueRecord(cfg)
	}
	q.lanes = laneSet{
		late:     m.timers.laneFor(laneLate, cfg.Threshold),
		offer:    m.timers.laneFor(laneOffer, cfg.OfferTimeout),
		overflow: m.timers.laneFor(laneOverflow, cfg.Overflow.After),
		maxWait:  m.timers.laneFor(laneMaxWait, cfg.MaxWait),
		hold:     m.timers.laneFor(laneHold, cfg.PreferredWait),
	}
	m.queues[cfg.Name] = q
	m.queueList = append(m.queueList, q)
}

// newQueueRecord is what a queue knows before it has learned anything.
func newQueueRecord(cfg *Queue) QueueRecord {
	return QueueRecord{Name: cfg.Name, HandleTime: cfg.HandleTime.Milliseconds()}
}

// Warnings lists what RestoreMachine had to mend.
func (m *Machine) Warnings() []string { return slices.Clone(m.warnings) }

// NextTimer returns the next instant at which time alone changes something.
func (m *Machine) NextTimer() (instant.Instant, bool) {
	if t := m.timers.first(); t != nil {
		return t.at, true
	}
	return 0, false
}

// Apply decides one command at the instant now (an earlier now counts as the
// last one given). Timers due at now fire first. An error means that the
// command changed nothing; the timers' changes stay. The result points into
// the machine's records: Clone it before the next command.
func (m *Machine) Apply(now instant.Instant, cmd Command) (Result, error) {
	m.begin(now)
	for m.fireNext() {
	}
	m.eraseOver(nil)
	m.trim()
	m.layGhosts()
	req := cmd.request()
	if req.ID == "" {
		res, err := m.decide(cmd)
		m.eraseOver(&res)
		m.layGhosts()
		return res, err
	}
	key := requestKey{cmd.Kind(), req.ID}
	if first, ok := m.requests[key]; ok {
		if first.Print != req.Print {
			return Result{}, refuse(ErrRequestReused, "request_id", "%q was used for another %s; a retry must repeat the request unchanged", req.ID, key.kind)
		}
		res := first.Result
		res.Duplicate = true
		return res, nil
	}
	res, err := m.decide(cmd)
	m.eraseOver(&res)
	m.layGhosts()
	if err == nil {
		return m.remember(key, req.Print, &res), nil
	}
	return res, err
}

// remember keeps a request's first answer, and returns it as it is kept.
func (m *Machine) remember(key requestKey, fingerprint uint64, res *Result) Result {
	m.meta.RequestSeq++
	r := &RequestRecord{Seq: m.meta.RequestSeq, Kind: key.kind, ID: key.id, Print: fingerprint, At: m.now, Result: res.Clone()}
	r.Result.lasting = true
	m.requests[key] = r
	m.requestList.add(r)
	m.changes.Requests = append(m.changes.Requests, r)
	return r.Result
}

// decide carries one command out.
func (m *Machine) decide(cmd Command) (Result, error) {
	switch c := cmd.(type) {
	case *Arrive:
		return m.arrive(c)
	case *Abandon:
		return m.hangUp(c.Call, c.Switch, c.At, ReasonCallerHungUp)
	case *End:
		return m.hangUp(c.Call, c.Switch, c.At, ReasonSwitchEnded)
	case *Accept:
		return m.accept(c)
	case *Complete:
		return m.complete(c)
	case *Attach:
		return m.attach(c)
	case *Detach:
		return m.detach(c)
	case *Acknowledge:
		return m.acknowledge(c)
	case *Decline:
		return m.decline(c)
	case *SignIn:
		return m.signIn(c)
	case *SignOut:
		return m.signOut(c)
	case *SetState:
		return m.setState(c)
	case *RenewOwner:
		return m.renewOwner(c)
	case *Tick:
		return Result{}, nil
	default:
		return m.decideRare(cmd)
	}
}

func (m *Machine) decideRare(cmd Command) (Result, error) {
	switch c := cmd.(type) {
	case *Reconcile:
		return m.reconcile(c)
	case *AttachSwitch:
		return m.attachSwitch(c)
	case *DetachSwitch:
		return m.detachSwitch(c)
	case *MoveCall:
		return m.moveCall(c)
	case *Rerank:
		return m.rerank(c)
	case *CreateCallback:
		return m.createCallback(c)
	case *ClaimCallback:
		return m.claimCallback(c)
	case *ReportCallback:
		return m.reportCallback(c)
	case *RescheduleCallback:
		return m.rescheduleCallback(c)
	case *CancelCallback:
		return m.cancelCallback(c)
	case *EraseCaller:
		return m.eraseCaller(c)
	default:
		return Result{}, refuse(ErrInvalid, "command", "%T is none the machine knows", cmd)
	}
}

// FireSome is the beginning of Apply, for an engine that must not write too much in
// one go: it fires up to most of the timers due at the instant now, the earliest
// first, and reports whether more are due. These fire with whatever comes next, at
// this machine or at one that follows it.
func (m *Machine) FireSome(now instant.Instant, most int) (more bool) {
	m.begin(now)
	for n := 0; n < most && m.fireNext(); n++ {
	}
	m.eraseOver(nil)
	m.layGhosts()
	return m.timers.due(m.now) != nil
}

// begin sets the machine to the instant of the command at hand.
func (m *Machine) begin(now instant.Instant) {
	m.now = max(now, m.meta.Now)
	m.meta.Now = m.now
	m.shown.reset()
}

// fireNext fires the earliest timer due by now and reports whether there was one.
func (m *Machine) fireNext() bool {
	t := m.timers.due(m.now)
	if t == nil {
		return false
	}
	m.timers.disarm(t)
	t.owner.fire(m, m.now)
	return true
}

// emit writes one event. The log has a copy of e.
func (m *Machine) emit(e *Event) {
	m.meta.LastEvent++
	e.Seq, e.At = m.meta.LastEvent, m.now
	m.changes.Events = append(m.changes.Events, *e)
}

// eventsPerCall bounds the list of its events that a call carries.
const eventsPerCall = 100

// emitCall writes one event of a call, with what every such event says.
func (m *Machine) emitCall(c *call, e *Event) {
	e.Call, e.Queue, e.Tier, e.Switch, e.JoinedAt, e.Late = c.ID, c.queueName(), c.Tier, c.from.Switch, c.JoinedAt, c.Late
	m.emit(e)
	c.addEvent(m.meta.LastEvent)
	m.touchCall(c)
}
