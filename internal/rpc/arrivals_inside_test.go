package rpc

import (
	"fmt"
	"testing"
	"time"

	"greenlane/queue"
	"greenlane/tiering"
)

// counting is an arrivals whose clock a test moves.
type counting struct {
	*arrivals
	t    *testing.T
	time time.Duration
	n    int
}

func countArrivals(t *testing.T, limits ArrivalLimits, switches map[string]Switch) *counting {
	c := &counting{t: t, arrivals: newArrivals(limits, switches)}
	c.now = func() time.Duration { return c.time }
	return c
}

func ordinary(id, number string) *queue.Arrive {
	return &queue.Arrive{Switch: id, Caller: tiering.Number(number), Tier: tiering.Ordinary}
}

// admits lets n calls like cmd come, each from a number of its own unless cmd has
// one, and returns how many were let in.
func (c *counting) admits(n int, cmd queue.Arrive) (in int, reason string) {
	for range n {
		one := cmd
		if one.Caller == "" {
			c.n++
			one.Caller = tiering.Number(fmt.Sprintf("+86150%08d", c.n))
		}
		_, why := c.admit("main", &one)
		if why == "" {
			in++
		} else {
			reason = why
		}
	}
	return in, reason
}

func (c *counting) want(what string, n, in int, cmd queue.Arrive) {
	c.t.Helper()
	if got, why := c.admits(n, cmd); got != in {
		c.t.Fatalf("%s: %d of %d let in (%s), want %d", what, got, n, why, in)
	}
}

func TestANumberIsLetInAsOftenAsAllowed(t *testing.T) {
	c := countArrivals(t, ArrivalLimits{PerNumber: 3}, nil)
	c.want("three at once, not four", 4, 3, *ordinary("s1", "+8613900000001"))
	c.want("another number", 4, 3, *ordinary("s1", "+8613900000002"))
	c.want("the same number at another switch", 1, 0, *ordinary("s2", "+8613900000001"))
	for range 100 {
		if _, why := c.admit("main", &queue.Arrive{Switch: "s1", Caller: tiering.Withheld}); why != "" {
			t.Fatalf("a call without a number: %s", why)
		}
	}
	c.time += 20*time.Second - 1
	c.want("just before a third of a minute", 1, 0, *ordinary("s1", "+8613900000001"))
	c.time++
	c.want("after a third of a minute", 2, 1, *ordinary("s1", "+8613900000001"))
	c.time += time.Hour
	c.want("after an hour", 9, 3, *ordinary("s1", "+8613900000001"))
	if _, why := c.admits(1, *ordinary("s1", "+8613900000001")); why != queue.ReasonNumberFlood {
		t.Errorf("refused because %q", why)
	}
}

func TestForgedCallsUseUpNothingOfTheGenuineCallers(t *testing.T) {
	const number = tiering.Number("+8613900000001")
	of := func(tier tiering.Tier, a tiering.Attestation) queue.Arrive {
		return queue.Arrive{Switch: "s1", Caller: number, Tier: tier, Attestation: a}
	}
	c := countArrivals(t, ArrivalLimits{PerNumber: 3}, nil)
	c.want("forged", 10, 3, of(tiering.Ordinary, tiering.AttestationNone))
	c.want("forged, by a switch that says nothing", 10, 3, of(tiering.Ordinary, tiering.AttestationUnset))
	c.want("half vouched for", 10, 3, of(tiering.Ordinary, tiering.AttestationPartial))
	c.want("vouched for, of a tier that is not known yet", 10, 3,
		queue.Arrive{Switch: "s1", Caller: number, Tier: tiering.Ordinary, Provisional: true, Attestation: tiering.AttestationFull})
	c.want("a VIP who is vouched for", 50, 50, of(tiering.VIP, tiering.AttestationFull))
	c.want("a VIP whom nobody vouches for", 10, 0, of(tiering.VIP, tiering.AttestationNone))
}

func TestASwitchIsLetInAsOftenAsAllowedAndVIPsHaveAPartOfTheirOwn(t *testing.T) {
	vip := func(a tiering.Attestation) queue.Arrive {
		return queue.Arrive{Switch: "s1", Tier: tiering.VIP, Attestation: a}
	}
	c := countArrivals(t, ArrivalLimits{PerSwitch: 10, VIPShare: 0.2}, nil)
	c.want("a flood", 100, 8, *ordinary("s1", ""))
	c.want("VIPs by number alone have two more", 5, 2, vip(tiering.AttestationUnset))
	c.want("vouched VIPs are not held up", 50, 50, vip(tiering.AttestationFull))
	c.want("another switch is not concerned", 100, 8, *ordinary("s2", ""))
	if _, why := c.admits(1, *ordinary("s1", "")); why != queue.ReasonSwitchFlood {
		t.Errorf("refused because %q", why)
	}
	c.time += time.Minute
	c.want("forged VIPs first use what is everybody's, then the VIPs' part", 100, 10, vip(tiering.AttestationPartial))
	c.want("and still keep no vouched VIP out", 3, 3, vip(tiering.AttestationFull))
	c.time += time.Minute
	c.want("a flood again", 100, 8, *ordinary("s1", ""))
	late := queue.Arrive{Switch: "s1", Tier: tiering.Ordinary, Provisional: true, Attestation: tiering.AttestationFull}
	c.want("one that is vouched for and may be a VIP uses the VIPs' part", 3, 2, late)
	late.Attestation = tiering.AttestationNone
	c.want("one that nobody vouches for does not", 1, 0, late)
}

