package h2limit

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// What the default allows.
var allowance, refill = int(ForGateways.Most), int(ForGateways.Refill)

// script writes frames as a client does.
type script struct {
	bytes.Buffer
	*http2.Framer
}

func newScript() *script {
	s := &script{}
	s.WriteString(http2.ClientPreface)
	s.Framer = http2.NewFramer(&s.Buffer, nil)
	s.AllowIllegalWrites = true
	return s
}

// clock is a meter's, and what its connection has sent.
type clock struct {
	m    meter
	time time.Time
	sent int64
}

func newClock() *clock { return &clock{m: meter{allowance: ForGateways}, time: time.Unix(1e9, 0)} }

func (c *clock) now() time.Time { return c.time }

func (c *clock) paid() int64 {
	n := c.sent
	c.sent = 0
	return n
}

// reads feeds what was written, size bytes at a time.
func (c *clock) reads(s *script, size int) string {
	for s.Len() > 0 {
		if why := c.m.feed(s.Next(size), c.now, c.paid); why != "" {
			return why
		}
	}
	return ""
}

func repeat(n int, write func(s *script, i int)) func(*script) {
	return func(s *script) {
		for i := range n {
			write(s, i)
		}
	}
}

func open(s *script, stream uint32, end bool) {
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: make([]byte, 80), EndHeaders: true, EndStream: end})
}

func TestWhatCostsTooMuchIsCut(t *testing.T) {
	for name, x := range map[string]struct {
		write func(*script)
		want  string
	}{
		"pings, as many as allowed":      {repeat(allowance, func(s *script, _ int) { _ = s.WritePing(false, [8]byte{}) }), ""},
		"pings, one more":                {repeat(allowance+1, func(s *script, _ int) { _ = s.WritePing(false, [8]byte{}) }), WhyFrames},
		"settings":                       {repeat(allowance+1, func(s *script, _ int) { _ = s.WriteSettings() }), WhyFrames},
		"priorities":                     {repeat(allowance+1, func(s *script, _ int) { _ = s.WritePriority(1, http2.PriorityParam{}) }), WhyFrames},
		"empty DATA":                     {repeat(allowance+1, func(s *script, _ int) { _ = s.WriteData(1, false, nil) }), WhyFrames},
		"DATA of one byte":               {repeat(allowance+1, func(s *script, _ int) { _ = s.WriteData(1, false, []byte{0}) }), WhyFrames},
		"DATA that is worth its frame":   {repeat(2*allowance, func(s *script, _ int) { _ = s.WriteData(1, false, make([]byte, worthIn)) }), ""},
		"a frame nobody knows":           {repeat(allowance+1, func(s *script, _ int) { _ = s.WriteRawFrame(0xfa, 0, 1, []byte("?")) }), WhyFrames},
		"requests":                       {repeat(2*allowance, func(s *script, i int) { open(s, uint32(2*i+1), true) }), ""},
		"resets of fresh streams":        {repeat(allowance/resetCost, freshReset), ""},
		"one more reset":                 {repeat(allowance/resetCost+1, freshReset), WhyResets},
		"headers in too many pieces":     {func(s *script) { pieces(s, mostContinuations+1, false) }, WhyContinuations},
		"headers in as many as allowed":  {func(s *script) { pieces(s, mostContinuations, true) }, ""},
		"headers as large as allowed":    {func(s *script) { large(s, mostHeaders) }, ""},
		"headers that are larger":        {func(s *script) { large(s, mostHeaders+1) }, WhyHeaders},
		"headers in pieces, again after": {func(s *script) { pieces(s, 20, true); pieces(s, 20, true) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, 4096} {
				s, c := newScript(), newClock()
				x.write(s)
				if got := c.reads(s, size); got != x.want {
					t.Errorf("read in pieces of %d: %q, want %q", size, got, x.want)
				}
			}
		})
	}
}

func freshReset(s *script, i int) {
	open(s, uint32(2*i+1), false)
	_ = s.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
}

func large(s *script, bytes int) {
	const most = 16 << 10
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, most)})
	for bytes -= most; bytes > 0; bytes -= most {
		_ = s.WriteContinuation(1, false, make([]byte, min(most, bytes)))
	}
}

