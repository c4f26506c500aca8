package redisq

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// A site's settings lie in Redis, so that every daemon decides by the same ones.
// The last daemon that was opened puts its own there; those that run on take
// them over and say so.

// fields is a record for the scripts, by the names it has there.
type fields map[string]any

// EncodeMsgpack implements msgpack.CustomEncoder: short names where there are
// some, in a fixed order.
func (f fields) EncodeMsgpack(enc *msgpack.Encoder) error {
	enc.SetSortMapKeys(true)
	named := make(map[string]any, len(f))
	for name, v := range f {
		if short := fieldNames[name]; short != "" {
			name = short
		}
		named[name] = v
	}
	return enc.EncodeMap(named)
}

func packed(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	enc.SetSortMapKeys(true)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// nonZero leaves a number away that says "none": nil in the scripts.
func (f fields) nonZero(name string, n int64) {
	if n != 0 {
		f[name] = n
	}
}

// settings are a site's, ready for the scripts.
type settings struct {
	site, words, queues, zones []byte
	print                      string // of all but zones, which only reach further with time
}

func newSettings(site *queue.Site, now time.Time) (*settings, error) {
	zones := zoneTables{now: now, byName: map[string][][2]int64{}}
	policy, err := packed(policyFields(&site.Callback, &zones))
	if err != nil {
		return nil, err
	}
	words := fields{"name": site.Name, "zone": zones.add(site.Zone), "policy": string(policy)}
	var queues []any
	for i := range site.Queues {
		q, err := queueFields(&site.Queues[i], &zones)
		if err != nil {
			return nil, err
		}
		queues = append(queues, []any{site.Queues[i].Name, q})
	}
	var out settings
	var err1, err2, err3 error
	out.site = packNumbers(siteNumbers(site, &zones))
	out.words, err1 = packed(words)
	out.queues, err2 = packed(queues)
	out.zones, err3 = packed(zones.byName)
	sum := sha256.Sum256(slices.Concat(out.site, out.words, out.queues))
	out.print = hex.EncodeToString(sum[:8])
	return &out, errors.Join(err1, err2, err3)
}

// siteNumber is one of a site's settings, all of which are numbers to the scripts.
type siteNumber struct {
	name string
	none float64 // what stands for nil
	n    float64
}

// What stands for nil, beside 0: an offset that no zone has, and nothing at all for
// settings that are always there.
const (
	noOffset = -1
	always   = -2
)

// siteNumbers are in an order that both sides know: every run of a script reads
// them, and would take longer for a record with names.
func siteNumbers(site *queue.Site, zones *zoneTables) []siteNumber {
	k := &site.Keep
	ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) }
	flag := func(set bool) float64 {
		if set {
			return 1
		}
		return 0
	}
	offset := float64(noOffset)
	if fixed, ok := zones.fixed(site.Zone); ok {
		offset = float64(fixed)
	}
	return []siteNumber{
		{"owner_lease", always, ms(site.OwnerLease)}, {"poll_grace", always, ms(site.PollGrace)},
		{"sign_in_grace", always, ms(site.SignInGrace)}, {"short_abandon", always, ms(site.ShortAbandon)},
		{"keep_calls", always, float64(k.Calls)}, {"keep_calls_age", always, ms(k.CallsAge)},
		{"keep_callbacks", always, float64(k.Callbacks)}, {"keep_callbacks_age", always, ms(k.CallbacksAge)},
		{"keep_requests", always, float64(k.Requests)}, {"keep_requests_age", always, ms(k.RequestsAge)},
		{"keep_agents_age", always, ms(k.AgentsAge)},
		{"keep_events", always, float64(k.Events)}, {"keep_events_age", always, ms(k.EventsAge)},
		{"max_waiting", 0, float64(site.MaxWaiting)}, {"ack_timeout", 0, ms(site.AckTimeout)}, {"max_talk", 0, ms(site.MaxTalk)},
		{"zone_offset", noOffset, offset}, {"preemption", 0, flag(site.Preemption)}, {"reject_blacklist", 0, flag(site.RejectBlacklist)},
	}
}

