package redisq

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
)

// metaRecord are the site's counters, as far as they are read without a script.
type metaRecord struct {
	LastEvent  uint64          `msgpack:"last_event"`
	Now        instant.Instant `msgpack:"now"`
	Violations int64           `msgpack:"violations"`

	Created   int64 `msgpack:"callbacks_created"`
	Reached   int64 `msgpack:"callbacks_reached"`
	Refused   int64 `msgpack:"callbacks_refused"`
	Failed    int64 `msgpack:"callbacks_failed"`
	Missed    int64 `msgpack:"callbacks_missed"`
	Cancelled int64 `msgpack:"callbacks_cancelled"`
	Attempts  int64 `msgpack:"callbacks_attempts"`

	// How many callbacks are kept in each state, by the state's number.
	State1 int `msgpack:"callbacks_1"`
	State2 int `msgpack:"callbacks_2"`
	State3 int `msgpack:"callbacks_3"`
	State4 int `msgpack:"callbacks_4"`
	State5 int `msgpack:"callbacks_5"`
	State6 int `msgpack:"callbacks_6"`
	State7 int `msgpack:"callbacks_7"`
	State8 int `msgpack:"callbacks_8"`
}

func (m *metaRecord) totals() queue.CallbackTotals {
	return queue.CallbackTotals{
		Created: m.Created, Reached: m.Reached, Refused: m.Refused, Failed: m.Failed, Missed: m.Missed, Cancelled: m.Cancelled,
		Attempts: m.Attempts,
	}
}

func (m *metaRecord) byState() map[callback.State]int {
	out := map[callback.State]int{}
	for i, n := range []int{m.State1, m.State2, m.State3, m.State4, m.State5, m.State6, m.State7, m.State8} {
		if n != 0 {
			out[callback.StatePending+callback.State(i)] = n
		}
	}
	return out
}

// queueConfig is what a question needs of a queue's settings.
type queueConfig struct {
	Number int   `msgpack:"no"`
	Handle int64 `msgpack:"handle"` // milliseconds, until something is learned
}

// queueState is what a queue has learned and counted.
type queueState struct {
	Handle      int64 `msgpack:"handle"`
	Working     int   `msgpack:"working"`
	WorkingRing int   `msgpack:"working_ring"`
	Waiting     int   `msgpack:"waiting"`
	Escalated   int   `msgpack:"escalated"`
	Waiting1    int   `msgpack:"waiting_1"`
	Waiting2    int   `msgpack:"waiting_2"`
	Waiting3    int   `msgpack:"waiting_3"`
	Waiting4    int   `msgpack:"waiting_4"`
	Late1       int   `msgpack:"late_1"`
	Late2       int   `msgpack:"late_2"`
	Late3       int   `msgpack:"late_3"`
	Late4       int   `msgpack:"late_4"`
}

func (s *queueState) byTier() (waiting, late [4]int) {
	return [4]int{s.Waiting1, s.Waiting2, s.Waiting3, s.Waiting4}, [4]int{s.Late1, s.Late2, s.Late3, s.Late4}
}

// queueView is a queue as questions see it.
type queueView struct {
	queueConfig
	state queueState
}

// estimate is the formula of package queue: the callers up to and with this one,
// shared among the agents who work, each keeping one for the mean handle time.
func (q *queueView) estimate(position int) (ms int64) {
	switch {
	case position == 0:
		return 0
	case q.state.Working == 0:
		return -1
	}
	handle := q.state.Handle
	if handle == 0 {
		handle = q.Handle
	}
	return int64(position) * handle / int64(q.state.Working)
}

// queueViewOf reads a queue from its two fields.
func queueViewOf(config, state any) (*queueView, error) {
	raw, ok := config.(string)
	if !ok {
		return nil, redis.Nil
	}
	var q queueView
	err := unpack([]byte(raw), &q.queueConfig)
	if raw, ok := state.(string); ok {
		err = errors.Join(err, unpack([]byte(raw), &q.state))
	}
	return &q, err
}

func (e *Engine) readQueue(ctx context.Context, node redis.Cmdable, name string) (*queueView, error) {
	list, err := node.HMGet(ctx, e.keys[keySite], "queue:"+name, "state:"+name).Result()
	if err != nil {
		return nil, err
	}
	return queueViewOf(list[0], list[1])
}

