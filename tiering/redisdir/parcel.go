package redisdir

import (
	"encoding/binary"
	"fmt"
	"time"

	"greenlane/tiering"
)

// What a change does, as lua/put.lua reads it.
const (
	opInsert = iota
	opReplace
	opDelete
	opLook

	withLong    = 8  // store a long value
	withoutLong = 16 // delete one
	withAside   = 32 // set aside what was there
	sameBucket  = 64 // as the group before
)

// parcel is one script's worth of runs, all of one shard.
type parcel struct {
	call
	shard int
	runs  []*run

	keys    int // buckets among them
	bytes   int
	removes bool // nothing is stored by it
}

// maxGroup is how many changes a byte of lua/put.lua can count.
const maxGroup = 255

// parcels packs the runs, which are in the order of their places.
func (b *batch) parcels(runs []*run) []*parcel {
	var out []*parcel
	var p *parcel
	bucket := uint32(0)
	for _, r := range runs {
		size := len(r.stored.value) + len(r.want) + 2*len(r.long) + len(r.field)
		if p == nil || p.shard != r.shard() || len(p.runs) >= callChanges || p.bytes+size > callBytes {
			p = &parcel{shard: r.shard(), removes: true}
			out, bucket = append(out, p), buckets
		}
		if r.bucket != bucket {
			p.keys++
			bucket = r.bucket
		}
		p.bytes += size
		p.removes = p.removes && r.want == ""
		p.runs = append(p.runs, r)
	}
	for _, p := range out {
		b.pack(p)
	}
	return out
}

// pack writes the keys and arguments of lua/put.lua.
func (b *batch) pack(p *parcel) {
	p.script = putScript
	if p.removes {
		p.script = dropScript
	}
	p.call.keys = make([]string, 0, 4+p.keys)
	p.call.keys = append(p.call.keys, countsKey(b.site, p.shard), extraKey(b.site, p.shard), asideKey(b.site, p.shard),
		blackKey(b.site, p.shard))
	const fixed = 7
	p.args = make([]any, fixed, fixed+3*len(p.runs))
	heads, groups := make([]byte, 0, 3*len(p.runs)), make([]byte, 0, 2*len(p.runs))
	messages := make([]byte, 0, 24*len(p.runs))
	var grown [len(tiering.Tiers) + 1]int
	var marks []byte
	bucket := uint32(buckets)
	for i, r := range p.runs {
		same := r.bucket == bucket
		if !same {
			p.call.keys = append(p.call.keys, bucketKey(b.site, r.bucket))
			bucket = r.bucket
		}
		before := len(messages)
		if alters(r.stored.entry, r.after) || r.cause != nil {
			messages = appendChange(messages, r.place, r.want, r.long)
		}
		from, to := r.tiers()
		grown[from]--
		grown[to]++
		heads = append(heads, byte(from)<<3|byte(to))
		if (from == tiering.Blacklist) != (to == tiering.Blacklist) {
			marks = r.appendMark(marks, i+1, to == tiering.Blacklist)
		}
		heads = binary.BigEndian.AppendUint16(heads, uint16(len(messages)-before))
		groups = appendGroup(groups, r.what(), same)
		p.args = r.appendArgs(p.args)
	}
	grows := fmt.Sprintf("%d %d %d %d", grown[tiering.VIP], grown[tiering.Mid], grown[tiering.Ordinary], grown[tiering.Blacklist])
	for i, arg := range [fixed]string{channel, messageStart(b.d.origin, b.site), string(messages), grows, string(heads), string(groups), string(marks)} {
		p.args[i] = arg
	}
}

// appendMark adds that the caller of change number comes on or off the blacklist.
func (p place) appendMark(marks []byte, number int, on bool) []byte {
	member := p.extraField()
	marks = binary.BigEndian.AppendUint16(marks, uint16(number))
	state := byte(0)
	if on {
		state = 1
	}
	return append(append(marks, state, byte(len(member))), member...)
}

// appendGroup adds one change: to the last group when both only insert into the
// same bucket, else as a group of its own.
func appendGroup(groups []byte, what byte, same bool) []byte {
	if n := len(groups); same && what == opInsert && groups[n-1]&^sameBucket == opInsert && groups[n-2] < maxGroup {
		groups[n-2]++
		return groups
	}
	if same {
		what |= sameBucket
	}
	return append(groups, 1, what)
}

// appendArgs adds what lua/put.lua has to know of the run.
func (r *run) appendArgs(args []any) []any {
	what := r.what()
	args = append(args, r.field)
	if op := what & 7; op == opReplace || op == opDelete {
		args = append(args, r.stored.value)
	}
	if r.want != "" {
		args = append(args, r.want)
	}
	switch {
	case what&withLong != 0:
		args = append(args, r.extraField(), r.long)
	case what&withoutLong != 0:
		args = append(args, r.extraField())
	}
	if what&withAside != 0 {
		args = append(args, asideField(r.bucket, r.field))
	}
	return args
}

// what returns the operation of lua/put.lua that makes the run's value.
func (r *run) what() byte {
	var op byte
	switch there := r.stored.value != ""; {
	case there && r.want != "":
		op = opReplace
	case there:
		op = opDelete
	case r.want != "":
		op = opInsert
	default:
		return opLook
	}
	switch {
	case r.long != "":
		op |= withLong
	case elsewhere(r.stored.value) && r.cause == nil:
		op |= withoutLong
	}
	if r.cause != nil {
		op |= withAside
	}
	return op
}

// tiers returns the tiers counted until now and from now on; unset for none. Under what something unreadable was counted, nobody knows: the shard is
// counted anew.
func (r *run) tiers() (from, to tiering.Tier) {
	if r.stored.value != "" && r.cause == nil {
		from = tierOf(r.stored.value)
	}
	if r.want != "" {
		to = tierOf(r.want)
	}
	return from, to
}

// asideField is the name under which something unreadable is kept: the instant
// keeps a second one from the same place apart.
func asideField(bucket uint32, field string) string {
	return fmt.Sprintf("%s%d", asidePrefix(bucket, field), time.Now().UnixNano())
}
