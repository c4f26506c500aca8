package redisq

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/queue/decider"
	"greenlane/queue/record"
)

// scanStep is how many records one reading returns: it is to stay below a
// millisecond.
const scanStep = 250

// load reads the whole site and makes the copy from it. The records are read a
// part at a time while others commit; what they changed meanwhile is taken from
// their commits.
func (e *Engine) load() error {
	began := time.Now()
	ctx := e.within
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	at, meta, err := e.head(ctx, node)
	if err != nil {
		return err
	}
	if err := e.tellAside(ctx, node); err != nil {
		return err
	}
	f := newFold(at, e.log.last())
	f.meta = meta
	if err := e.scan(ctx, node, f); err != nil {
		return err
	}
	if err := e.overtake(f); err != nil {
		return err
	}
	c, damaged, err := e.changes(f)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(damaged, func(d damage) bool { return d.kind == record.Meta }) {
		if err := e.countAnew(ctx, node, c); err != nil {
			return err
		}
	}
	mended := mend(c)
	for _, what := range mended.what {
		e.opts.Logger.Warn("a record was left active and is put back", "site", e.name, "record", what)
	}
	if len(damaged) > 0 || len(mended.what) > 0 {
		if err := e.setAside(f.at, c, mended, damaged); err != nil {
			return err
		}
		e.revive = append(e.revive, mended.agents...)
		return errAgain // what was put right is read like anything else
	}
	last := c.Meta.LastEvent
	m, err := queue.RestoreMachine(e.site, record.State(c))
	if err != nil {
		return e.fail(fmt.Errorf("restore site %s: %w", e.name, err))
	}
	if err := e.takeLog(ctx, node, last); err != nil {
		return err
	}
	e.heardNow(c.Meta.Now)
	e.at, e.counters, e.unsettled, e.mine = f.at, c.Meta, "", false
	if err := e.use(m); err != nil {
		return err
	}
	e.fresh = true
	e.opts.Logger.Debug("the site was read", "site", e.name, "took", time.Since(began), "version", e.at.version)
	return nil
}

// use makes a machine the copy.
func (e *Engine) use(m *queue.Machine) error {
	views, err := decider.NewViews(m)
	if err != nil {
		return err
	}
	for _, w := range m.Warnings() {
		e.opts.Logger.Warn("restored state was mended", "site", e.name, "what", w)
	}
	e.views.Store(views)
	e.machine, e.rebuild = m, false
	e.keep.Store(e.site.Keep.EventsAge.Milliseconds())
	e.seen.Store(e.at.version)
	return nil
}

// renew makes the copy anew for other settings.
func (e *Engine) renew() error {
	m, err := queue.RestoreMachine(e.site, e.machine.State())
	if err != nil {
		return e.fail(fmt.Errorf("take over the settings of site %s: %w", e.name, err))
	}
	return e.use(m)
}

// head reads where the history stands.
func (e *Engine) head(ctx context.Context, node *redis.Client) (at place, meta string, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	found, err := node.HMGet(ctx, e.keys[keySite], "schema", "print", "version", "nonce", "meta").Result()
	if err != nil {
		return at, "", err
	}
	var text [5]string
	for i := range text {
		text[i], _ = found[i].(string)
	}
	if text[0] != schemaVersion || text[1] != e.print {
		if err := e.takeOver(); err != nil {
			return at, "", err
		}
		return at, "", errAgain
	}
	at.nonce = text[3]
	if at.version, err = strconv.ParseUint(text[2], 10, 64); err != nil {
		return at, "", e.noVersion(text[2])
	}
	return at, text[4], nil
}

// noVersion ends the engine: without a version nobody knows where the history stands,
// and no daemon can write.
func (e *Engine) noVersion(found string) error {
	return e.fail(fmt.Errorf("redis key %s, field version: %q is no number: set it to the one that the last entry of %s begins with (XREVRANGE %s + - COUNT 1)",
		e.keys[keySite], found, e.keys[keyCommits], e.keys[keyCommits]))
}

// overtakeEvery is how long records are read before what was committed meanwhile is
// taken up: a large site takes longer to read than commits are kept.
const overtakeEvery = 100 * time.Millisecond

