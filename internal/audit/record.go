package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// What a record is.
const (
	Intent  = "intent"  // a change is about to be made
	Outcome = "outcome" // how the change of the intent Of ended
	Fact    = "fact"    // something happened that nobody waits for
)

// The record's own actions, written by Log. All others are named by those who
// write them.
const (
	ActionFile       = "audit.file"       // the first record of every file
	ActionCheckpoint = "audit.checkpoint" // a signature
	ActionRecovered  = "audit.recovered"  // the end of a record that was never whole was taken off
	ActionDamaged    = "audit.damaged"    // the file before this one is not as it was written
	ActionTrimmed    = "audit.trimmed"    // old files are about to be removed
)

// What a daemon says of itself.
const (
	ActionStart = "daemon.start"
	ActionStop  = "daemon.stop"
)

// Record is one line of the record. Its JSON is what is hashed, so a field that
// was once written is never renamed.
type Record struct {
	// Seq counts the records of a chain from 1, without gaps, over all its files.
	Seq uint64 `json:"seq"`
	// At is when it was written, by the daemon's clock: RFC 3339 in UTC with
	// milliseconds.
	At     string  `json:"at"`
	Kind   string  `json:"kind"`
	Action string  `json:"action"`
	Site   string  `json:"site,omitempty"`
	Who    *Who    `json:"who,omitempty"` // nil: the daemon itself
	Object *Object `json:"object,omitempty"`
	// Want is what an intent asks for; Before and After are how it was and is.
	Want      map[string]string `json:"want,omitempty"`
	Before    map[string]string `json:"before,omitempty"`
	After     map[string]string `json:"after,omitempty"`
	Items     []Item            `json:"items,omitempty"`
	RequestID string            `json:"request_id,omitempty"`
	// Of is the intent that an outcome belongs to.
	Of uint64 `json:"of,omitempty"`
	// Code is the gRPC code that an outcome was answered with, such as "OK".
	Code string `json:"code,omitempty"`
	// Detail is what a fact has to say.
	Detail map[string]string `json:"detail,omitempty"`
	File   *FileStart        `json:"file,omitempty"`
	Sign   *Signature        `json:"sign,omitempty"`
}

// Who made a request.
type Who struct {
	Name  string `json:"name,omitempty"`
	Roles string `json:"roles,omitempty"`
	By    string `json:"by,omitempty"`   // how it was proved: certificate, token, or open when nobody was asked
	Peer  string `json:"peer,omitempty"` // the address it came from
}

// Object is what a change is made to. A caller is in it as Log.Caller gives one.
type Object struct {
	Call      string `json:"call,omitempty"`
	Agent     string `json:"agent,omitempty"`
	Callback  string `json:"callback,omitempty"`
	Queue     string `json:"queue,omitempty"`
	Caller    string `json:"caller,omitempty"`     // masked but for the last four digits
	CallerKey string `json:"caller_key,omitempty"` // a keyed hash of the number, when there is a key
}

// Item is one of many changes that one request asks for.
type Item struct {
	Caller    string `json:"caller"`
	CallerKey string `json:"caller_key,omitempty"`
	Tier      string `json:"tier"`
}

// FileStart is in the first record of a file.
type FileStart struct {
	Chain  string `json:"chain"`  // names the chain, at random
	Number int    `json:"number"` // of the file, from 1
	Prev   string `json:"prev"`   // hash of the record before, in the file before
}

// Signature signs all records before its own.
type Signature struct {
	Key   string `json:"key"`   // Key.ID
	Value string `json:"value"` // Ed25519, base64
}

const timeForm = "2006-01-02T15:04:05.000Z"

func (r *Record) stamp(seq uint64, at time.Time) {
	r.Seq, r.At = seq, at.UTC().Format(timeForm)
}

// Time is At as a time; the zero one when it does not read.
func (r *Record) Time() time.Time {
	t, err := time.Parse(time.RFC3339, r.At)
	if err != nil {
		return time.Time{}
	}
	return t
}

// body is the record's own JSON, without the hash.
func (r *Record) body() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
