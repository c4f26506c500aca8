package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/tui"
	pb "greenlane/proto/greenlane/v1"
)

// fill makes the lines of the table that is shown.
func (m *model) fill() {
	if m.snap == nil {
		return
	}
	switch p := m.page(); p.kind {
	case queuesPane:
		m.tables[p.kind].Set(m.queueRows())
	case agentsPane:
		m.tables[p.kind].Set(m.agentRows())
	case callbacksPane:
		if m.got.page == p {
			m.tables[p.kind].Set(m.callbackRows())
		}
	case queuePage:
		if m.got.page == p {
			m.tables[p.kind].Set(m.callRows())
		} else {
			m.tables[p.kind].Set(nil)
		}
	}
}

// passes reports whether one of the texts has the filter in it.
func (m *model) passes(texts ...string) bool {
	if m.filter == "" {
		return true
	}
	f := strings.ToLower(m.filter)
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), f) })
}

func count(n int32, ink tui.Ink) tui.Cell {
	if n == 0 {
		return tui.Cell{Text: "0", Ink: tui.Dim}
	}
	return tui.Cell{Text: strconv.Itoa(int(n)), Ink: ink}
}

var queueColumns = []tui.Column{
	{Head: "QUEUE", Width: 16, Flex: true}, {Head: "LEVEL", Width: 9, Right: true}, {Head: "TARGET", Width: 6, Right: true, Drop: 2},
	{Head: "WAITING", Width: 7, Right: true}, {Head: "LATE", Width: 4, Right: true, Drop: 1}, {Head: "OLDEST", Width: 7, Right: true},
	{Head: "ANSWERED", Width: 8, Right: true, Drop: 3}, {Head: "HUNG UP", Width: 7, Right: true, Drop: 4},
	{Head: "AGENTS", Width: 26, Drop: 5}, {Head: "CALLBACKS", Width: 9, Drop: 6},
}

func (m *model) queueRows() (rows []tui.TableRow) {
	queues := m.queues()
	if len(queues) > 1 && m.filter == "" {
		rows = m.addQueue(rows, All(queues))
	}
	for _, q := range queues {
		if m.passes(q.GetQueue()) {
			rows = m.addQueue(rows, q)
		}
	}
	return rows
}

// whole is the tier of a line that stands for all of them.
const whole = pb.Tier_TIER_UNSPECIFIED

func keyOf(queue string, t pb.Tier) string { return strconv.Itoa(int(t)) + queue }

func pageOfQueue(key string) page {
	tier, _ := strconv.Atoi(key[:1])
	queue := key[1:]
	if queue == "all queues" { // no queue can have a name with a blank
		queue = ""
	}
	return page{kind: queuePage, id: queue, tier: pb.Tier(tier)}
}

func (m *model) addQueue(rows []tui.TableRow, q *pb.QueueSnapshot) []tui.TableRow {
	var answered, inTime, abandoned, counted, gone int32
	for _, t := range q.GetTiers() {
		answered += t.GetAnswered()
		abandoned += t.GetAbandoned()
		if t.Target != nil { // those for whom something was promised
			counted += t.GetAnswered() + t.GetAbandoned()
			inTime += t.GetAnsweredInTime()
		}
	}
	gone = abandoned
	name := q.GetQueue()
	if !q.GetOpen() {
		name += " (closed)"
	}
	level := tui.Cell{Text: "-", Ink: tui.Dim}
	if counted > 0 {
		level = tui.Cell{Text: tui.Percent(float64(inTime) / float64(counted))}
	}
	agents, callbacks := tui.Cell{}, tui.Cell{}
	if a := q.GetAgents(); q.GetQueue() != "all queues" {
		agents.Text = fmt.Sprintf("%d free, %d talk, %d away", a.GetIdle(), a.GetTalking(), a.GetNotReady())
	}
	if n := q.GetCallbacksDue(); n > 0 {
		callbacks = tui.Cell{Text: fmt.Sprintf("%d due", n), Ink: tui.Soon}
	}
	rows = append(rows, tui.TableRow{Key: keyOf(q.GetQueue(), whole), Cells: []tui.Cell{
		{Text: name, Ink: tui.Bold}, level, {}, count(q.GetWaiting(), tui.Bold), count(Late(q), tui.Bad), m.oldest(q.GetWaiting(), q.GetOldestWait(), q.GetThreshold(), true),
		count(answered, tui.Plain), count(gone, tui.Plain), agents, callbacks,
	}})
	if m.tiers == noTiers {
		return rows
	}
	for _, t := range q.GetTiers() {
		if m.tiers == usedTiers && t.GetWaiting()+t.GetAnswered()+t.GetAbandoned() == 0 {
			continue
		}
		level, target := LevelOf(t)
		rows = append(rows, tui.TableRow{Key: keyOf(q.GetQueue(), t.GetTier()), Cells: []tui.Cell{
			{Text: "  " + tui.TierName(t.GetTier()), Ink: tui.TierInk(t.GetTier())}, level, target,
			count(t.GetWaiting(), tui.Bold), count(t.GetLateWaiting(), tui.Bad), m.oldest(t.GetWaiting(), t.GetOldestWait(), q.GetThreshold(), t.Target != nil),
			count(t.GetAnswered(), tui.Plain), count(t.GetAbandoned(), tui.Plain), {}, {},
		}})
	}
	return rows
}

