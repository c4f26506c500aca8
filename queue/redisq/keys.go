package redisq

import (
	"errors"
	"strconv"
	"strings"

	"greenlane/queue/record"
)

// DefaultPrefix begins the name of every key.
const DefaultPrefix = "greenlane"

// schemaVersion names the layout of the keys and records. A site of another
// version is refused.
const schemaVersion = "3"

// Places of a site's keys in the order in which scripts get them. Every script
// gets all of them: which ones it touches depends on what was committed, and Redis
// wants to know all keys beforehand.
const (
	keySite    = iota // hash: schema, print, settings, seal; version and nonce of the last commit, meta, turn
	keyCommits        // stream: commit <version>-0 -> n: its nonce, k: the fields it wrote, by kind
	keyLog            // stream: entry <last event>-0 -> e: the events of one commit
	keyDamaged        // hash: key and field -> what could not be read
	keyKinds          // the first of the hashes that hold records, field -> record
)

// kinds are the records in the order of their keys; of each there is a hash.
var kinds = [...]record.Kind{
	record.Calls, record.Agents, record.Offers, record.Callbacks, record.Queues, record.Cohorts, record.Totals,
	record.Requests, record.Owners, record.Switches,
}

// placeOf is where a kind stands among the kinds.
var placeOf = func() (places [record.Kinds]int) {
	for i, k := range kinds {
		places[k] = i
	}
	return places
}()

// keysOf builds the keys of a site. The braces make a Cluster keep all of them
// on one server.
func keysOf(prefix, site string) []string {
	keys := []string{"site", "commits", "log", "damaged"}
	for _, k := range kinds {
		keys = append(keys, k.String())
	}
	for i, name := range keys {
		keys[i] = prefix + ":{" + site + "}:" + name
	}
	return keys
}

// appendField spells what a record is named by: a number in decimal, a name as it
// is, a cohort as start/tier/queue and totals as tier/queue.
func appendField(b []byte, k record.Key) []byte {
	switch {
	case k.Kind.Numbered():
		return strconv.AppendUint(b, k.Number, 10)
	case k.Kind == record.Cohorts:
		b = append(strconv.AppendUint(b, k.Number, 10), '/')
		fallthrough
	case k.Kind == record.Totals:
		b = append(strconv.AppendUint(b, uint64(k.Tier), 10), '/')
	}
	return append(b, k.Name...)
}

// errField says that a field is none that appendField spells.
var errField = errors.New("it is no name of a record")

// parseField is the opposite of appendField.
func parseField(kind record.Kind, field string) (k record.Key, err error) {
	k.Kind = kind
	next := func(bits int) (n uint64) {
		head, rest, found := strings.Cut(field, "/")
		if !found {
			err = errField
		}
		n, fault := strconv.ParseUint(head, 10, bits)
		if field = rest; fault != nil {
			err = errField
		}
		return n
	}
	switch {
	case kind.Numbered():
		if k.Number, err = strconv.ParseUint(field, 10, 64); err != nil {
			err = errField
		}
		return k, err
	case kind == record.Cohorts:
		k.Number = next(64)
		fallthrough
	case kind == record.Totals:
		k.Tier = uint8(next(8))
	}
	k.Name = field
	return k, err
}
