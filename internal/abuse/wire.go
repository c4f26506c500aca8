package abuse

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// wire is one hostile connection.
type wire struct {
	net.Conn
	out *bufio.Writer
	*http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
}

// dialer comes from another address of this machine than everybody else, where that
// is possible: what a daemon does to an address, it does to the hostile one.
func (t Target) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: time.Second}
	if runtime.GOOS == "linux" && t.from > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, t.from)}
	}
	return d
}

// dial opens a connection; what the daemon answers is thrown away when read is
// true, and left in the socket otherwise.
func dial(ctx context.Context, t Target, read bool) (*wire, error) {
	conn, err := t.dialer().DialContext(ctx, "tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, out: bufio.NewWriterSize(conn, 64<<10), next: 1}
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
func (w *wire) request(path string, more ...string) []byte {
	w.block.Reset()
	fields := append([]string{
		":method", "POST", ":scheme", "http", ":path", path, ":authority", "greenlane", "content-type", "application/grpc", "te", "trailers",
	}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = w.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}) // into memory
	}
	return w.block.Bytes()
}

// open begins a request and returns its stream.
func (w *wire) open(path string, end bool) (uint32, error) {
	id := w.next
	w.next += 2
	return id, w.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: w.request(path), EndHeaders: true, EndStream: end})
}

// again repeats one connection's abuse until ctx ends: who is cut off comes back.
func again(ctx context.Context, t Target, do func(w *wire) error) error {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for ctx.Err() == nil {
		w, err := dial(ctx, t, true)
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
