package abuse

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// httpAttacks are those on the HTTP port of a daemon that speaks TLS, as browsers
// speak HTTP/2 there, and HTTP/1.1. Against headers that are too large net/http defends
// itself: it reads no further, and closes the connection a second later.
var httpAttacks = []Attack{
	{Name: "HTTP/2 rapid reset", Run: webDoor.rapidReset(boardPath), Defence: cut("http", "resets"), secure: true},
	{Name: "HTTP/2 tiny DATA", Run: postDoor.tinyData(arrivedPath), Defence: cut("http", "frames"), secure: true},
	{Name: "HTTP/2 endless CONTINUATION", Run: webDoor.continuation(healthPath), secure: true},
	{Name: "HTTP/2 pings", Run: webDoor.pings(healthPath), Defence: cut("http", "frames"), secure: true},
	{Name: "HTTP/2 settings", Run: webDoor.settings, Defence: cut("http", "frames"), secure: true},
	{Name: "HTTP/2 oversized metadata", Run: webDoor.metadata(healthPath), secure: true},
	{Name: "HTTP/2 streams that never read", Run: neverReadStreams, Defence: `greenlaned_limit_reached_total{limit="streams"`, secure: true},
	{Name: "slow headers", Run: slowly("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Filler: "), secure: true},
	{Name: "slow bodies", Run: slowly("POST " + arrivedPath + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"), secure: true},
	{Name: "packed bombs", Run: pipelined(bomb()), Defence: cut("http", "refusals"), secure: true},
	{Name: "scrapes", Run: pipelined("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"), Defence: cut("http", "refusals"), secure: true},
	{Name: "handshakes", Run: handshakes, Defence: cut("grpc", "wasted"), secure: true},
}

const (
	boardPath  = "/wallboard/stream"
	healthPath = "/healthz"
)

// neverReadStreams has as many wallboards on one connection as it may, and reads
// none of them.
func neverReadStreams(ctx context.Context, t Target) error {
	var wires []*wire
	defer func() {
		for _, w := range wires {
			_ = w.Close() // the daemon may have done so
		}
	}()
	for range max(1, t.Clients/100) {
		w, err := webDoor.dial(ctx, t, false)
		if err != nil {
			continue // turned away
		}
		wires = append(wires, w)
		_ = w.WriteWindowUpdate(0, 1<<30)
		for range 1000 {
			if id, err := w.open(boardPath, true); err != nil || w.WriteWindowUpdate(id, 1<<30) != nil {
				break
			}
		}
		_ = w.out.Flush() // it may have been cut
	}
	<-ctx.Done()
	return nil
}

// slowly begins a request on many connections and goes on with it a byte at a time.
// Whoever is cut off comes back.
func slowly(begin string) func(context.Context, Target) error {
	return func(ctx context.Context, t Target) error {
		var all sync.WaitGroup
		for range t.Clients {
			all.Go(func() {
				for ctx.Err() == nil {
					trickle(ctx, t, begin)
				}
			})
		}
		all.Wait()
		return nil
	}
}

func trickle(ctx context.Context, t Target, begin string) {
	next := time.NewTicker(100 * time.Millisecond)
	defer next.Stop()
	conn, err := webDoor.connect(ctx, t, "http/1.1")
	if err == nil {
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		defer conn.Close()
		_, err = io.WriteString(conn, begin)
	}
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
		_, err = io.WriteString(conn, "x")
	}
}

// handshakes begins TLS at the API's port again and again, and makes nothing of it:
// the daemon answers with all that is dear, and the attacker only listens.
func handshakes(ctx context.Context, t Target) error {
	hello, err := clientHello(t)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := t.dialer().DialContext(ctx, "tcp", t.Addr)
				if err != nil {
					continue // the system has no port left, or the daemon is gone
				}
				end := context.AfterFunc(ctx, func() { _ = conn.Close() })
				if _, err := conn.Write(hello); err == nil {
					_, _ = conn.Read(make([]byte, 1)) // whatever it is, or the end
				}
				end()
				_ = conn.Close() // nothing is wanted of it
			}
		})
	}
	all.Wait()
	return nil
}

// clientHello returns how a client begins to speak TLS.
func clientHello(t Target) ([]byte, error) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() { _ = tls.Client(near, t.tls("h2")).Handshake() }() // it fails when far is closed
	hello := make([]byte, 16<<10)
	n, err := far.Read(hello)
	return hello[:n], err
}

// pipelined makes a request of HTTP/1.1 as fast as it is taken in.
func pipelined(request string) func(context.Context, Target) error {
	many := strings.Repeat(request, max(1, (64<<10)/len(request)))
	return func(ctx context.Context, t Target) error {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				pause := time.NewTicker(5 * time.Millisecond)
				defer pause.Stop()
				for ctx.Err() == nil {
					if conn, err := webDoor.connect(ctx, t, "http/1.1"); err == nil {
						pour(ctx, conn, many)
					}
					<-pause.C
				}
			})
		}
		all.Wait()
		return nil
	}
}

func pour(ctx context.Context, conn net.Conn, text string) {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// bomb is a request that unpacks to a thousand times its size.
func bomb() string {
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	blank := make([]byte, 1<<20)
	for range 32 {
		_, _ = gz.Write(blank) // into memory
	}
	_ = gz.Close()
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
		arrivedPath, packed.Len(), packed.String())
}
