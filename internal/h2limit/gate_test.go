package h2limit

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// comers is a listener of connections that a test makes.
type comers chan net.Conn

func (q comers) Accept() (net.Conn, error) {
	c, ok := <-q
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (comers) Close() error   { return nil }
func (comers) Addr() net.Addr { return nil }

// from is one end of a connection that comes from an address.
type from struct {
	net.Conn
	addr string
}

func (f *from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.addr)) }

func pair(t *testing.T, addr string) (server *from, client net.Conn) {
	a, b := net.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return &from{a, addr}, b
}

type told struct {
	mu   sync.Mutex
	whys []string
}

func (w *told) ended(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whys = append(w.whys, why)
}

func (w *told) take() (out []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out, w.whys = w.whys, nil
	return out
}

func TestAsManyConnectionsAsAllowedAndNotOneMore(t *testing.T) {
	var w told
	g := NewGate(Options{PerAddress: 3, Ended: w.ended})
	q := make(comers, 10)
	l := g.Listen(q)
	in := func(addr, turnedAway string) net.Conn {
		t.Helper()
		server, client := pair(t, addr)
		q <- server
		if turnedAway != "" {
			marker, _ := pair(t, "192.0.2.9:9") // the next that comes in tells that the first did not
			q <- marker
			c, err := l.Accept()
			if err != nil || c.RemoteAddr().String() != "192.0.2.9:9" {
				t.Fatalf("%s was let in: %v %v", addr, c, err)
			}
			_ = c.Close()
			if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s is not closed: %v", addr, err)
			}
			if got := w.take(); len(got) != 1 || got[0] != turnedAway {
				t.Errorf("%s: told %v, want %s", addr, got, turnedAway)
			}
			return nil
		}
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := in("10.0.0.1:1", "")
	in("10.0.0.1:2", "")
	in("[::ffff:10.0.0.1]:3", "") // the same address
	in("10.0.0.1:4", WhyAddress)
	_ = one.Close()
	_ = one.Close() // counted once
	in("10.0.0.1:5", "")
	in("10.0.0.1:6", WhyAddress)
	if g.all != 3 || len(g.byAddress) != 1 {
		t.Errorf("%d connections of %d addresses are counted", g.all, len(g.byAddress))
	}
	if why := g.enter(netip.MustParseAddr("10.0.0.2")); why != "" {
		t.Error(why)
	}
	g.opts.All = 4
	if why := g.enter(netip.MustParseAddr("10.0.0.3")); why != WhyAll {
		t.Errorf("beyond all: %q", why)
	}
	close(q)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener that was closed: %v", err)
	}
}

