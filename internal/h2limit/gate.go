package h2limit

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Options are the settings of a Gate; zero limits are none.
type Options struct {
	All        int // connections at a time
	PerAddress int // of these, from one address
	// Allowance is what each may cost; zero means ForGateways.
	Allowance Allowance
	// Ended is told of each connection that was turned away or cut, and why.
	Ended func(why string)
	Log   *slog.Logger
}

// Why a connection is turned away.
const (
	WhyAll     = "all"     // there are as many as there may be
	WhyAddress = "address" // its address has as many as it may
	WhyBanned  = "banned"  // one of its address was just cut
)

const (
	// banned is for how long an address is turned away after one of its connections
	// was cut: a client that starts anew each time gets no further. Each time that it
	// does so soon after, it is twice as long.
	banned     = 2 * time.Second
	bannedMost = time.Minute
	// For so long, and so many of them, connections that are turned away stay open.
	waitingFor  = time.Second
	waitingMost = 1 << 10
	// recordsKept is how many addresses are remembered.
	recordsKept = 1 << 12
)

// Gate counts the connections of one port. Its methods are safe for concurrent use.
type Gate struct {
	opts  Options
	now   func() time.Time
	turns turns

	waiting atomic.Int64

	mu        sync.Mutex
	all       int
	byAddress map[netip.Addr]int
	records   *simplelru.LRU[netip.Addr, *record]
	warned    time.Time
	silent    int // times since of which nothing was logged
}

// record is what an address has done lately.
type record struct {
	until  time.Time // it is turned away
	span   time.Duration
	left   int64 // of its allowance for what was in vain
	filled time.Time
}

// NewGate returns a gate.
func NewGate(opts Options) *Gate {
	if opts.Ended == nil {
		opts.Ended = func(string) {}
	}
	if opts.Allowance == (Allowance{}) {
		opts.Allowance = ForGateways
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	g := &Gate{opts: opts, now: time.Now, turns: newTurns(), byAddress: map[netip.Addr]int{}}
	g.records, _ = simplelru.NewLRU[netip.Addr, *record](recordsKept, nil) // the error is about a size that is not positive
	return g
}

// Listen returns a listener that accepts those of l that may come in. The others
// are closed.
func (g *Gate) Listen(l net.Listener) net.Listener { return &listener{Listener: l, gate: g} }

type listener struct {
	net.Listener
	gate *Gate
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := addressOf(c.RemoteAddr())
		why := l.gate.enter(from)
		if why == "" {
			return &counted{Conn: c, gate: l.gate, from: from}, nil
		}
		l.gate.opts.Ended(why)
		l.gate.dismiss(c, why)
	}
}

// dismiss closes a connection that was turned away. One of an address that was cut is
// left without an answer for a moment: who comes again as soon as it is closed comes
// less often then, and costs nothing meanwhile.
func (g *Gate) dismiss(c net.Conn, why string) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // nothing is left to be said, and the system need not remember it
	}
	if why == WhyBanned && g.waiting.Add(1) <= waitingMost {
		time.AfterFunc(waitingFor, func() {
			_ = c.Close() // whoever it was is not waited for
			g.waiting.Add(-1)
		})
		return
	}
	if why == WhyBanned {
		g.waiting.Add(-1)
	}
	_ = c.Close() // as above
}

func (g *Gate) enter(from netip.Addr) (why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b, ok := g.records.Get(from); ok && g.now().Before(b.until) {
		return WhyBanned
	}
	switch {
	case g.opts.All > 0 && g.all >= g.opts.All:
		return WhyAll
	case g.opts.PerAddress > 0 && g.byAddress[from] >= g.opts.PerAddress:
		return WhyAddress
	}
	g.all++
	g.byAddress[from]++
	return ""
}

func (g *Gate) leave(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.byAddress[from]--; g.byAddress[from] == 0 {
		delete(g.byAddress, from)
	}
}

func (g *Gate) ban(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, r := g.now(), g.record(from)
	if now.Before(r.until) {
		return // another of its connections was just cut
	}
	if r.span > 0 && now.Before(r.until.Add(bannedMost)) {
		r.span = min(2*r.span, bannedMost)
	} else {
		r.span = banned
	}
	r.until = now.Add(r.span)
	r.left, r.filled = 0, r.until // it comes back with nothing saved up
}

// record returns an address's record. The lock is held.
func (g *Gate) record(from netip.Addr) *record {
	r, ok := g.records.Get(from)
	if !ok {
		r = &record{left: g.opts.Allowance.Most, filled: g.now()}
		g.records.Add(from, r)
	}
	return r
}

// spend takes what was in vain out of an address's allowance, which all of its
// connections share, and reports whether there was enough.
func (g *Gate) spend(from netip.Addr, cost int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, r := g.now(), g.record(from)
	if back := int64(now.Sub(r.filled).Seconds() * float64(g.opts.Allowance.Refill)); back > 0 {
		r.left, r.filled = min(g.opts.Allowance.Most, r.left+back), now
	}
	r.left = max(r.left-cost, -cost)
	return r.left >= 0
}

// wasted is told of a connection that ended before it made a request.
func (g *Gate) wasted(from netip.Addr, sent int64) {
	if g.spend(from, g.opts.Allowance.Wasted+sent/worthOut) {
		return
	}
	g.ban(from)
	g.opts.Ended(WhyWasted)
	g.warn(from, WhyWasted)
}

// warnEvery is how often a line is logged at most: an attack must not become one on
// the log.
const warnEvery = time.Second