// together asks several questions at one instant. A Redis whose memory is full
// takes no transactions; then they are asked one right after the other.
func together(ctx context.Context, node *redis.Client, ask func(p redis.Pipeliner)) error {
	p := node.TxPipeline()
	ask(p)
	_, err := p.Exec(ctx)
	if redis.HasErrorPrefix(err, "EXECABORT") || redis.HasErrorPrefix(err, "OOM") {
		p = node.Pipeline()
		ask(p)
		_, err = p.Exec(ctx)
	}
	if errors.Is(err, redis.Nil) {
		return nil // something is not there: its own answer says so
	}
	return err
}

func (e *Engine) readMeta(ctx context.Context, node redis.Cmdable) (*metaRecord, error) {
	var m metaRecord
	raw, err := node.HGet(ctx, e.keys[keySite], "meta").Result()
	switch {
	case errors.Is(err, redis.Nil):
		return &m, nil
	case err != nil:
		return nil, err
	}
	return &m, unpack([]byte(raw), &m)
}

func (v vault) readCall(id string, raw []byte) (*queue.Call, error) {
	var r callRecord
	if err := unpack(raw, &r); err != nil {
		return nil, err
	}
	if err := v.openCall(&r); err != nil {
		return nil, err
	}
	return r.call(id), nil
}

func readAgent(id string, raw []byte) (*queue.Agent, error) {
	var r agentRecord
	if err := unpack(raw, &r); err != nil {
		return nil, err
	}
	return r.agent(id), nil
}

func (v vault) readCallback(id string, raw []byte) (*callback.Callback, error) {
	var r callbackRecord
	if err := unpack(raw, &r); err != nil {
		return nil, err
	}
	if err := v.openCallback(&r); err != nil {
		return nil, err
	}
	return r.callback(id), nil
}

// unreadable reports a record that can't be read. It stays where it is: the
// script that comes upon it sets it aside.
func (e *Engine) unreadable(key int, field string, err error) {
	e.opts.Logger.Error("a record could not be read", "key", e.keys[key], "field", field, "error", err)
}

// hashStep is how many fields of a large hash one question asks for.
const hashStep = 512

// eachField reads a large hash, a part at a time, so that no question is long.
// What is there from the beginning to the end is seen once.
func (e *Engine) eachField(ctx context.Context, key int, see func(field, value string)) error {
	node, err := e.node(ctx)
	if err != nil {
		return e.unavailable(err)
	}
	seen := map[string]struct{}{}
	for cursor := uint64(0); ; {
		var list []string
		list, cursor, err = node.HScan(ctx, e.keys[key], cursor, "", hashStep).Result()
		if err != nil {
			return e.asked(ctx, err)
		}
		for i := 0; i+1 < len(list); i += 2 {
			if _, again := seen[list[i]]; !again {
				seen[list[i]] = struct{}{}
				see(list[i], list[i+1])
			}
		}
		if cursor == 0 {
			return nil
		}
	}
}

func (e *Engine) eachCall(ctx context.Context, see func(*queue.Call)) error {
	return e.eachField(ctx, keyCalls, func(id, raw string) {
		c, err := e.vault.readCall(id, []byte(raw))
		if err != nil {
			e.unreadable(keyCalls, id, err)
			return
		}
		see(c)
	})
}

// lineBase is the score at which a queue's line of a slot begins.
func lineBase(number, slot int) int64 { return int64(number*slots+slot) * lineSpan }

func lineScore(number, slot int, at instant.Instant) int64 {
	return lineBase(number, slot) + min(max(int64(at)-lineEpoch, 0), lineSpan-1)
}

// exclusive is a bound of a range that is not part of it.
func exclusive(score int64) string { return "(" + strconv.FormatInt(score, 10) }

func inclusive(score int64) string { return strconv.FormatInt(score, 10) }

// member is an element of a line: a call or a callback with its sequence.
type member struct {
	seq      uint64
	callback bool
	id       string
}

func parseMember(s string) (m member, ok bool) {
	if len(s) < 12 {
		return m, false
	}
	seq, err := strconv.ParseUint(s[:11], 16, 64)
	return member{seq, s[11] == 'b', s[12:]}, err == nil
}

// cohortField names a cohort; see count in lua/lib/counts.lua.
func cohortField(start string, number, tier int) string {
	return start + "/" + strconv.Itoa(number) + "/" + strconv.Itoa(tier)
}

// splitTotal reads the name of a running total: queue number/tier/counter.
func splitTotal(field string) (number, tier int, counter string, ok bool) {
	parts := strings.SplitN(field, "/", 3)
	if len(parts) != 3 {
		return 0, 0, "", false
	}
	number, err1 := strconv.Atoi(parts[0])
	tier, err2 := strconv.Atoi(parts[1])
	return number, tier, parts[2], err1 == nil && err2 == nil
}