func TestWhoWasCutIsNotLetInForAMoment(t *testing.T) {
	var w told
	g := NewGate(Options{Ended: w.ended})
	now := time.Unix(1e9, 0)
	g.now = func() time.Time { return now }
	server, client := pair(t, "10.0.0.1:1")
	c := g.Meter(server)
	go func() {
		_, _ = io.WriteString(client, http2.ClientPreface)
		f := http2.NewFramer(client, nil)
		for f.WritePing(false, [8]byte{}) == nil {
		}
	}()
	n, err := io.Copy(io.Discard, c)
	if !errors.Is(err, errCut) {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	if got := w.take(); len(got) != 1 || got[0] != WhyFrames {
		t.Errorf("told %v", got)
	}
	addr := netip.MustParseAddr("10.0.0.1")
	if why := g.enter(addr); why != WhyBanned {
		t.Errorf("at once: %q", why)
	}
	if why := g.enter(netip.MustParseAddr("10.0.0.2")); why != "" {
		t.Errorf("another address: %q", why)
	}
	now = now.Add(banned)
	if why := g.enter(addr); why != "" {
		t.Errorf("later: %q", why)
	}
	for _, want := range []time.Duration{2 * banned, 4 * banned, 8 * banned, 16 * banned, bannedMost, bannedMost} {
		g.ban(addr)
		if now = now.Add(want - 1); g.enter(addr) != WhyBanned {
			t.Errorf("cut again: let in before %v", want)
		}
		if now = now.Add(1); g.enter(addr) != "" {
			t.Errorf("cut again: turned away after %v", want)
		}
	}
	now = now.Add(bannedMost)
	g.ban(addr)
	if now = now.Add(banned); g.enter(addr) != "" {
		t.Error("what is long ago still counts")
	}
}

// A request that was refused is paid for by the connection it came from.
func TestARefusalIsCharged(t *testing.T) {
	var w told
	g := NewGate(Options{Ended: w.ended})
	now := time.Unix(1e9, 0)
	g.now = func() time.Time { return now }
	server, client := pair(t, "10.0.0.1:1")
	c := g.Meter(server)
	if got := c.RemoteAddr().String(); got != "10.0.0.1:1" {
		t.Errorf("it comes from %s", got)
	}
	Charge(server.RemoteAddr(), 1<<40) // no connection of a gate's
	text := newScript()
	_ = text.WriteSettings(make([]http2.Setting, 100)...)
	read := func() error {
		go func() { _, _ = client.Write(text.Next(1)) }()
		_, err := c.Read(make([]byte, 1))
		return err
	}
	for range int(ForGateways.Most)/RefusalCost - 1 {
		Charge(c.RemoteAddr(), RefusalCost)
		if err := read(); err != nil {
			t.Fatal(err)
		}
	}
	Charge(c.RemoteAddr(), 2*RefusalCost)
	if err := read(); !errors.Is(err, errCut) {
		t.Errorf("after too many: %v", err)
	}
	if got := w.take(); len(got) != 1 || got[0] != WhyRefusals {
		t.Errorf("told %v", got)
	}
}

// Who has nothing left for what it does in vain has it on none of its connections.
func TestAnAddressPaysForAllItsConnections(t *testing.T) {
	var w told
	g := NewGate(Options{Ended: w.ended, Allowance: Allowance{Most: 1000, Refill: 100, Wasted: 100}})
	now := time.Unix(1e9, 0)
	g.now = func() time.Time { return now }
	addr, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	waste := func(from netip.Addr, n int) {
		for range n {
			server, _ := pair(t, from.String()+":1")
			c := g.Meter(server)
			_ = c.Close()
			_ = c.Close() // counted once
		}
	}
	waste(addr, 10)
	waste(other, 10)
	if why := g.enter(addr); why != "" {
		t.Errorf("as many in vain as allowed: %q", why)
	}
	now = now.Add(time.Second) // brings one back
	waste(addr, 1)
	if why := g.enter(addr); why != "" {
		t.Errorf("one more, a second later: %q", why)
	}
	waste(addr, 1)
	if why := g.enter(addr); why != WhyBanned {
		t.Errorf("one too many: %q", why)
	}
	if got := w.take(); len(got) != 1 || got[0] != WhyWasted {
		t.Errorf("told %v", got)
	}
	if why := g.enter(other); why != "" {
		t.Errorf("another address: %q", why)
	}
	now = now.Add(banned + time.Second) // it comes back with nothing but what a second brings
	waste(addr, 1)
	if why := g.enter(addr); why != "" {
		t.Errorf("back, and one in vain: %q", why)
	}
	waste(addr, 1)
	if why := g.enter(addr); why != WhyBanned {
		t.Errorf("back, and two in vain: %q", why)
	}
}

// What is no HTTP/2 has no frames; what comes a few bytes at a time costs its address.
func TestTricklesAreCut(t *testing.T) {
	var w told
	g := NewGate(Options{Ended: w.ended, Allowance: Allowance{Most: 100, Refill: 1}})
	now := time.Unix(1e9, 0)
	g.now = func() time.Time { return now }
	read := func(c net.Conn, client net.Conn, text string) error {
		go func() { _, _ = io.WriteString(client, text) }()
		_, err := c.Read(make([]byte, 100))
		return err
	}
	var ends []net.Conn
	var conns []net.Conn
	for range 2 {
		server, client := pair(t, "10.0.0.1:1")
		conns, ends = append(conns, g.Meter(server)), append(ends, client)
	}
	for i := range 100 {
		if err := read(conns[i%2], ends[i%2], "GET / HTTP/1.1\r"[:worthIn-1]); err != nil {
			t.Fatal(i, err)
		}
		if err := read(conns[i%2], ends[i%2], "0123456789abcdef"[:worthIn]); err != nil {
			t.Fatal("what is worth it:", err)
		}
	}
	// net/http reads a byte while it answers.
	go func() { _, _ = io.WriteString(ends[0], "x") }()
	if _, err := conns[0].Read(make([]byte, 1)); err != nil {
		t.Errorf("few, as only few were asked for: %v", err)
	}
	if err := read(conns[0], ends[0], "x"); !errors.Is(err, errCut) {
		t.Errorf("one too many: %v", err)
	}
	if got := w.take(); len(got) != 1 || got[0] != WhyTrickle {
		t.Errorf("told %v", got)
	}
}

// Who comes again and again, although it is turned away, is not told so at once.
func TestWhoIsTurnedAwayWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate(Options{})
		g.ban(netip.MustParseAddr("10.0.0.1"))
		q := make(comers, waitingMost+1)
		var clients []net.Conn
		for range waitingMost + 1 {
			server, client := pair(t, "10.0.0.1:1")
			q <- server
			clients = append(clients, client)
		}
		close(q)
		if _, err := g.Listen(q).Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		ended := make(chan time.Duration, len(clients))
		began := time.Now()
		for _, c := range clients {
			go func() {
				_, _ = c.Read(make([]byte, 1))
				ended <- time.Since(began)
			}()
		}
		for i := range clients {
			want := waitingFor
			if i == 0 { // the one that is too many
				want = 0
			}
			if got := <-ended; got != want {
				t.Fatalf("the end of connection %d came after %v, want %v", i, got, want)
			}
		}
		synctest.Wait() // a client may see the end before it is counted
		if n := g.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// While one who shakes hands waits for its client, it is others' turn.
func TestHandshakesTakeTurns(t *testing.T) {
	g := NewGate(Options{})
	g.turns = make(turns, 1)
	server, client := pair(t, "10.0.0.1:1")
	slow := g.Turn(server)
	reads, shaken := make(chan bool), make(chan error)
	go func() {
		shaken <- slow.Shake(func() error {
			close(reads)
			_, err := slow.Read(make([]byte, 1))
			return err
		})
	}()
	<-reads
	if err := g.Turn(nil).Shake(func() error {
		go func() { _, _ = io.WriteString(client, "x") }()
		select {
		case err := <-shaken:
			t.Errorf("two at a time: %v", err)
		default:
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := <-shaken; err != nil {
		t.Error(err)
	}
	go func() { _, _ = io.WriteString(client, "x") }()
	if _, err := slow.Read(make([]byte, 1)); err != nil {
		t.Errorf("after the handshake: %v", err)
	}
}

func TestWhatAPeerCannotChangeOfItsAddress(t *testing.T) {
	of := func(addr string) netip.Addr { return addressOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))) }
	for _, x := range []struct {
		what, a, b string
		same       bool
	}{
		{"two ports", "10.0.0.1:1", "10.0.0.1:2", true},
		{"two addresses", "10.0.0.1:1", "10.0.0.2:1", false},
		{"an IPv4 address as IPv6", "10.0.0.1:1", "[::ffff:10.0.0.1]:1", true},
		{"one network of IPv6", "[2001:db8::1]:1", "[2001:db8::ffff:2]:1", true},
		{"two networks of IPv6", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"one interface", "[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
	} {
		if got := of(x.a) == of(x.b); got != x.same {
			t.Errorf("%s: the same %v, want %v", x.what, got, x.same)
		}
	}
	if got := addressOf(&net.UnixAddr{Name: "/tmp/x"}); got.IsValid() {
		t.Errorf("a socket of this machine comes from %v", got)
	}
}
