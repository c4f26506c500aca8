package rpc

import (
	"sync"

	"google.golang.org/protobuf/proto"

	"greenlane/queue"
)

// identified is a request that may be repeated safely.
type identified interface {
	proto.Message
	GetRequestId() string
}

// requestOf makes the engine's protection of a repeatable request: its id, and
// a hash of everything else, by which a reuse of the id for something else is
// noticed. clear takes the id out of the message (and puts it back), since it is
// no part of the contents.
func requestOf(m identified, id *string) queue.Request {
	if *id == "" {
		return queue.Request{}
	}
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	kept := *id
	*id = ""
	wire, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend((*buf)[:0], m)
	*id = kept
	if err != nil {
		// Only text that is no UTF-8 can't be written, and none comes in over the
		// wire. The id alone then protects.
		return queue.Request{ID: kept}
	}
	*buf = wire
	return queue.Request{ID: kept, Print: fnv64a(wire)}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// fnv64a is FNV-1a. The fingerprint is stored and compared after a restart and
// by other daemons, so it can't be a seeded hash.
func fnv64a(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
