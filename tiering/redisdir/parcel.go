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

// maxBuckets is how many buckets a byte of lua/put.lua can tell apart.
const maxBuckets = 250

// parcels packs the runs, which are in the order of their places.
func (b *batch) parcels(runs []*run) []*parcel {
	var out []*parcel
	var p *parcel
	bucket := uint32(0)
	for _, r := range runs {
		size := len(r.stored.value) + len(r.want) + 2*len(r.long) + len(r.field)
		if p == nil || p.shard != r.shard() || len(p.runs) >= callChanges || p.keys >= maxBuckets || p.bytes+size > callBytes {
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
	p.call.keys = make([]string, 0, 3+p.keys)
	p.call.keys = append(p.call.keys, countsKey(b.site, p.shard), extraKey(b.site, p.shard), asideKey(b.site, p.shard))
	heads := make([]byte, 0, 5*len(p.runs))
	messages := make([]byte, 0, 24*len(p.runs))
	p.args = append(make([]any, 0, 4+4*len(p.runs)), channel, messageStart(b.d.origin, b.site), "", "")
	bucket := uint32(buckets)
	for _, r := range p.runs {
		if r.bucket != bucket {
			p.call.keys = append(p.call.keys, bucketKey(b.site, r.bucket))
			bucket = r.bucket
		}
		before := len(messages)
		if alters(r.stored.entry, r.after) || r.cause != nil {
			messages = appendChange(messages, r.place, r.want, r.long)
		}
		what := r.what()
		heads = append(heads, byte(len(p.call.keys)-3), what, r.tiers())
		heads = binary.BigEndian.AppendUint16(heads, uint16(len(messages)-before))
		p.args = append(p.args, r.field)
		if op := what & 7; op == opReplace || op == opDelete {
			p.args = append(p.args, r.stored.value)
		}
		if r.want != "" {
			p.args = append(p.args, r.want)
		}
		switch {
		case what&withLong != 0:
			p.args = append(p.args, r.extraField(), r.long)
		case what&withoutLong != 0:
			p.args = append(p.args, r.extraField())
		}
		if what&withAside != 0 {
			p.args = append(p.args, asideField(r.bucket, r.field))
		}
	}
	p.args[2], p.args[3] = string(messages), string(heads)
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

// tiers returns the tiers counted until now and from now on, as lua/put.lua reads
// them. Under what something unreadable was counted, nobody knows: the shard is
// counted anew.
func (r *run) tiers() byte {
	var from, to tiering.Tier
	if r.stored.value != "" && r.cause == nil {
		from = tierOf(r.stored.value)
	}
	if r.want != "" {
		to = tierOf(r.want)
	}
	return byte(from)<<3 | byte(to)
}

// asideField is the name under which something unreadable is kept: the instant
// keeps a second one from the same place apart.
func asideField(bucket uint32, field string) string {
	return fmt.Sprintf("%03x:%x:%d", bucket&(perShard-1), field, time.Now().UnixNano())
}
