package abuse

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// door is one of the ports of a daemon, and how a request to it begins.
type door struct {
	http   bool
	fields []string // of a request, beside its path
}

var (
	apiDoor = door{fields: []string{":method", "POST", ":scheme", "http", ":authority", "greenlane", "content-type", "application/grpc", "te", "trailers"}}
	webDoor = door{http: true, fields: []string{":method", "GET", ":scheme", "https", ":authority", "localhost"}}
	// postDoor brings a body.
	postDoor = door{http: true, fields: []string{":method", "POST", ":scheme", "https", ":authority", "localhost", "content-type", "application/json"}}
)

// wire is one hostile connection that speaks HTTP/2.
type wire struct {
	net.Conn
	door door
	out  *bufio.Writer
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
}

// connect opens a connection to a door.
func (d door) connect(ctx context.Context, t Target, protocols ...string) (net.Conn, error) {
	addr := t.Addr
	if d.http {
		addr = t.HTTP
	}
	conn, err := t.dialer().DialContext(ctx, "tcp", addr)
	if err != nil || t.CA == nil {
		return conn, err
	}
	secure := tls.Client(conn, t.tls(protocols...))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // it is broken
		return nil, err
	}
	return secure, nil
}

// dial opens a connection; what the daemon answers is thrown away when read is
// true, and left in the socket otherwise.
func (d door) dial(ctx context.Context, t Target, read bool) (*wire, error) {
	conn, err := d.connect(ctx, t, "h2")
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, door: d, out: bufio.NewWriterSize(conn, 64<<10), next: 1}
	w.Framer = http2.NewFramer(w.out, conn)
	w.AllowIllegalWrites = true
	w.enc = hpack.NewEncoder(&w.block)
	if _, err := w.out.WriteString(http2.ClientPreface); err != nil {
		return nil, err
	}
	if err := w.WriteSettings(); err != nil {
		return nil, err
	}
	if read {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
	}
	return w, w.out.Flush()
}

// request returns the block of headers of a request.
func (w *wire) request(path string) []byte {
	w.block.Reset()
	write(w.enc, false, []string{":path", path}, w.door.fields)
	return w.block.Bytes()
}

// write packs names and values, which alternate, into memory; alone means that no other
// block is needed to read them.
func write(enc *hpack.Encoder, alone bool, lists ...[]string) {
	for _, fields := range lists {
		for i := 0; i < len(fields); i += 2 {
			_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: alone})
		}
	}
}

// headers returns a block that means the same wherever it stands in a connection.
func headers(lists ...[]string) []byte {
	var block bytes.Buffer
	write(hpack.NewEncoder(&block), true, lists...)
	return block.Bytes()
}

// open begins a request and returns its stream.
func (w *wire) open(path string, end bool) (uint32, error) {
	id := w.next
	w.next += 2
	return id, w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.request(path), EndHeaders: true, EndStream: end})
}

// again repeats one connection's abuse until ctx ends: who is cut off comes back.
func (d door) again(ctx context.Context, t Target, do func(w *wire) error) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		w, err := d.dial(ctx, t, true)
		if err == nil {
			stop := context.AfterFunc(ctx, func() { _ = w.Close() })
			for err == nil {
				err = do(w)
			}
			stop()
			_ = w.Close() // it is broken already
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return nil
}