// LevelOf is a tier's service level with a sign of whether it reaches the target,
// and the target.
func LevelOf(t *pb.TierSnapshot) (level, target tui.Cell) {
	level, target = tui.Cell{Text: "-", Ink: tui.Dim}, tui.Cell{Text: "-", Ink: tui.Dim}
	if t.Target != nil {
		target = tui.Cell{Text: tui.Goal(t.GetTarget())}
	}
	if t.ServiceLevel == nil {
		return level, target
	}
	level = tui.Cell{Text: tui.Percent(t.GetServiceLevel())}
	switch {
	case t.Target == nil:
	case t.GetServiceLevel() >= t.GetTarget():
		level.Text, level.Ink = "✓ "+level.Text, tui.Good
	default:
		level.Text, level.Ink = "▼ "+level.Text, tui.Bad
	}
	return level, target
}

// oldest is the longest wait, which counts on by itself.
func (m *model) oldest(waiting int32, wait, threshold *durationpb.Duration, promised bool) tui.Cell {
	if waiting == 0 || wait == nil {
		return tui.Cell{Text: "-", Ink: tui.Dim}
	}
	d := wait.AsDuration() + max(m.now().Sub(m.snap.GetTakenAt().AsTime()), 0)
	return waitCell(d, threshold.AsDuration(), promised)
}

// waitCell is a wait against a threshold: beyond it, it is late, and that is cause
// for alarm when something was promised.
func waitCell(d, threshold time.Duration, promised bool) tui.Cell {
	c := tui.Cell{Text: tui.Span(d)}
	switch {
	case threshold <= 0:
	case d > threshold && promised:
		c.Text, c.Ink = "▲ "+c.Text, tui.Bad
	case d > threshold:
		c.Text, c.Ink = "▲ "+c.Text, tui.Soon
	case d >= threshold*3/4:
		c.Ink = tui.Soon
	}
	return c
}

var agentColumns = []tui.Column{
	{Head: "AGENT", Width: 14, Flex: true}, {Head: "STATE", Width: 11}, {Head: "FOR", Width: 8, Right: true},
	{Head: "WITH", Width: 20, Drop: 1}, {Head: "QUEUES", Width: 22, Drop: 2},
}

// agentOrders are the orders of agents, by what they are called.
var agentOrders = []struct {
	name string
	less func(a, b *pb.Agent) int
}{
	{"state", func(a, b *pb.Agent) int {
		return cmp.Or(cmp.Compare(stateRank(a), stateRank(b)), bySince(a, b))
	}},
	{"longest", bySince},
	{"name", func(a, b *pb.Agent) int { return strings.Compare(a.GetAgentId(), b.GetAgentId()) }},
}

func bySince(a, b *pb.Agent) int {
	return cmp.Or(compareTimes(a.GetSince(), b.GetSince()), strings.Compare(a.GetAgentId(), b.GetAgentId()))
}

func compareTimes(a, b *timestamppb.Timestamp) int {
	return cmp.Or(cmp.Compare(a.GetSeconds(), b.GetSeconds()), cmp.Compare(a.GetNanos(), b.GetNanos()))
}

