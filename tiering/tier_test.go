package tiering

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTierNames(t *testing.T) {
	for i, tier := range Tiers {
		if i > 0 && Tiers[i-1] >= tier {
			t.Errorf("%v is not served after %v", tier, Tiers[i-1])
		}
		for _, text := range []string{tier.String(), strings.ToUpper(tier.String())} {
			if got, err := ParseTier(text); err != nil || got != tier {
				t.Errorf("ParseTier(%q) = %v, %v", text, got, err)
			}
		}
		if !tier.Valid() {
			t.Errorf("%v is not valid", tier)
		}
	}
	for _, tier := range []Tier{TierUnset, Blacklist + 1} {
		if tier.Valid() {
			t.Errorf("%v is valid", tier)
		}
	}
	if got := (Blacklist + 1).String(); got != "tier(5)" {
		t.Errorf("an unknown tier is called %q", got)
	}
}

func TestTierAsText(t *testing.T) {
	text, err := json.Marshal(map[Tier]Tier{VIP: Blacklist})
	if err != nil || string(text) != `{"vip":"blacklist"}` {
		t.Fatalf("%s, %v", text, err)
	}
	var back map[Tier]Tier
	if err := json.Unmarshal(text, &back); err != nil || back[VIP] != Blacklist {
		t.Fatalf("%v, %v", back, err)
	}
	var tier Tier
	for _, wrong := range []string{"", "gold", "unset", "vip "} {
		if err := tier.UnmarshalText([]byte(wrong)); err == nil || !strings.Contains(err.Error(), "vip, mid, ordinary or blacklist") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
