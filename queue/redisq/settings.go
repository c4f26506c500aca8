package redisq

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/queue"
)

// A site's settings lie in Redis, so that every daemon decides by the same ones.
// The last daemon that was opened puts its own there; those that run on take
// them over and say so.

// zone is a time zone: its name, and what its clocks add to UTC now, for a machine
// that does not know the name.
type zone struct {
	Name   string `json:"name"`
	Offset int    `json:"offset"` // seconds east of UTC
}

func zoneOf(loc *time.Location, now time.Time) zone {
	if loc == nil {
		loc = time.UTC
	}
	_, offset := now.In(loc).Zone()
	return zone{loc.String(), offset}
}

// location returns the zone. One whose name is not known, or means another zone on
// every machine, is fixed.
func (z zone) location() *time.Location {
	if loc, err := time.LoadLocation(z.Name); err == nil && z.Name != "" && z.Name != time.Local.String() {
		return loc
	}
	return time.FixedZone(z.Name, z.Offset)
}

// storedSite is a queue.Site as Redis keeps it: what encoding/json does not know
// has a form of its own beside it.
type storedSite struct {
	Site         queue.Site   `json:"site"`
	Zone         zone         `json:"zone"`
	CallbackZone zone         `json:"callback_zone"`
	Hours        []storedZone `json:"hours,omitempty"`
}

// storedZone is the zone of a queue's opening hours.
type storedZone struct {
	Queue string `json:"queue"`
	Zone  zone   `json:"zone"`
}

// encodeSite returns a site as Redis keeps it, and its print.
func encodeSite(site *queue.Site) (text []byte, stamp string, err error) {
	// Not the time at hand: the same site has the same print all the year.
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := storedSite{Site: *site, Zone: zoneOf(site.Zone, at), CallbackZone: zoneOf(site.Callback.Zone, at)}
	s.Site.Zone, s.Site.Callback.Zone = nil, nil
	s.Site.Queues = slices.Clone(site.Queues)
	for i := range s.Site.Queues {
		if q := &s.Site.Queues[i]; q.Hours != nil {
			s.Hours = append(s.Hours, storedZone{q.Name, zoneOf(q.Hours.Zone, at)})
			hours := *q.Hours
			hours.Zone = nil
			q.Hours = &hours
		}
	}
	if text, err = json.Marshal(&s); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:8]), nil
}

// decodeSite is the opposite of encodeSite.
func decodeSite(text []byte) (queue.Site, error) {
	var s storedSite
	if err := json.Unmarshal(text, &s); err != nil {
		return queue.Site{}, err
	}
	s.Site.Zone, s.Site.Callback.Zone = s.Zone.location(), s.CallbackZone.location()
	for _, h := range s.Hours {
		for i := range s.Site.Queues {
			if q := &s.Site.Queues[i]; q.Name == h.Queue && q.Hours != nil {
				q.Hours.Zone = h.Zone.location()
			}
		}
	}
	return s.Site, s.Site.Validate()
}

// install puts the daemon's own settings into Redis.
func (e *Engine) install(ctx context.Context) error {
	text, stamp, err := encodeSite(&e.site)
	if err != nil {
		return err
	}
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	reply, err := node.Eval(ctx, installScript.source, e.keys, schemaVersion, stamp, text, e.nonce(), noFields()).StringSlice()
	if err != nil {
		return fmt.Errorf("put the settings of site %s in place: %w", e.name, err)
	}
	switch {
	case len(reply) == 1 && reply[0] == statusOK:
		e.print = stamp
		return nil
	case len(reply) == 2 && reply[0] == "SCHEMA":
		return &SchemaError{Key: e.keys[keySite], Found: reply[1]}
	default:
		return fmt.Errorf("%w: %q", errReply, reply)
	}
}

// CheckSchema returns nil when a site under DefaultPrefix is of the schema that this
// program knows, or is not there; else a SchemaError, or Redis's own error. It
// changes nothing.
func CheckSchema(ctx context.Context, client redis.UniversalClient, site string) error {
	keys := keysOf(DefaultPrefix, site)
	found, err := client.HGet(ctx, keys[keySite], "schema").Result()
	switch {
	case redis.HasErrorPrefix(err, "WRONGTYPE"):
		return &SchemaError{Key: keys[keySite]}
	case errors.Is(err, redis.Nil):
		if n, err := client.Exists(ctx, keys...).Result(); err != nil || n == 0 {
			return err
		}
		return &SchemaError{Key: keys[keySite]}
	case err == nil && found != schemaVersion:
		return &SchemaError{Key: keys[keySite], Found: found}
	}
	return err
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

// takeOver goes on with the settings that another daemon has put in place. A Redis
// that has lost everything gets this daemon's.
func (e *Engine) takeOver() error {
	ctx, cancel := context.WithTimeout(e.within, e.opts.Timeout)
	defer cancel()
	node, err := e.node(ctx)
	if err != nil {
		return err
	}
	found, err := node.HMGet(ctx, e.keys[keySite], "schema", "print", "settings", "version").Result()
	if err != nil {
		return err
	}
	schema, _ := found[0].(string)
	stamp, _ := found[1].(string)
	text, _ := found[2].(string)
	version, _ := found[3].(string)
	switch {
	case schema == "" && stamp == "":
		e.opts.Logger.Warn("the site is not in Redis: it begins anew, and switches restore their calls", "site", e.name)
		if err := e.install(ctx); err != nil {
			return e.ifSchema(err)
		}
		return e.forget(statusLost)
	case schema != schemaVersion:
		return e.fail(&SchemaError{Key: e.keys[keySite], Found: schema})
	case version == "":
		return e.noVersion(version)
	case stamp == e.print:
		return nil
	}
	site, err := decodeSite([]byte(text))
	if err != nil {
		return e.fail(fmt.Errorf("redis key %s: the settings can't be read: %w", e.keys[keySite], err))
	}
	e.opts.Logger.Warn("another daemon has changed the site's settings: this one goes on with them", "site", e.name, "print", stamp,
		"queues_gone", queuesBeyond(&e.site, &site), "queues_new", queuesBeyond(&site, &e.site))
	e.site, e.print, e.rebuild = site, stamp, true
	return nil
}

// queuesBeyond names the queues of a site that another one does not have.
func queuesBeyond(site, other *queue.Site) (names []string) {
	for i := range site.Queues {
		name := site.Queues[i].Name
		if !slices.ContainsFunc(other.Queues, func(q queue.Queue) bool { return q.Name == name }) {
			names = append(names, name)
		}
	}
	return names
}

// ifSchema ends the engine when the keys are none that this program knows.
func (e *Engine) ifSchema(err error) error {
	if _, is := errors.AsType[*SchemaError](err); is {
		return e.fail(err)
	}
	return err
}