// stateRank puts first who can help now.
func stateRank(a *pb.Agent) int {
	switch s := a.GetState(); {
	case s == pb.AgentState_AGENT_STATE_READY && a.GetAvailable():
		return 0
	case s == pb.AgentState_AGENT_STATE_READY:
		return 5
	case s == pb.AgentState_AGENT_STATE_OFFERED:
		return 1
	case s == pb.AgentState_AGENT_STATE_TALKING:
		return 2
	case s == pb.AgentState_AGENT_STATE_WRAP_UP:
		return 3
	}
	return 4
}

// agents are those who serve a queue that is shown, and pass the filter.
func (m *model) agents() []*pb.Agent {
	var out []*pb.Agent
	for _, a := range m.snap.GetAgents() {
		if len(m.opt.Queues) > 0 && !slices.ContainsFunc(a.GetQueues(), func(q *pb.AgentQueue) bool { return slices.Contains(m.opt.Queues, q.GetQueue()) }) {
			continue
		}
		out = append(out, a)
	}
	return out
}

func (m *model) agentRows() (rows []tui.TableRow) {
	agents := m.agents()
	if m.filter != "" {
		agents = slices.DeleteFunc(agents, func(a *pb.Agent) bool {
			return !m.passes(a.GetAgentId(), stateOf(a), a.GetReason(), servesOf(a))
		})
	}
	slices.SortFunc(agents, agentOrders[m.agentsBy].less)
	now := m.now()
	rows = make([]tui.TableRow, 0, len(agents))
	for _, a := range agents {
		rows = append(rows, tui.TableRow{Key: a.GetAgentId(), Cells: []tui.Cell{
			{Text: tui.Clean(a.GetAgentId())}, {Text: stateOf(a), Ink: stateInk(a)},
			{Text: tui.Span(now.Sub(a.GetSince().AsTime()))}, {Text: withOf(a)}, {Text: servesOf(a), Ink: tui.Dim},
		}})
	}
	return rows
}

func stateOf(a *pb.Agent) string {
	if a.GetState() == pb.AgentState_AGENT_STATE_READY {
		if a.GetAvailable() {
			return "free"
		}
		return "unreachable"
	}
	return tui.AgentState(a.GetState())
}

func stateInk(a *pb.Agent) tui.Ink {
	switch stateRank(a) {
	case 0:
		return tui.Good
	case 1:
		return tui.Bold
	case 4:
		return tui.Soon
	case 5:
		return tui.Bad
	}
	return tui.Plain
}

// withOf is what an agent is at, or why not.
func withOf(a *pb.Agent) string {
	switch {
	case a.GetCallId() != "":
		return tui.Clean(a.GetCallId())
	case a.GetCallbackId() != "":
		return "callback " + tui.Clean(a.GetCallbackId())
	}
	return tui.Plainly(a.GetReason())
}

func servesOf(a *pb.Agent) string {
	var b strings.Builder
	for i, q := range a.GetQueues() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(q.GetQueue())
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(int(max(q.GetLevel(), 1))))
	}
	return b.String()
}

var callColumns = []tui.Column{
	{Head: "#", Width: 4, Right: true}, {Head: "TIER", Width: 10}, {Head: "CALLER", Width: 17, Flex: true}, {Head: "WAIT", Width: 9, Right: true},
	{Head: "STATE", Width: 15, Drop: 2}, {Head: "CALL", Width: 12, Drop: 1},
}

