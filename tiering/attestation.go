package tiering

import (
	"fmt"
	"strings"
)

// Attestation says how far the network vouches for the caller's number, in the
// levels of STIR/SHAKEN (RFC 8588). Like a Tier, a lower value is better; the
// zero value means that the switch said nothing.
type Attestation uint8

// The levels, best first.
const (
	AttestationUnset   Attestation = iota
	AttestationFull                // A: the operator knows the caller, and that the number is the caller's
	AttestationPartial             // B: the operator knows the caller, but not whether the number is theirs
	AttestationGateway             // C: the operator only knows where the call entered its network
	AttestationNone                // checked: there is none, or it did not verify
)

var attestationNames = [...]string{"unset", "full", "partial", "gateway", "none"}

// String returns the level's name as configuration files and logs write it.
func (a Attestation) String() string {
	if int(a) < len(attestationNames) {
		return attestationNames[a]
	}
	return fmt.Sprintf("attestation(%d)", uint8(a))
}

// Valid reports whether a is one of the levels or unset.
func (a Attestation) Valid() bool { return a <= AttestationNone }

// ParseAttestation reads a level's name or its letter (A, B, C), in any case of
// letters; nothing at all is AttestationUnset. The error names what is allowed.
func ParseAttestation(s string) (Attestation, error) {
	switch strings.ToLower(s) {
	case "", "unset":
		return AttestationUnset, nil
	case "a", "full":
		return AttestationFull, nil
	case "b", "partial":
		return AttestationPartial, nil
	case "c", "gateway":
		return AttestationGateway, nil
	case "none":
		return AttestationNone, nil
	}
	return AttestationUnset, fmt.Errorf("attestation %q is unknown: full (A), partial (B), gateway (C) or none is allowed", s)
}

// Reaches reports whether a is minimum or better. Unset and None reach nothing,
// and a minimum of Unset stands for AttestationFull, the one level that says
// that the number is the caller's.
func (a Attestation) Reaches(minimum Attestation) bool {
	if minimum == AttestationUnset {
		minimum = AttestationFull
	}
	return a >= AttestationFull && a < AttestationNone && a <= minimum
}

// Served returns the tier that a call is served in, given the tier of its
// number and how far the number can be trusted: where a VIP needs attestation
// (requireForVIP), a VIP whose attestation does not reach minimum is served as
// ordinary, and unattested says so. Every other tier is served as it is: a
// forged number gains nothing by them, and the blacklist must not be escaped by
// sending no attestation.
func Served(tier Tier, attested Attestation, requireForVIP bool, minimum Attestation) (served Tier, unattested bool) {
	if tier == VIP && requireForVIP && !attested.Reaches(minimum) {
		return Ordinary, true
	}
	return tier, false
}
