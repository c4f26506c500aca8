package tiering

import "testing"

func TestServed(t *testing.T) {
	for _, c := range []struct {
		tier       Tier
		attested   Attestation
		require    bool
		minimum    Attestation
		served     Tier
		unattested bool
	}{
		{VIP, AttestationUnset, false, AttestationUnset, VIP, false},
		{VIP, AttestationNone, false, AttestationUnset, VIP, false},
		{VIP, AttestationFull, true, AttestationUnset, VIP, false},
		{VIP, AttestationPartial, true, AttestationUnset, Ordinary, true},
		{VIP, AttestationGateway, true, AttestationUnset, Ordinary, true},
		{VIP, AttestationNone, true, AttestationUnset, Ordinary, true},
		{VIP, AttestationUnset, true, AttestationUnset, Ordinary, true},
		{VIP, AttestationPartial, true, AttestationPartial, VIP, false},
		{VIP, AttestationGateway, true, AttestationPartial, Ordinary, true},
		{VIP, AttestationGateway, true, AttestationGateway, VIP, false},
		{VIP, AttestationNone, true, AttestationNone, Ordinary, true},
		{VIP, AttestationUnset, true, AttestationNone, Ordinary, true},
		{VIP, Attestation(9), true, AttestationNone, Ordinary, true},
		{Mid, AttestationNone, true, AttestationUnset, Mid, false},
		{Ordinary, AttestationNone, true, AttestationUnset, Ordinary, false},
		{Blacklist, AttestationUnset, true, AttestationUnset, Blacklist, false},
	} {
		served, unattested := Served(c.tier, c.attested, c.require, c.minimum)
		if served != c.served || unattested != c.unattested {
			t.Errorf("Served(%v, %v, %v, %v) = %v, %v; want %v, %v",
				c.tier, c.attested, c.require, c.minimum, served, unattested, c.served, c.unattested)
		}
	}
}

func TestAttestationNames(t *testing.T) {
	for a := AttestationUnset; a.Valid(); a++ {
		if got, err := ParseAttestation(a.String()); err != nil || got != a {
			t.Errorf("ParseAttestation(%q) = %v, %v", a, got, err)
		}
	}
	for text, want := range map[string]Attestation{
		"": AttestationUnset, "A": AttestationFull, "b": AttestationPartial, "C": AttestationGateway, "None": AttestationNone,
	} {
		if got, err := ParseAttestation(text); err != nil || got != want {
			t.Errorf("ParseAttestation(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := ParseAttestation("D"); err == nil {
		t.Error("level D was accepted")
	}
	if got := Attestation(7).String(); got != "attestation(7)" {
		t.Errorf("an unknown level is called %q", got)
	}
}
