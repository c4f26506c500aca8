package redisq

import "fmt"

// DefaultPrefix begins the name of every key.
const DefaultPrefix = "greenlane"

// schemaVersion names the layout of the keys and records. A site of another
// version is refused.
const schemaVersion = "2"

// keyNames are the keys of a site in the order in which scripts get them. Every
// script gets all of them: which ones it touches depends on what is due and who
// waits, and Redis wants to know all keys beforehand. Scripts know them as
// key_<name>.
var keyNames = [...]string{
	"site",        // hash: schema, print, config, words, zones, meta; queue:<name>, state:<name>
	"calls",       // hash: call id -> call
	"agents",      // hash: agent id -> agent
	"offers",      // hash: epoch -> offer
	"callbacks",   // hash: callback id -> callback
	"lines",       // sorted set: every line, see lua/lib/line.lua
	"idle",        // sorted set by name: the idle agents of every queue and level
	"live",        // sorted set: the live offers that a VIP may take back, by queue
	"held",        // sorted set by name: calls that wait for their preferred agent
	"declined",    // sorted set: those in line that somebody declined, placed as in lines
	"timers",      // sorted set: class, sequence and id of every record with a deadline
	"callers",     // hash: caller's number -> a waiting call
	"samecaller",  // sorted set by name: number and id of its other waiting calls
	"promised",    // hash: queue and number -> the open callback
	"promises",    // sorted set: open callbacks by due time and by deadline
	"ended",       // sorted set: ended calls by their end
	"endedbacks",  // sorted set: ended callbacks by their end
	"requests",    // hash: kind and request id -> the first answer
	"requestlist", // list: instant, sequence, kind and request id, oldest first
	"daemons",     // hash: o:<owner> -> lease, s:<switch> -> attachment
	"streams",     // sorted set by name: agents whose stream lives by a daemon's lease
	"ringing",     // set: agents whose phone switches ring
	"totals",      // hash: queue number/tier/counter -> number
	"cohorts",     // hash: interval or day/queue number/tier -> counters
	"log",         // stream: event <sequence>-0 -> e
	"damaged",     // hash: key and field -> what could not be read
}

// Places of the keys that are also read without a script.
const (
	keySite = iota
	keyCalls
	keyAgents
	keyOffers
	keyCallbacks
	keyLines
	keyIdle
	keyLive
	keyHeld
	keyDeclined
	keyTimers
	keyCallers
	keySameCaller
	keyPromised
	keyPromises
	keyEnded
	keyEndedBacks
	keyRequests
	keyRequestList
	keyDaemons
	keyStreams
	keyRinging
	keyTotals
	keyCohorts
	keyLog
	keyDamaged
)

// keysOf builds the keys of a site. The braces make a Cluster keep all of them
// on one server.
func keysOf(prefix, site string) []string {
	keys := make([]string, len(keyNames))
	for i, name := range keyNames {
		keys[i] = prefix + ":{" + site + "}:" + name
	}
	return keys
}

// keyPlaces maps the names of keys in the scripts to where they are found.
var keyPlaces = func() map[string]string {
	places := map[string]string{}
	for i, name := range keyNames {
		places["key_"+name] = fmt.Sprintf("KEYS[%d]", i+1)
	}
	return places
}()
