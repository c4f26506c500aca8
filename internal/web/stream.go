package web

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net/http"
	"time"
)

// mostReaders is how many wallboards of one site may be open.
const mostReaders = 5000

// stallLimit is how long a client may leave a write waiting.
const stallLimit = 20 * time.Second

// A gzip stream (RFC 1952) is a head (deflate, no name, no time, unknown system),
// deflate blocks, the last of them marked so (here an empty one), and a sum.
const (
	gzipHead = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	gzipLast = "\x01\x00\x00\xff\xff"
)

// stream is one open wallboard.
type stream struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	packed bool
	sum    uint32 // of what was sent, before it was packed
	size   uint32
}

// serveStream sends a site's figures for as long as the client reads them.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("site")
	if name == "" {
		name = s.opts.DefaultSite
	}
	b := s.boards[name]
	if b == nil {
		http.Error(w, "site: no site of this daemon has that name", http.StatusNotFound)
		return
	}
	me := b.join(mostReaders)
	if me == nil {
		http.Error(w, "too many wallboards are open", http.StatusServiceUnavailable)
		return
	}
	defer b.leave(me)
	st := &stream{w: w, rc: http.NewResponseController(w), packed: acceptsGzip(r)}
	// Only errors of a client that has gone, or does not read, end a stream.
	_ = st.run(r.Context(), s.opts.Stopping, me, hello{
		Site: name, Now: b.Engine.Now(), Zone: b.Config.Zone.String(), Version: s.opts.Version, Beat: beatEvery.Milliseconds(),
	})
}

func (st *stream) run(ctx context.Context, stopping <-chan struct{}, me *reader, first hello) error {
	h := st.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Add("Vary", "Accept-Encoding")
	if st.packed {
		h.Set("Content-Encoding", "gzip")
	}
	// The server's deadlines are for requests that end.
	if err := st.rc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	begin, err := newFrame("hello", first)
	if err != nil {
		return err
	}
	if st.packed {
		begin.packed = append([]byte(gzipHead), begin.packed...)
	}
	if err := st.send(begin); err != nil {
		return err
	}
	for {
		select {
		case <-me.news:
			next := me.take()
			if err := st.send(next[:]...); err != nil {
				return err
			}
		case <-stopping:
			return st.end()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send writes frames, those that there are, and makes them leave.
func (st *stream) send(frames ...*frame) error {
	if err := st.rc.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil {
		return err
	}
	for _, f := range frames {
		if f == nil {
			continue
		}
		text := f.plain
		if st.packed {
			st.sum, st.size = crc32.Update(st.sum, crc32.IEEETable, f.plain), st.size+uint32(len(f.plain))
			text = f.packed
		}
		if _, err := st.w.Write(text); err != nil {
			return err
		}
	}
	return st.rc.Flush()
}

// end ends the stream as its encoding asks for.
func (st *stream) end() error {
	if !st.packed {
		return nil
	}
	last := binary.LittleEndian.AppendUint32([]byte(gzipLast), st.sum)
	_, err := st.w.Write(binary.LittleEndian.AppendUint32(last, st.size))
	return err
}