func TestWhatWasNoArrivalIsGivenBack(t *testing.T) {
	c := countArrivals(t, ArrivalLimits{PerNumber: 2, PerSwitch: 4, VIPShare: 0.5}, nil)
	number := *ordinary("s1", "+8613900000001")
	for range 20 {
		took, why := c.admit("main", &number)
		if why != "" {
			t.Fatalf("a call that is told again counts: %s", why)
		}
		c.forget(took)
	}
	c.want("the number's limit is whole", 3, 2, number)
	c.want("the switch has used it up", 3, 0, *ordinary("s1", ""))
	c.time += time.Hour
	c.want("everybody's part", 9, 2, *ordinary("s1", ""))
	claim := queue.Arrive{Switch: "s1", Tier: tiering.VIP, Caller: "+8613900000002"}
	for range 20 {
		took, why := c.admit("main", &claim)
		if why != "" {
			t.Fatalf("the VIPs' part is not given back: %s", why)
		}
		c.forget(took)
	}
	// What the switch's limit refuses does not count for the number either.
	c.want("a number that is kept out", 9, 0, *ordinary("s1", "+8613900000003"))
	c.time += time.Minute
	c.want("is let in later", 2, 2, *ordinary("s1", "+8613900000003"))
}

func TestSwitchesThatNobodyNamedShareALimit(t *testing.T) {
	named := map[string]Switch{
		"big": {Trust: tiering.AttestationFull, Arrivals: 50}, "*": {Trust: tiering.AttestationNone, Arrivals: 5},
	}
	c := countArrivals(t, ArrivalLimits{PerSwitch: 10}, named)
	c.want("its own", 100, 50, *ordinary("big", ""))
	for i := range 5 {
		c.want("a name of its own each time", 1, 1, *ordinary(fmt.Sprint("s", i), ""))
	}
	c.want("one more", 1, 0, *ordinary("s9", ""))
	for id, want := range map[string]string{"big": "big", "s1": "*", "*": "*"} {
		if got, _ := c.configured(id); got != want {
			t.Errorf("switch %q is told as %q, want %q", id, got, want)
		}
	}
}

func TestASwitchsWordIsWorthWhatItIsTrusted(t *testing.T) {
	const unset, full, partial, gateway, none = tiering.AttestationUnset, tiering.AttestationFull, tiering.AttestationPartial,
		tiering.AttestationGateway, tiering.AttestationNone
	c := countArrivals(t, ArrivalLimits{}, map[string]Switch{"half": {Trust: partial}, "door": {Trust: gateway}, "bad": {Trust: none}})
	for _, x := range []struct {
		id         string
		said, want tiering.Attestation
	}{
		{"half", full, partial}, {"half", partial, partial}, {"half", gateway, gateway}, {"half", none, none}, {"half", unset, unset},
		{"door", full, gateway}, {"bad", full, none}, {"bad", unset, unset}, {"other", full, full}, {"*", full, full},
	} {
		if got := c.worth(x.id, x.said); got != x.want {
			t.Errorf("%s says %s: worth %s, want %s", x.id, x.said, got, x.want)
		}
	}
	c.switches[OtherSwitches] = Switch{Trust: none}
	if got := c.worth("other", full); got != none {
		t.Errorf("a switch that nobody named: worth %s", got)
	}
}

func TestAFloodOfNewNumbersAndSwitchesIsForgotten(t *testing.T) {
	c := countArrivals(t, ArrivalLimits{PerNumber: 2, PerSwitch: 1 << 20}, nil)
	again := *ordinary("s1", "+8613800000001")
	in := 0
	for i := range 3 * numbersKept {
		c.admits(1, queue.Arrive{Switch: fmt.Sprint("s", i)})
		if i%(numbersKept/4) == 0 {
			n, _ := c.admits(1, again)
			in += n
		}
	}
	if c.numbers.Len() > numbersKept || c.trunks.Len() > switchesKept {
		t.Errorf("%d numbers and %d switches are remembered", c.numbers.Len(), c.trunks.Len())
	}
	if in != 2 {
		t.Errorf("a number that came again and again was let in %d times, want 2", in)
	}
}
