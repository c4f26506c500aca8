package rpc

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"greenlane/queue"
	"greenlane/tiering"
)

// ArrivalLimits bound how many calls are let in, at this daemon. A call beyond
// them is Refused with a reason, and recorded and counted as such. The zero value
// has no limit.
type ArrivalLimits struct {
	// PerNumber is how many calls of one number are let in at once, and a minute:
	// as many for each attestation, so that those who forge a number use up nothing
	// of its owner's. Calls without a number aren't counted, nor are those of VIPs
	// whose number is vouched for.
	PerNumber int
	// PerSwitch is how many calls of one switch are let in at once, and a minute.
	PerSwitch int
	// VIPShare is the part of PerSwitch, 0 to 1, that only VIPs may use.
	VIPShare float64
}

// Switch is what the configuration says of one switch, or of those it does not
// name.
type Switch struct {
	// Trust is the most that its attestation is worth: AttestationFull believes it.
	Trust tiering.Attestation
	// Arrivals stands in place of ArrivalLimits.PerSwitch; 0 leaves that.
	Arrivals int
}

// OtherSwitches is the key of Options.Switches for those that it does not name.
const OtherSwitches = "*"

// What is remembered at most. Numbers and switches are forgotten longest unseen
// first: a flood that brings ever new ones forgets its own, and one that repeats
// itself fast enough to be over a limit is not forgotten.
const (
	numbersKept  = 1 << 16
	switchesKept = 1 << 12
)

// arrivals counts calls by number and by switch. What it counts is known here
// only: n daemons let n times as many in.
type arrivals struct {
	limits   ArrivalLimits
	switches map[string]Switch
	now      func() time.Duration // since some moment before the first arrival
	seed     maphash.Seed         // numbers are kept as hashes that mean nothing outside

	mu      sync.Mutex
	numbers *simplelru.LRU[uint64, gcra]
	trunks  *simplelru.LRU[trunkKey, *budget]
}

type trunkKey struct{ site, id string }

// budget is what one switch may still bring: everybody's part and the VIPs'.
type budget struct{ all, reserve gcra }

func newArrivals(limits ArrivalLimits, switches map[string]Switch) *arrivals {
	began := time.Now()
	a := &arrivals{limits: limits, switches: switches, seed: maphash.MakeSeed(), now: func() time.Duration { return time.Since(began) }}
	// The error is about sizes that are not positive.
	a.numbers, _ = simplelru.NewLRU[uint64, gcra](numbersKept, nil)
	a.trunks, _ = simplelru.NewLRU[trunkKey, *budget](switchesKept, nil)
	return a
}

// configured returns what the configuration says of a switch. name is the
// switch's own when it is named there, else OtherSwitches: few enough to be a
// label.
func (a *arrivals) configured(id string) (name string, s Switch) {
	if s, ok := a.switches[id]; ok && id != OtherSwitches {
		return id, s
	}
	if s, ok := a.switches[OtherSwitches]; ok {
		return OtherSwitches, s
	}
	return OtherSwitches, Switch{Trust: tiering.AttestationFull}
}

// worth returns what a switch's attestation is worth: no more than the trust in
// the switch, and nothing where nothing was said.
func (a *arrivals) worth(id string, said tiering.Attestation) tiering.Attestation {
	if said == tiering.AttestationUnset {
		return said
	}
	_, s := a.configured(id)
	return max(said, s.Trust)
}

// paces returns how fast a switch's calls may come: everybody's part, and the part
// that is kept for VIPs.
func (a *arrivals) paces(s Switch) (all, reserve pace) {
	n := a.limits.PerSwitch
	if s.Arrivals > 0 {
		n = s.Arrivals
	}
	kept := int(float64(n)*a.limits.VIPShare + 1e-9)
	if all = perMinute(n - kept); n > 0 && kept >= n {
		all = pace{burst: 0, interval: time.Minute}
	}
	return all, perMinute(kept)
}

// claim is what one arrival took, to be given back when it is none.
type claim struct {
	number        uint64
	trunk         trunkKey
	ofNumber      bool
	all, reserve  bool
	allP, reservP pace
}

