package h2limit

import (
	"encoding/binary"
	"time"
)

// Allowance is what a connection may cost: it begins with Most, never has more, and
// gets Refill a second. Its address has as much again for what is in vain, of which
// Wasted goes for each connection that made no request.
type Allowance struct{ Most, Refill, Wasted int64 }

// ForGateways is the allowance of connections that may carry 10,000 sessions: these
// send as many heartbeats at once, and 3,000 a second, each a frame of few bytes.
var ForGateways = Allowance{Most: 20_000, Refill: 10_000, Wasted: 100}

// ForBrowsers is the allowance of connections of browsers, and of proxies that share
// one between some hundreds of them. They open connections in advance, and do not
// always use them.
var ForBrowsers = Allowance{Most: 4_000, Refill: 1_000, Wasted: 20}

const (
	// A frame that is no request costs 1. What it brings, and what the daemon sends,
	// pays for it: DATA by the bytes that came, and an answer by those that went.
	worthIn  = 16
	worthOut = 32
	// A stream that is reset before it is youth old costs as much as a request, of an
	// allowance of its own.
	resetCost = 20
	youth     = time.Second
	// RefusalCost is what a request costs that is refused: one who does not heed a
	// refusal is not worth the next one. Refusals and connections that make no request
	// are paid for by their address.
	RefusalCost = 50
	// StrangerCost is what a request costs that is refused for who makes it: a crowd
	// whose credentials have ended may share an address.
	StrangerCost = 20
	// MistakeCost is what another request costs that fails for what it asks.
	MistakeCost = 5
	// A block of headers has this many frames and bytes at most. Unpacked, 64 KiB are
	// allowed, which need 5 frames.
	mostContinuations = 32
	mostHeaders       = 128 << 10
)

// Why a connection is cut.
const (
	WhyFrames        = "frames"        // too many that carry next to nothing
	WhyResets        = "resets"        // too many streams that were reset when just opened
	WhyContinuations = "continuations" // headers in too many pieces
	WhyHeaders       = "headers"       // headers that are far too large
	WhyRefusals      = "refusals"      // requests of its address that were refused, again and again
	WhyTrickle       = "trickle"       // HTTP/1.1 that comes a few bytes at a time, over all its address's connections
	WhyWasted        = "wasted"        // connections of its address that made no request, again and again
)

// The frames of HTTP/2 (RFC 9113, section 6).
const (
	preface     = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	headerBytes = 9

	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// meter reads a connection's frames as they pass, and says when they have cost too
// much. It keeps no payload, and its space does not grow. With an allowance it stands
// at the beginning of a connection.
type meter struct {
	allowance Allowance
	began     bool
	other     bool // it is not HTTP/2: there are no frames
	seen      int  // bytes of the preface
	header    [headerBytes]byte
	have      int // bytes of header
	skip      int // bytes of payload that are still to come

	left          int64 // of the allowance
	filled        time.Time
	resets        int64 // left of the allowance for these, as of forgotten
	forgotten     time.Time
	continuations int
	block         int    // bytes of the headers at hand
	newest        uint32 // the highest stream that was opened
	asked         bool   // the headers of a request have come to their end
	marks         [2]mark
}

// mark is the highest stream at a moment: all up to it are older.
type mark struct {
	at     time.Time
	stream uint32
}

// feed takes the bytes that were read next. now is asked when it matters; paid
// returns how much was sent since it was asked last. A reason means that the
// connection has to be cut.
func (m *meter) feed(p []byte, now func() time.Time, paid func() int64) (why string) {
	if !m.began {
		m.began, m.left, m.filled = true, m.allowance.Most, now()
	}
	for len(p) > 0 && !m.other {
		switch {
		case m.seen < len(preface):
			n := min(len(preface)-m.seen, len(p))
			m.other = string(p[:n]) != preface[m.seen:m.seen+n]
			m.seen, p = m.seen+n, p[n:]
		case m.skip > 0:
			n := min(m.skip, len(p))
			m.skip, p = m.skip-n, p[n:]
		default:
			n := copy(m.header[m.have:], p)
			m.have, p = m.have+n, p[n:]
			if m.have < headerBytes {
				return ""
			}
			m.have = 0
			if why := m.frame(now, paid); why != "" {
				return why
			}
		}
	}
	return ""
}

// frame takes the head of a frame.
func (m *meter) frame(now func() time.Time, paid func() int64) string {
	length := int(m.header[0])<<16 | int(m.header[1])<<8 | int(m.header[2])
	flags, stream := m.header[4], binary.BigEndian.Uint32(m.header[5:])&(1<<31-1)
	m.skip = length
	cost := int64(1)
	switch m.header[3] {
	case frameData:
		cost -= int64(length / worthIn)
	case frameHeaders:
		m.continuations, m.block = 0, length
		m.asked = m.asked || flags&flagEndHeaders != 0
		if stream > m.newest {
			m.newest = stream
			return ""
		}
	case frameContinuation:
		m.continuations++
		m.asked = m.asked || flags&flagEndHeaders != 0
		if m.block += length; m.block > mostHeaders {
			return WhyHeaders
		}
		if flags&flagEndHeaders == 0 && m.continuations > mostContinuations {
			return WhyContinuations
		}
	case frameReset:
		if t := now(); m.young(stream, t) && !m.reset(t) {
			return WhyResets
		}
	}
	return m.pay(cost, now, paid)
}

// pay takes a cost out of what is left, and what has come in meanwhile into it.
func (m *meter) pay(cost int64, now func() time.Time, paid func() int64) string {
	m.left = min(m.allowance.Most, m.left-cost)
	if m.left >= 0 {
		return ""
	}
	t := now()
	m.left = min(m.allowance.Most, m.left+int64(t.Sub(m.filled).Seconds()*float64(m.allowance.Refill))+paid()/worthOut)
	m.filled = t
	if m.left >= 0 {
		return ""
	}
	return WhyFrames
}

// reset takes the reset of a fresh stream out of an allowance of its own, and reports
// whether there was enough. Nothing that is sent pays for it: a stream that is answered
// at once was as much work.
func (m *meter) reset(t time.Time) bool {
	if m.forgotten.IsZero() {
		m.forgotten, m.resets = t, m.allowance.Most
	}
	if back := int64(t.Sub(m.forgotten).Seconds() * float64(m.allowance.Refill)); back > 0 {
		m.resets, m.forgotten = min(m.allowance.Most, m.resets+back), t
	}
	m.resets -= resetCost
	return m.resets >= 0
}

// young reports whether a stream was opened less than youth ago, or twice that.
func (m *meter) young(stream uint32, t time.Time) bool {
	if t.Sub(m.marks[1].at) >= youth {
		m.marks[0], m.marks[1] = m.marks[1], mark{t, m.newest}
	}
	return stream > m.marks[0].stream
}