func packNumbers(list []siteNumber) []byte {
	var out []byte
	for _, s := range list {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(s.n))
	}
	return out
}

// luaSite is how the scripts read what packNumbers wrote: two parts of a function.
func luaSite() (names, table string) {
	var list, values []string
	for _, s := range siteNumbers(&queue.Site{}, &zoneTables{byName: map[string][][2]int64{}}) {
		list = append(list, s.name)
		value := s.name
		if s.none != always {
			value = fmt.Sprintf("%s ~= %v and %s or nil", s.name, s.none, s.name)
		}
		values = append(values, s.name+" = "+value)
	}
	names = fmt.Sprintf("local %s = struct.unpack('<%s', raw)", strings.Join(list, ", "), strings.Repeat("d", len(list)))
	return names, "{ " + strings.Join(values, ", ") + " }"
}

func policyFields(p *callback.Policy, zones *zoneTables) fields {
	from, to := p.WindowFrom, p.WindowTo
	tiers := make([]int, 0, len(p.Tiers))
	for _, t := range p.Tiers {
		tiers = append(tiers, int(t))
	}
	return fields{
		"tiers": tiers, "delay": p.Delay.Milliseconds(), "window_from": from.Milliseconds(), "window_to": to.Milliseconds(),
		"zone": zones.add(p.Zone), "max_attempts": p.MaxAttempts, "deadline": p.Deadline.Milliseconds(),
		"retry_delay": p.RetryDelay.Milliseconds(), "escalate_before": p.EscalateBefore.Milliseconds(),
		"short_abandon": p.ShortAbandon.Milliseconds(), "claim_lease": p.ClaimLease.Milliseconds(),
	}
}

func queueFields(q *queue.Queue, zones *zoneTables) (fields, error) {
	f := fields{
		"threshold": q.Threshold.Milliseconds(), "offer_timeout": q.OfferTimeout.Milliseconds(),
		"wrap_up": q.WrapUp.Milliseconds(), "handle": q.HandleTime.Milliseconds(),
	}
	f.nonZero("preferred_wait", q.PreferredWait.Milliseconds())
	f.nonZero("max_wait", q.MaxWait.Milliseconds())
	f.nonZero("overflow_after", q.Overflow.After.Milliseconds())
	if q.Overflow.To != "" {
		f["overflow_to"] = q.Overflow.To
	}
	if q.Capacity > 0 {
		f["capacity"] = q.Capacity
		room := make([]int, 0, len(tiering.Tiers))
		for _, t := range tiering.Tiers {
			room = append(room, q.Room(t))
		}
		f["room"] = room
	}
	if q.Hours == nil {
		return f, nil
	}
	hours, err := packed(hoursFields(q.Hours, zones))
	f["hours"] = string(hours) // the scripts know texts only
	return f, err
}

// hoursFields are opening hours by the number of the day: since 1970 for
// holidays, of the week from Sunday on otherwise.
func hoursFields(h *queue.Hours, zones *zoneTables) fields {
	spans := func(list []queue.Span) [][2]int64 {
		out := make([][2]int64, 0, len(list))
		for _, s := range list {
			out = append(out, [2]int64{s.From.Milliseconds(), s.To.Milliseconds()})
		}
		return out
	}
	week := make([][][2]int64, 0, len(h.Week))
	for _, d := range h.Week {
		week = append(week, spans(d))
	}
	holidays := map[string][][2]int64{}
	for date, list := range h.Holidays {
		if at, err := time.Parse(time.DateOnly, date); err == nil { // another text is no day's name
			holidays[fmt.Sprint(at.UnixMilli()/dayMs)] = spans(list)
		}
	}
	return fields{"zone": zones.add(h.Zone), "week": week, "holidays": holidays}
}

