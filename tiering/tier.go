package tiering

import (
	"fmt"
	"strings"
)

// Tier is a caller's standing. A lower number is served earlier; the zero
// value means that nobody has said.
type Tier uint8

// The tiers, best first.
const (
	TierUnset Tier = iota
	VIP
	Mid
	Ordinary
	Blacklist
)

// Tiers lists every tier a caller can have, best first.
var Tiers = [...]Tier{VIP, Mid, Ordinary, Blacklist}

var tierNames = [...]string{"unset", "vip", "mid", "ordinary", "blacklist"}

// String returns the tier's name as configuration files and labels write it.
func (t Tier) String() string {
	if int(t) < len(tierNames) {
		return tierNames[t]
	}
	return fmt.Sprintf("tier(%d)", uint8(t))
}

// Valid reports whether t is one of Tiers.
func (t Tier) Valid() bool { return t >= VIP && t <= Blacklist }

// ParseTier reads a tier's name, in any case of letters. The error names what
// is allowed.
func ParseTier(s string) (Tier, error) {
	for _, t := range Tiers {
		if strings.EqualFold(s, t.String()) {
			return t, nil
		}
	}
	return TierUnset, fmt.Errorf("tier %q is unknown: vip, mid, ordinary or blacklist is allowed", s)
}

// MarshalText writes the tier's name.
func (t Tier) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what ParseTier reads.
func (t *Tier) UnmarshalText(text []byte) error {
	parsed, err := ParseTier(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
