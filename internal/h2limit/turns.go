package h2limit

import (
	"net"
	"runtime"
)

// turns lets few handshakes at a time use a processor: half of the processors, and
// one at least. A crowd of strangers that all want to shake hands, which is the
// dearest thing that one may ask for before anybody knows who it is, then waits for
// itself, and not everybody for it.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)/2)) }

// Turn is a connection whose handshake waits for its turn. Before and after it, it is
// the connection and nothing else.
type Turn struct {
	net.Conn
	all  turns
	mine bool
}

// Turn returns c, to shake hands over.
func (g *Gate) Turn(c net.Conn) *Turn { return &Turn{Conn: c, all: g.turns} }

// Shake has shake, which shakes hands over t, wait for its turn. While it waits for
// the client, it is others' turn.
func (t *Turn) Shake(shake func() error) error {
	t.all <- struct{}{}
	t.mine = true
	defer func() {
		t.mine = false
		<-t.all
	}()
	return shake()
}

// Read implements net.Conn.
func (t *Turn) Read(p []byte) (int, error) {
	if !t.mine {
		return t.Conn.Read(p)
	}
	<-t.all
	n, err := t.Conn.Read(p)
	t.all <- struct{}{}
	return n, err
}