// warn logs that a connection was cut, or an address turned away.
func (g *Gate) warn(from netip.Addr, why string) {
	g.mu.Lock()
	now := g.now()
	others := g.silent
	if now.Sub(g.warned) < warnEvery {
		g.silent++
		g.mu.Unlock()
		return
	}
	g.warned, g.silent = now, 0
	g.mu.Unlock()
	g.opts.Log.Warn("a connection was cut: too much came of it, or of its address, that was for nothing", "from", from.String(), "why", why, "others_since", others)
}

// addressOf returns what a peer cannot easily change of its address: of IPv6 a host has
// a whole /64. For what has none, such as a socket of this machine, it is the zero one.
func addressOf(a net.Addr) netip.Addr {
	var ip netip.Addr
	switch t := a.(type) {
	case *address:
		return addressOf(t.Addr)
	case *net.TCPAddr:
		ip = t.AddrPort().Addr()
	default:
		if p, err := netip.ParseAddrPort(a.String()); err == nil {
			ip = p.Addr()
		}
	}
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	net, err := ip.Prefix(64)
	if err != nil {
		return ip
	}
	return net.Addr()
}

// counted is a connection that leaves the gate when it is closed.
type counted struct {
	net.Conn
	gate *Gate
	from netip.Addr
	once sync.Once
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.once.Do(func() { c.gate.leave(c.from) })
	return c.Conn.Close()
}

// Meter returns c with its frames counted, when what is read from it is HTTP/2 as a
// client sends it. Whatever it speaks, it pays for what it is charged.
func (g *Gate) Meter(c net.Conn) net.Conn {
	return &metered{Conn: c, gate: g, meter: meter{allowance: g.opts.Allowance}}
}

// metered is a connection whose frames are counted. One goroutine reads at a time,
// as for every HTTP/2 server.
type metered struct {
	net.Conn
	gate    *Gate
	meter   meter
	sent    atomic.Int64
	got     atomic.Int64
	broke   atomic.Bool // its address has nothing left for what it does in vain
	useful  atomic.Bool // it has made a request
	closing sync.Once
}

// address is a metered connection's peer. It leads back to the connection.
type address struct {
	net.Addr
	conn *metered
	host string
}

// RemoteAddr implements net.Conn.
func (c *metered) RemoteAddr() net.Addr {
	peer := c.Conn.RemoteAddr()
	return &address{peer, c, HostOf(peer)}
}

// HostOf names what a peer cannot easily change of its address: of IPv6 it is the /64.
// Of a connection that is metered it is known: it is asked for with each request.
func HostOf(peer net.Addr) string {
	if known, ok := peer.(*address); ok {
		return known.host
	}
	switch ip := addressOf(peer); {
	case !ip.IsValid():
		return peer.String()
	case ip.Is6():
		return netip.PrefixFrom(ip, 64).String()
	default:
		return ip.String()
	}
}

// Charge has a peer pay for a request that was in vain: peer is the address of a
// connection that is metered, or else nothing is charged. All connections of an
// address pay together; the one that can't is cut when it is read from next.
func Charge(peer net.Addr, cost int64) {
	a, ok := peer.(*address)
	if ok && !a.conn.gate.spend(addressOf(a), cost) {
		a.conn.broke.Store(true)
	}
}

type peerKey struct{}

// WithPeer returns a context from which ChargeContext knows the peer, for who is not
// told of it otherwise.
func WithPeer(ctx context.Context, peer net.Addr) context.Context {
	return context.WithValue(ctx, peerKey{}, peer)
}

type excuseKey struct{}

// WithExcuse returns a request's context in which Excuse may be called.
func WithExcuse(ctx context.Context) context.Context {
	return context.WithValue(ctx, excuseKey{}, new(atomic.Bool))
}

// Excuse has ChargeContext charge nothing any more for the request that WithExcuse
// was told of: it is known who makes it, and others share the address.
func Excuse(ctx context.Context) {
	if excused, ok := ctx.Value(excuseKey{}).(*atomic.Bool); ok {
		excused.Store(true)
	}
}

// ChargeContext is Charge for the peer that WithPeer was told; without one, and for a
// request that is excused, nothing is charged.
func ChargeContext(ctx context.Context, cost int64) {
	if excused, ok := ctx.Value(excuseKey{}).(*atomic.Bool); ok && excused.Load() {
		return
	}
	if peer, ok := ctx.Value(peerKey{}).(net.Addr); ok {
		Charge(peer, cost)
	}
}

var errCut = errors.New("h2limit: the connection was cut for what its frames cost")

// Read implements net.Conn.
func (c *metered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	why := c.meter.feed(p[:n], c.gate.now, c.paid)
	c.got.Add(int64(n))
	if c.meter.asked || c.meter.other {
		c.useful.Store(true)
	}
	// Where only few were asked for, as net/http does to notice the client's end while
	// it answers, it is not the client's doing.
	if c.meter.other && n > 0 && n < min(worthIn, len(p)) && !c.gate.spend(addressOf(c.Conn.RemoteAddr()), 1) {
		why = WhyTrickle
	}
	if why == "" && c.broke.Load() {
		why = WhyRefusals
	}
	if why == "" {
		return n, err
	}
	c.useful.Store(true) // it is not to pay twice
	from := addressOf(c.RemoteAddr())
	c.gate.ban(from)
	c.gate.opts.Ended(why)
	c.gate.warn(from, why)
	return 0, errors.Join(errCut, c.Close())
}

// Close implements net.Conn.
func (c *metered) Close() error {
	c.closing.Do(func() {
		if !c.useful.Load() {
			c.gate.wasted(addressOf(c.RemoteAddr()), c.got.Load())
		}
	})
	return c.Conn.Close()
}

// Write implements net.Conn.
func (c *metered) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *metered) paid() int64 { return c.sent.Swap(0) }