func pieces(s *script, n int, ends bool) {
	_ = s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0}})
	for i := range n {
		_ = s.WriteContinuation(1, ends && i == n-1, nil)
	}
}

func TestTimeAndAnswersPayForFrames(t *testing.T) {
	s, c := newScript(), newClock()
	pings := func(n int) string {
		repeat(n, func(s *script, _ int) { _ = s.WritePing(false, [8]byte{}) })(s)
		return c.reads(s, 4096)
	}
	if why := pings(allowance); why != "" {
		t.Fatal(why)
	}
	c.time = c.time.Add(time.Second / 2)
	if why := pings(refill / 2); why != "" {
		t.Errorf("half a second later: %s", why)
	}
	c.sent = 1000 * worthOut
	if why := pings(1000); why != "" {
		t.Errorf("after the daemon has sent something: %s", why)
	}
	if why := pings(1); why != WhyFrames {
		t.Errorf("one more: %q", why)
	}
	c.time = c.time.Add(24 * time.Hour)
	if why := pings(allowance); why != "" {
		t.Errorf("a day later: %s", why)
	}
	if why := pings(2); why != WhyFrames {
		t.Errorf("no more than the allowance is saved up: %q", why)
	}
}

// What the daemon answered to streams that were reset at once does not pay for them.
func TestAnswersDoNotPayForResets(t *testing.T) {
	s, c := newScript(), newClock()
	resets := func(from, n int) string {
		for i := range n {
			freshReset(s, from+i)
			c.sent += 1 << 20
			_ = s.WritePing(false, [8]byte{})
		}
		return c.reads(s, 4096)
	}
	most := allowance / resetCost
	if why := resets(0, most); why != "" {
		t.Fatal(why)
	}
	c.time = c.time.Add(time.Second / 2)
	if why := resets(most, refill/resetCost/2); why != "" {
		t.Errorf("half a second later: %s", why)
	}
	if why := resets(2*most, 1); why != WhyResets {
		t.Errorf("one more: %q", why)
	}
}

// A gateway may close 10,000 sessions at once.
func TestResetsOfOldStreamsAreCheap(t *testing.T) {
	s, c := newScript(), newClock()
	for i := range 10_000 {
		open(s, uint32(2*i+1), false)
	}
	_ = s.WriteRSTStream(1, http2.ErrCodeCancel)
	if why := c.reads(s, 4096); why != "" {
		t.Fatal(why)
	}
	for range 2 { // marks are made by resets
		c.time = c.time.Add(youth)
		_ = s.WriteRSTStream(1, http2.ErrCodeCancel)
		if why := c.reads(s, 4096); why != "" {
			t.Fatal(why)
		}
	}
	for i := range 10_000 {
		_ = s.WriteRSTStream(uint32(2*i+1), http2.ErrCodeCancel)
	}
	if why := c.reads(s, 4096); why != "" {
		t.Errorf("cut for %s", why)
	}
}

// A gateway's 10,000 sessions say every three seconds that they are alive, and the
// daemon says so too.
func TestAGatewaysHeartbeatsAreWelcome(t *testing.T) {
	s, c := newScript(), newClock()
	for range 100 {
		for i := range 10_000 {
			_ = s.WriteData(uint32(2*i+1), false, make([]byte, 7))
		}
		c.sent += 10_000 * 16
		if why := c.reads(s, 16<<10); why != "" {
			t.Fatal(why)
		}
		c.time = c.time.Add(3 * time.Second)
	}
}

// FuzzMeter: whatever comes, in whatever pieces, the meter says the same.
func FuzzMeter(f *testing.F) {
	s := newScript()
	pieces(s, 40, false)
	f.Add(s.Bytes(), 3)
	f.Add([]byte(http2.ClientPreface), 1)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		size = max(1, size)
		whole, parts := newClock(), newClock()
		want := whole.m.feed(in, whole.now, whole.paid)
		for len(in) > 0 {
			n := min(size, len(in))
			if got := parts.m.feed(in[:n], parts.now, parts.paid); got != "" {
				if got != want {
					t.Fatalf("%q in pieces, %q at once", got, want)
				}
				return
			}
			in = in[n:]
		}
		if want != "" {
			t.Fatalf("nothing in pieces, %q at once", want)
		}
	})
}