// scan reads every record, a part at a time.
func (e *Engine) scan(ctx context.Context, node *redis.Client, f *fold) error {
	last := time.Now()
	for k := range kinds {
		for cursor := uint64(0); ; {
			part, cancel := context.WithTimeout(ctx, e.opts.Timeout)
			list, next, err := node.HScan(part, e.keys[keyKinds+k], cursor, "", scanStep).Result()
			cancel()
			if err != nil {
				return err
			}
			for i := 0; i+1 < len(list); i += 2 {
				f.values[k][list[i]] = kept(list[i+1], true)
			}
			if time.Since(last) > overtakeEvery {
				if err := e.overtake(f); err != nil {
					return err
				}
				last = time.Now()
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// overtake takes up what was committed while the records were read.
func (e *Engine) overtake(f *fold) error {
	for {
		nonce := e.nonce()
		args := append(e.begin(nil), strconv.FormatUint(f.at.version, 10), f.at.nonce, e.print, nonce, "", entryID(f.after+1))
		r, err := e.run(catchUpScript, nonce, args, false)
		if err != nil {
			return err
		}
		switch r.status {
		case statusOK:
			return nil
		case statusBehind:
			if err := f.take(&r); err != nil {
				return err
			}
		default: // others were too fast, or changed the settings
			return errAgain
		}
		if f.whole() {
			break
		}
	}
	for k := range f.values {
		maps.DeleteFunc(f.values[k], func(_, value string) bool { return value == "" })
	}
	return nil
}

// takeLog goes on with the log that belongs to what was read, and tells readers
// when it is another one than they know.
func (e *Engine) takeLog(ctx context.Context, node *redis.Client, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	known := e.log.last()
	same := !e.lostEnd
	if same {
		var err error
		if same, err = e.sameLog(ctx, node, last); err != nil {
			return err
		}
	}
	e.lostEnd = false
	switch {
	case !same:
		e.opts.Logger.Warn("the event log was cut: Redis has lost its end", "known", known, "found", last)
		e.log.cut(last)
	case last != known:
		e.log.skip(last)
	default:
		return nil
	}
	e.entry = 0
	return nil
}

// setAside moves what can't be read to where somebody may mend it, and writes what
// was put right, as a commit of its own.
func (e *Engine) setAside(at place, c *queue.Changes, m mending, damaged []damage) error {
	var out outgoing
	out.records.Sealer = e.sealer()
	out.reset()
	for _, d := range damaged {
		e.opts.Logger.Error("a record is set aside", "record", d.name(), "in", e.keys[keyDamaged])
		out.aside = append(out.aside, d)
		if d.kind == record.Meta {
			continue
		}
		from := out.buf.Len()
		out.buf.WriteString(d.field)
		place := placeOf[d.kind]
		out.gone[place] = append(out.gone[place], span{from, out.buf.Len()})
	}
	m.changes.Meta = c.Meta
	if err := out.encode(&m.changes); err != nil {
		return err
	}
	e.at = at
	nonce := e.nonce()
	r, err := e.run(drainScript, nonce, e.commitArgs(nil, &out, nonce, patience), true)
	if err != nil && !errors.Is(err, errUnconfirmed) {
		return err
	}
	switch r.status {
	case statusOK:
		return nil
	case statusBlocked:
		if err := e.unblock(&r); err != nil {
			return err
		}
	}
	return errAgain
}

// countAnew makes the counters up from the records, so that no number is given
// twice. What was counted of callbacks and violations is lost.
func (e *Engine) countAnew(ctx context.Context, node *redis.Client, c *queue.Changes) error {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	last, err := node.XRevRangeN(ctx, e.keys[keyLog], "+", "-", 1).Result()
	if err != nil {
		return err
	}
	m := queue.Meta{Now: instant.Of(e.opts.Now())}
	if len(last) > 0 {
		m.LastEvent = seqOf(last[0].ID)
	}
	for _, r := range c.Calls {
		m.CallSeq, m.Epoch = max(m.CallSeq, r.Seq), max(m.Epoch, r.Offer)
		m.Now = max(m.Now, r.JoinedAt, r.EndedAt)
	}
	for _, r := range c.Callbacks {
		m.CallSeq = max(m.CallSeq, r.Seq)
	}
	for _, r := range c.Offers {
		m.Epoch = max(m.Epoch, r.Epoch)
	}
	for _, r := range c.Requests {
		m.RequestSeq = max(m.RequestSeq, r.Seq)
	}
	for _, r := range c.Agents {
		m.Ord, m.Epoch = max(m.Ord, r.Ord), max(m.Epoch, r.Offer)
	}
	for _, r := range c.Owners {
		m.Ord = max(m.Ord, r.Ord)
	}
	c.Meta = m
	return nil
}