// standing is what an arrival may draw on.
type standing uint8

const (
	anybody    standing = iota // everybody's part
	claimsVIP                  // served as a VIP though nobody vouches for the number: everybody's part, then the VIPs'
	vouchedVIP                 // its number is vouched for: no limit holds it up
	unknownVIP                 // vouched for, and its tier is not known yet: as claimsVIP
)

// standingOf says what a ranked arrival may draw on. A flood of forged numbers can
// pass for none of the better ones where VIPs need attestation; where they need
// none it can use up the VIPs' part, and never keeps a vouched VIP out.
func standingOf(cmd *queue.Arrive) standing {
	vouched := cmd.Attestation.Reaches(tiering.AttestationFull)
	switch {
	case cmd.Tier == tiering.VIP && vouched:
		return vouchedVIP
	case cmd.Tier == tiering.VIP:
		return claimsVIP
	case cmd.Provisional && vouched:
		return unknownVIP
	}
	return anybody
}

// admit counts a ranked arrival. reason, when not empty, is why it must be
// refused; nothing was taken then.
func (a *arrivals) admit(site string, cmd *queue.Arrive) (took claim, reason string) {
	now := a.now()
	name, s := a.configured(cmd.Switch)
	a.mu.Lock()
	defer a.mu.Unlock()
	as := standingOf(cmd)
	if as == vouchedVIP {
		return claim{}, ""
	}
	if perNumber := perMinute(a.limits.PerNumber); perNumber.interval > 0 && cmd.Caller != tiering.Withheld {
		took.number = a.hash(site, cmd.Caller, cmd.Attestation)
		was, _ := a.numbers.Get(took.number)
		is, ok := was.take(now, perNumber)
		a.numbers.Add(took.number, is)
		if !ok {
			return claim{}, queue.ReasonNumberFlood
		}
		took.ofNumber = true
	}
	took.allP, took.reservP = a.paces(s)
	if took.allP.interval == 0 {
		return took, ""
	}
	took.trunk = trunkKey{site, cmd.Switch}
	if name == OtherSwitches && len(a.switches) > 0 {
		took.trunk.id = "" // who is not named shares with the others, whatever it calls itself
	}
	b := a.budgetOf(took.trunk)
	if b.all, took.all = b.all.take(now, took.allP); took.all {
		return took, ""
	}
	if as != anybody && took.reservP.interval > 0 {
		if b.reserve, took.reserve = b.reserve.take(now, took.reservP); took.reserve {
			return took, ""
		}
	}
	if took.ofNumber {
		a.giveNumber(took.number)
	}
	return claim{}, queue.ReasonSwitchFlood
}

// forget gives back what an arrival took that was none: a call that was known
// already, or one that the engine could not take.
func (a *arrivals) forget(took claim) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if took.ofNumber {
		a.giveNumber(took.number)
	}
	if took.all || took.reserve {
		b := a.budgetOf(took.trunk)
		if took.all {
			b.all = b.all.give(took.allP)
		} else {
			b.reserve = b.reserve.give(took.reservP)
		}
	}
}

func (a *arrivals) giveNumber(number uint64) {
	if g, ok := a.numbers.Get(number); ok {
		a.numbers.Add(number, g.give(perMinute(a.limits.PerNumber)))
	}
}

func (a *arrivals) budgetOf(key trunkKey) *budget {
	b, ok := a.trunks.Get(key)
	if !ok {
		b = &budget{}
		a.trunks.Add(key, b)
	}
	return b
}

// hash is the key that a number is counted by: with how far it is vouched for.
func (a *arrivals) hash(site string, caller tiering.Number, vouched tiering.Attestation) uint64 {
	var h maphash.Hash
	h.SetSeed(a.seed)
	// Writing to a hash does not fail.
	_, _ = h.WriteString(site)
	_ = h.WriteByte(0)
	_ = h.WriteByte(byte(vouched))
	_, _ = h.WriteString(string(caller))
	return h.Sum64()
}
