package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"greenlane/internal/h2limit"
)

// webListener accepts the HTTP port's connections, with TLS if there is any, and has
// what comes over them counted where it can be read: behind TLS. net/http takes only
// its own *tls.Conn for TLS; it speaks HTTP/2 over anything else that begins with
// HTTP/2's preface (http.Protocols.SetUnencryptedHTTP2).
type webListener struct {
	net.Listener
	gate *h2limit.Gate
	tls  *tls.Config // nil: none
}

// Accept implements net.Listener.
func (l *webListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.tls == nil {
		if c != nil {
			c = l.gate.Meter(c)
		}
		return c, err
	}
	turn := l.gate.Turn(c)
	inner := tls.Server(turn, l.tls)
	return &webConn{Conn: l.gate.Meter(&plainspoken{Conn: inner, turn: turn}), tls: inner}, nil
}

// webConn is a connection that speaks TLS.
type webConn struct {
	net.Conn
	tls   *tls.Conn
	once  sync.Once
	state *tls.ConnectionState
}

// peer returns what TLS knows of the client, once it has said anything.
func (c *webConn) peer() *tls.ConnectionState {
	c.once.Do(func() {
		state := c.tls.ConnectionState()
		c.state = &state
	})
	return c.state
}

// plainspoken shakes hands when it is read from first, and tells a client in plain
// words that TLS is spoken here, when it does not speak it.
type plainspoken struct {
	*tls.Conn
	turn *h2limit.Turn
	once sync.Once
}

// Read implements net.Conn.
func (c *plainspoken) Read(p []byte) (int, error) {
	c.once.Do(func() {
		var strange tls.RecordHeaderError
		if !errors.As(c.turn.Shake(c.Handshake), &strange) || strange.Conn == nil {
			return // what else went wrong, reading tells
		}
		switch string(strange.RecordHeader[:]) {
		case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO":
			// Whether it still listens is its own affair.
			_, _ = io.WriteString(strange.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS.\n")
		}
	})
	return c.Conn.Read(p)
}

type webConnKey struct{}

// webContext is http.Server.ConnContext: requests then know their connection.
func webContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(h2limit.WithPeer(ctx, c.RemoteAddr()), webConnKey{}, c)
}

// overTLS tells requests what TLS knows of their client, as net/http does by itself
// where the TLS is its own.
func overTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(webConnKey{}).(*webConn); ok {
			r.TLS = c.peer()
		}
		next.ServeHTTP(w, r)
	})
}

// webProtocols are what the HTTP port speaks: HTTP/2 only over TLS.
func webProtocols(secure bool) *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(secure)
	return p
}
