package h2limit

import (
	"net"

	"google.golang.org/grpc/credentials"
)

// Credentials returns c with the frames of every connection counted, behind its
// handshake: that is where they can be read.
func (g *Gate) Credentials(c credentials.TransportCredentials) credentials.TransportCredentials {
	return &creds{TransportCredentials: c, gate: g}
}

type creds struct {
	credentials.TransportCredentials
	gate *Gate
}

// ServerHandshake implements credentials.TransportCredentials.
func (c *creds) ServerHandshake(raw net.Conn) (conn net.Conn, info credentials.AuthInfo, err error) {
	turn := c.gate.Turn(raw)
	err = turn.Shake(func() error {
		conn, info, err = c.TransportCredentials.ServerHandshake(turn)
		return err
	})
	if err != nil {
		c.gate.wasted(addressOf(raw.RemoteAddr()), 0)
		return nil, nil, err
	}
	if conn == turn {
		conn = raw // nothing stands between, and the turn is over
	}
	return c.gate.Meter(conn), info, nil
}

// Clone implements credentials.TransportCredentials.
func (c *creds) Clone() credentials.TransportCredentials {
	return &creds{TransportCredentials: c.TransportCredentials.Clone(), gate: c.gate}
}