func (m *model) callRows() (rows []tui.TableRow) {
	now := m.now()
	thresholds := map[string]time.Duration{}
	promised := map[string]map[pb.Tier]bool{}
	for _, q := range m.snap.GetQueues() {
		thresholds[q.GetQueue()] = q.GetThreshold().AsDuration()
		promised[q.GetQueue()] = map[pb.Tier]bool{}
		for _, t := range q.GetTiers() {
			promised[q.GetQueue()][t.GetTier()] = t.Target != nil
		}
	}
	for i, c := range m.got.calls {
		tier, state := tui.TierName(c.GetTier()), tui.CallState(c.GetState())
		if m.page().id == "" { // of all queues: in which of them
			state = c.GetQueue()
		}
		if c.GetProvisional() {
			tier += "?" // a guess: the tier store has not answered
		}
		if c.GetAgentId() != "" {
			state += " at " + tui.Clean(c.GetAgentId())
		}
		if len(m.opt.Queues) > 0 && !slices.Contains(m.opt.Queues, c.GetQueue()) || !m.passes(c.GetCallId(), c.GetCaller(), tier, state) {
			continue
		}
		rows = append(rows, tui.TableRow{Key: c.GetCallId(), Cells: []tui.Cell{
			{Text: strconv.Itoa(i + 1), Ink: tui.Dim}, {Text: tier, Ink: tui.TierInk(c.GetTier())}, {Text: tui.Number(c.GetCaller())},
			waitCell(now.Sub(c.GetJoinedAt().AsTime()), thresholds[c.GetQueue()], promised[c.GetQueue()][c.GetTier()]),
			{Text: state}, {Text: tui.Clean(c.GetCallId()), Ink: tui.Dim},
		}})
	}
	return rows
}

var callbackColumns = []tui.Column{
	{Head: "CALLER", Width: 17, Flex: true}, {Head: "TIER", Width: 9}, {Head: "STATE", Width: 8}, {Head: "DUE", Width: 9, Right: true, Drop: 1},
	{Head: "DEADLINE", Width: 10, Right: true}, {Head: "QUEUE", Width: 10, Drop: 2}, {Head: "TRIES", Width: 5, Right: true, Drop: 3}, {Head: "WHO", Width: 10, Drop: 4},
}

var callbackWords = map[pb.CallbackState]string{
	pb.CallbackState_CALLBACK_STATE_PENDING: "later", pb.CallbackState_CALLBACK_STATE_DUE: "due", pb.CallbackState_CALLBACK_STATE_OFFERED: "ringing",
	pb.CallbackState_CALLBACK_STATE_CLAIMED: "in hand", pb.CallbackState_CALLBACK_STATE_DONE: "done", pb.CallbackState_CALLBACK_STATE_FAILED: "failed",
	pb.CallbackState_CALLBACK_STATE_MISSED: "missed", pb.CallbackState_CALLBACK_STATE_CANCELLED: "cancelled",
}

func (m *model) callbackRows() (rows []tui.TableRow) {
	now := m.now()
	for _, cb := range m.got.callbacks {
		state := callbackWords[cb.GetState()]
		if !m.passes(cb.GetCaller(), state, cb.GetQueue(), tui.TierName(cb.GetTier()), cb.GetClaimedBy()) {
			continue
		}
		due := tui.Cell{Text: "now", Ink: tui.Soon}
		if in := cb.GetDueAt().AsTime().Sub(now); in > 0 {
			due = tui.Cell{Text: tui.Left(in)}
		}
		rows = append(rows, tui.TableRow{Key: cb.GetCallbackId(), Cells: []tui.Cell{
			{Text: m.number(cb.GetCaller())}, {Text: tui.TierName(cb.GetTier()), Ink: tui.TierInk(cb.GetTier())}, {Text: state}, due,
			deadlineCell(cb, now), {Text: cb.GetQueue()}, {Text: strconv.Itoa(int(cb.GetAttempts()))}, {Text: tui.Clean(cb.GetClaimedBy())},
		}})
	}
	return rows
}

// number is a number as the daemon gives it, or masked when that was asked for.
func (m *model) number(s string) string {
	if m.opt.Mask && len(s) > 4 {
		return strings.Repeat("*", len(s)-4) + s[len(s)-4:]
	}
	return tui.Number(s)
}

// deadlineCell counts down to the first instant that is too late. A callback that
// is near it is ranked as a mid-tier call.
func deadlineCell(cb *pb.Callback, now time.Time) tui.Cell {
	left := cb.GetDeadline().AsTime().Sub(now)
	c := tui.Cell{Text: tui.Left(left)}
	switch {
	case left <= 0:
		c = tui.Cell{Text: "▲ passed", Ink: tui.Bad}
	case cb.GetEscalatedAt() != nil:
		c.Text, c.Ink = "▲ "+c.Text, tui.Bad
	}
	return c
}
