package redisq

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/callback"
	"greenlane/internal/seal"
	"greenlane/queue"
	"greenlane/queue/decider"
	"greenlane/queue/record"
)

// What scripts answer.
const (
	statusOK     = "OK"
	statusNone   = "NONE"   // the site is not there
	statusConfig = "CONFIG" // other settings are in place
	statusWait   = "WAIT"   // it is another daemon's turn
	statusBehind = "BEHIND" // what the daemon lacks
	statusFar    = "FAR"    // what it lacks is no longer kept: read everything
	statusLost   = "LOST"   // its own version is not in this history

	statusBlocked = "BLOCKED" // somebody else has written to a stream: it must be set aside
)

// firstVersion is that of a site that nothing was committed to.
const firstVersion = 1

// place is where in the history a copy stands.
type place struct {
	version uint64
	nonce   string // of the commit that made this version
}

// fold collects what a daemon lacks, of each record the last state, until it is
// all of one instant.
type fold struct {
	values [len(kinds)]map[string]string // "": there is none
	at     place
	head   uint64 // the version that Redis has
	meta   string
	events []redis.XMessage
	after  uint64 // the last event collected
}

func newFold(at place, after uint64) *fold {
	f := &fold{at: at, after: after}
	for k := range f.values {
		f.values[k] = map[string]string{}
	}
	return f
}

// whole reports whether nothing is lacking.
func (f *fold) whole() bool { return f.at.version == f.head }

// take adds what a script has answered.
func (f *fold) take(r *reply) error {
	if len(r.list) < 5 || len(r.list)%3 != 2 {
		return fmt.Errorf("%w: %d parts", errReply, len(r.list))
	}
	var err1, err2 error
	f.at.version, err1 = strconv.ParseUint(strings.TrimSuffix(r.text(0), "-0"), 10, 64)
	f.at.nonce = r.text(1)
	f.head, err2 = strconv.ParseUint(r.text(2), 10, 64)
	f.meta = r.text(3)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%w: %w", errReply, err)
	}
	if err := f.takeEvents(r.list[4]); err != nil {
		return err
	}
	for rest := r.list[5:]; len(rest) > 0; rest = rest[3:] {
		k, ok1 := rest[0].(int64)
		fields, ok2 := rest[1].([]any)
		values, ok3 := rest[2].([]any)
		if !ok1 || !ok2 || !ok3 || k < 1 || int(k) > len(kinds) || len(fields) != len(values) {
			return fmt.Errorf("%w: no list of records", errReply)
		}
		into := f.values[k-1]
		for i := range fields {
			field, _ := fields[i].(string)
			value, there := values[i].(string)
			into[field] = kept(value, there)
		}
	}
	return nil
}

func (f *fold) takeEvents(list any) error {
	entries, _ := list.([]any)
	for _, entry := range entries {
		pair, _ := entry.([]any)
		if len(pair) != 2 {
			return fmt.Errorf("%w: no entry of the log", errReply)
		}
		id, _ := pair[0].(string)
		fields, _ := pair[1].([]any)
		m := redis.XMessage{ID: id, Values: map[string]any{}}
		if len(fields) == 2 {
			m.Values["e"] = fields[1]
		}
		if seq := seqOf(id); seq > f.after {
			f.after = seq
			f.events = append(f.events, m)
		}
	}
	return nil
}

// blank stands for a value that is there, and empty. It can't be read either.
const blank = "\x00"

// kept returns a value as a fold has it.
func kept(value string, there bool) string {
	if there && value == "" {
		return blank
	}
	return value
}

// changes decodes what was collected. A record that can't be read is in damaged; one
// that this daemon can't read, but another one could, ends the engine.
func (e *Engine) changes(f *fold) (c *queue.Changes, damaged []damage, err error) {
	c = &queue.Changes{}
	for i, values := range f.values {
		kind := kinds[i]
		for field, value := range values {
			k, err := parseField(kind, field)
			if err == nil && value == "" {
				record.Gone(c, k)
				continue
			}
			e.foreign = e.foreign || e.sealed != nil && !e.current(value)
			if err == nil {
				err = record.Add(c, e.sealer(), kind, []byte(field), []byte(value))
			}
			switch {
			case err == nil:
			case e.legible(kind, field, value, err):
				return nil, nil, e.fail(fmt.Errorf("redis key %s, field %s: %w", e.keys[keyKinds+i], field, err))
			default:
				e.opts.Logger.Error("a record could not be read", "key", e.keys[keyKinds+i], "field", field, "error", err)
				damaged = append(damaged, damage{kind, field, value, f.at.version})
			}
		}
	}
	if f.meta == "" && f.at.version == firstVersion {
		return c, damaged, nil
	}
	if err := record.Decode(nil, record.Meta, []byte(record.Meta.String()), []byte(f.meta), &c.Meta); err != nil {
		e.opts.Logger.Error("the site's counters could not be read", "key", e.keys[keySite], "error", err)
		damaged = append(damaged, damage{record.Meta, "counters", f.meta, f.at.version})
	}
	return c, damaged, nil
}

