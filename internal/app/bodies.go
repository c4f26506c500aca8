package app

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"greenlane/internal/h2limit"
)

// What the bodies of requests at the HTTP port may hold, whoever sends them. A
// browser's are far smaller; what needs more goes over gRPC.
const (
	// maxWebMessage is the largest message there, unpacked.
	maxWebMessage = 1 << 20
	// smallMessage is what every request may have announced without more ado, and
	// largeTogether what all that announce more may, together: the transcoder takes
	// the room for a message when it is announced, and it may never come.
	smallMessage  = 16 << 10
	largeTogether = 16 << 20
	// What is sent of a body that was refused is read all the same, since who still
	// sends when a connection is closed sees that it broke, and not the answer: for
	// overlookFor, as what does not come is not waited for, and overlookMost of it.
	overlookFor  = time.Second
	overlookMost = 2 * maxWebMessage
)

// bodies bounds the room that announced messages take.
type bodies struct {
	next   http.Handler
	refuse *connect.ErrorWriter
	held   atomic.Int64
}

func newBodies(next http.Handler) *bodies {
	return &bodies{next: next, refuse: connect.NewErrorWriter()}
}

// ServeHTTP implements http.Handler.
func (b *bodies) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := &body{ReadCloser: r.Body, all: b, rc: http.NewResponseController(w)}
	defer in.release()
	kind := r.Header.Get("Content-Type")
	in.framed = strings.HasPrefix(kind, "application/grpc") || strings.HasPrefix(kind, "application/connect+")
	if !in.framed {
		if err := in.hold(r.ContentLength, maxWebMessage); err != nil {
			in.end()
			_, _ = io.CopyN(io.Discard, r.Body, overlookMost) // nothing is done with it
			_ = b.refuse.Write(w, r, err)                     // the client may have gone
			return
		}
		in.whole = r.ContentLength < 0
	}
	r = r.WithContext(h2limit.WithExcuse(r.Context())) // a copy, as the server goes by its own request's body
	r.Body = in
	b.next.ServeHTTP(&charging{ResponseWriter: w, r: r}, r)
}

// charging is an answer that has the client's address pay when it says that the
// client asked for what it should not have, unless it is known who that is.
type charging struct {
	http.ResponseWriter
	r *http.Request
}

// Unwrap lets http.ResponseController find what is below.
func (w *charging) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *charging) WriteHeader(code int) {
	switch {
	case code == http.StatusTooManyRequests: // what RESOURCE_EXHAUSTED is there
		h2limit.ChargeContext(w.r.Context(), h2limit.RefusalCost)
	case code >= 400 && code < 500:
		h2limit.ChargeContext(w.r.Context(), h2limit.MistakeCost)
	}
	w.ResponseWriter.WriteHeader(code)
}

// Flush implements http.Flusher.
func (w *charging) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// body is a request's, while it is read.
type body struct {
	io.ReadCloser
	all    *bodies
	rc     *http.ResponseController
	framed bool // messages with a flag and their length before each
	whole  bool // one message, of a length that was not announced
	read   int64
	held   int64

	prefix [5]byte
	have   int   // bytes of prefix
	skip   int64 // bytes of the message at hand
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if held := b.look(p[:n]); held != nil {
		b.end()
		return 0, held
	}
	return n, err
}

// end has the body end soon, whatever has come of it.
func (b *body) end() { _ = b.rc.SetReadDeadline(time.Now().Add(overlookFor)) } // without it the server's own holds

func (b *body) look(p []byte) error {
	if b.whole {
		// One that is too long is the transcoder's to refuse, which knows what to answer.
		if b.read += int64(len(p)); b.read > max(b.held, smallMessage) && b.held < maxWebMessage {
			if err := b.hold(min(b.read+smallMessage, maxWebMessage), maxWebMessage); err != nil {
				return err
			}
		}
	}
	for b.framed && len(p) > 0 {
		if b.skip > 0 {
			n := min(b.skip, int64(len(p)))
			b.skip, p = b.skip-n, p[n:]
			continue
		}
		n := copy(b.prefix[b.have:], p)
		b.have, p = b.have+n, p[n:]
		if b.have < len(b.prefix) {
			break
		}
		b.have, b.skip = 0, int64(binary.BigEndian.Uint32(b.prefix[1:]))
		if err := b.hold(b.skip, maxWebMessage); err != nil {
			return err
		}
	}
	return nil
}

// hold has the request hold room for a message of some bytes, at most most, in place
// of the one before.
func (b *body) hold(bytes, most int64) *connect.Error {
	switch {
	case bytes > most:
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("a message may have %d bytes at this port", maxWebMessage))
	case bytes <= max(b.held, smallMessage):
		return nil
	}
	if b.all.held.Add(bytes-b.held) > largeTogether {
		b.all.held.Add(b.held - bytes)
		return connect.NewError(connect.CodeUnavailable, errors.New("there is no room for large messages now: try again later, or use gRPC"))
	}
	b.held = bytes
	return nil
}

func (b *body) release() { b.all.held.Add(-b.held) }

// unpacker is gzip's reader, which ends beyond maxWebMessage: a few bytes unpack to
// any number.
type unpacker struct {
	gzip.Reader
	left int64
}

func newUnpacker() connect.Decompressor { return &unpacker{} }

func newPacker() connect.Compressor { return gzip.NewWriter(io.Discard) }

// Reset implements connect.Decompressor.
func (u *unpacker) Reset(r io.Reader) error {
	u.left = maxWebMessage
	return u.Reader.Reset(r)
}

// Read implements io.Reader.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p[:min(int64(len(p)), u.left+1)])
	if u.left -= int64(n); u.left < 0 {
		return 0, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("a message may have %d bytes at this port, unpacked", maxWebMessage))
	}
	return n, err
}