// How far the tables of clock changes reach. They are made anew whenever a
// daemon is opened, and long before they end.
const (
	zonesPast   = 400 * 24 * time.Hour
	zonesFuture = 3 * 366 * 24 * time.Hour
	zonesRenew  = 30 * 24 * time.Hour
)

// zoneTables lists, for each zone, from when on its clocks add what to UTC:
// the scripts know no time zones.
type zoneTables struct {
	now    time.Time
	byName map[string][][2]int64
}

func (z *zoneTables) add(loc *time.Location) string {
	if loc == nil {
		loc = time.UTC
	}
	at := z.now.Add(-zonesPast).In(loc)
	_, offset := at.Zone()
	name := fmt.Sprintf("%s %d", loc, offset)
	if z.byName[name] != nil {
		return name
	}
	table := [][2]int64{{0, int64(offset) * 1000}}
	for {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.After(z.now.Add(zonesFuture)) {
			break
		}
		_, offset = end.Zone()
		table = append(table, [2]int64{end.UnixMilli(), int64(offset) * 1000})
		at = end
	}
	z.byName[name] = table
	return name
}

// fixed returns the offset of a zone whose clocks never change in its table.
func (z *zoneTables) fixed(loc *time.Location) (offset int64, ok bool) {
	table := z.byName[z.add(loc)]
	return table[0][1], len(table) == 1
}

// install puts the site's settings into Redis.
func (e *Engine) install(ctx context.Context) error {
	s, err := newSettings(&e.site, e.opts.Now())
	if err != nil {
		return err
	}
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	script := scripts()["install"]
	reply, err := node.Eval(ctx, script.source, e.keys, schemaVersion, s.print, s.site, s.queues, s.zones, maxQueues, s.words).StringSlice()
	if err != nil {
		return fmt.Errorf("put the settings of site %s in place: %w", e.site.Name, err)
	}
	switch reply[0] {
	case "OK":
		e.print.Store(&s.print)
		e.own.Store(&s.print)
		e.zonesUntil.Store(int64(instant.Of(e.opts.Now().Add(zonesFuture))))
		return nil
	case "SCHEMA":
		return &SchemaError{Key: e.keys[keySite], Found: reply[1]}
	default:
		return fmt.Errorf("site %s has had more queues than the %d that can be numbered", e.site.Name, maxQueues)
	}
}

// SchemaError says that the keys of the site are none that this program knows.
type SchemaError struct {
	Key   string
	Found string // the version; empty when there is none
}

// Error says what to do.
func (e *SchemaError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("redis key %s: the site's keys are there without a schema version; they are not Greenlane's: give the site another name, or delete them", e.Key)
	}
	return fmt.Sprintf("redis key %s: schema version %s; this program knows version %s only: run the program that wrote it, or give the site another name", e.Key, e.Found, schemaVersion)
}

// ownSettings reports whether the settings in place are this daemon's.
func (e *Engine) ownSettings() bool { return *e.own.Load() == *e.print.Load() }

// takeOver goes on with the settings that another daemon has put in place.
func (e *Engine) takeOver(ctx context.Context) error {
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	found, err := node.HMGet(ctx, e.keys[keySite], "schema", "print").Result()
	if err != nil {
		return err
	}
	schema, _ := found[0].(string)
	stamp, _ := found[1].(string)
	switch {
	case schema == "" && stamp == "": // Redis has lost everything, or is a new one
		e.opts.Logger.Warn("the site is not in Redis: it begins anew, and switches restore their calls", "site", e.site.Name)
		return e.install(ctx)
	case schema != schemaVersion:
		err := &SchemaError{Key: e.keys[keySite], Found: schema}
		e.fail(err)
		return err
	case stamp != *e.print.Load():
		e.opts.Logger.Warn("another daemon has changed the site's settings: this one goes on with them", "site", e.site.Name, "print", stamp)
		e.print.Store(&stamp)
	}
	return nil
}