// legible reports whether a record that could not be read is not damaged: this
// daemon lacks the key, or the program is another version. It must not be touched
// then.
func (e *Engine) legible(kind record.Kind, field, value string, err error) bool {
	if errors.Is(err, errField) {
		return false
	}
	_, err = record.Body(e.sealer(), kind, []byte(field), []byte(value))
	return err == nil || errors.Is(err, seal.ErrKey)
}

// catchUp brings the copy to the head, the records that the fields name in any
// case. news reports whether anything but the copy's own doing was undone.
func (e *Engine) catchUp(fields string) (news bool, err error) {
	return e.follow(newFold(e.at, e.log.last()), fields)
}

// follow goes on collecting until nothing lacks, and brings the copy there.
func (e *Engine) follow(f *fold, fields string) (news bool, err error) {
	for f.head == 0 || !f.whole() {
		nonce := e.nonce()
		args := append(e.begin(nil), strconv.FormatUint(f.at.version, 10), f.at.nonce, e.print, nonce, fields, entryID(f.after+1))
		began := time.Now()
		r, err := e.run(catchUpScript, nonce, args, false)
		e.observe(0, began, err)
		if err != nil {
			return true, err
		}
		switch r.status {
		case statusOK:
			if f.head == 0 {
				e.fresh = true
				return false, nil
			}
			f.head = f.at.version
		case statusBehind:
			if err := f.take(&r); err != nil {
				return true, err
			}
			fields = ""
		case statusNone, statusConfig:
			if err := e.takeOver(); err != nil {
				return true, err
			}
		default:
			return true, e.forget(r.status)
		}
	}
	return true, e.apply(f)
}

// errAgain says that the copy is another one now: decide again.
var errAgain = errors.New("the copy was made anew")

// forget gives the copy up, which is then read anew.
func (e *Engine) forget(status string) error {
	if status == statusLost {
		e.opts.Logger.Warn("Redis has lost the end of the site's history: it is read anew", "site", e.name, "version", e.at.version)
	} else {
		e.opts.Logger.Info("the site is read anew", "site", e.name, "version", e.at.version, "why", status)
	}
	e.machine, e.lostEnd = nil, e.lostEnd || status == statusLost
	return errAgain
}

// apply brings the copy to where a whole fold stands, then shows it.
func (e *Engine) apply(f *fold) error {
	c, damaged, err := e.changes(f)
	if err != nil {
		return err
	}
	if len(damaged) > 0 {
		return e.forget("damaged")
	}
	if err := e.machine.Sync(c); err != nil {
		e.opts.Logger.Error("the copy can't follow", "site", e.name, "error", err)
		return e.forget("inconsistent")
	}
	e.at, e.counters, e.unsettled, e.mine = f.at, c.Meta, "", false
	e.seen.Store(e.at.version)
	e.fresh = true
	e.heardNow(c.Meta.Now)
	e.showAgents(c)
	e.publishOthers(f, c.Meta.LastEvent)
	return nil
}

// showAgents shows the agents that a Sync has changed, or the offer of.
func (e *Engine) showAgents(c *queue.Changes) {
	views := e.views.Load()
	ids := map[string]bool{}
	for _, a := range c.Agents {
		ids[a.ID] = true
	}
	for _, o := range c.Offers {
		ids[o.Agent] = true
	}
	for _, call := range c.Calls {
		if call.State == queue.CallOffered {
			ids[call.Agent] = true
		}
	}
	for _, cb := range c.Callbacks {
		if cb.State == callback.StateOffered {
			ids[views.Holder(cb.ID)] = true
		}
	}
	var changed []decider.View
	for id := range ids {
		if a, o, err := e.machine.Agent(id); err == nil {
			changed = append(changed, decider.ViewOf(a, o))
		}
	}
	views.Show(changed, c.GoneAgents)
}

// publishOthers shows the events that others wrote. When they are not all at hand
// readers find them in Redis.
func (e *Engine) publishOthers(f *fold, last uint64) {
	events := e.eventsOf(f.events, e.log.last(), last)
	if n := len(events); n > 0 && events[n-1].Seq == last && events[0].Seq == e.log.last()+1 {
		e.log.push(events)
	} else if last != e.log.last() {
		e.log.skip(last)
	}
	if n := len(f.events); n > 0 {
		e.entry = 0
		if seqOf(f.events[n-1].ID) == last {
			e.entry = digestOf(rawOf(&f.events[n-1]))
		}
	}
}
