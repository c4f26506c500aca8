package config

import (
	"reflect"
	"testing"

	"greenlane/tiering"
)

func TestEveryLimitArrives(t *testing.T) {
	c := load(t, "testdata/good/full.yaml", Flags{})
	want := defaultLimits()
	want.Roles.Agent = Use{Streams: 3, Rate: 2.5, Burst: 7, Message: 1000, Headers: 4096}
	want.Names = []Named{{Name: "gateway-1", Use: Use{Streams: 12000, Rate: 5000, Burst: 6000}}}
	want.Arrivals = Arrivals{PerNumber: 5, PerSwitch: 900, VIPShare: 0.5}
	want.Connects = Connects{All: 100, PerAddress: 10}
	if !reflect.DeepEqual(c.Limits, want) {
		t.Errorf("limits\n%+v, want\n%+v", c.Limits, want)
	}
	trust := map[string]tiering.Attestation{}
	for _, s := range c.Switches {
		trust[s.ID] = s.Trusted()
	}
	if !reflect.DeepEqual(trust, map[string]tiering.Attestation{
		"carrier-a": tiering.AttestationFull, "pbx": tiering.AttestationPartial, OtherSwitches: tiering.AttestationNone,
	}) || c.Switches[1].Arrivals != 30 {
		t.Errorf("switches %+v", c.Switches)
	}
	if got := (Switch{ID: "s"}).Trusted(); got != tiering.AttestationFull {
		t.Errorf("a switch of which nothing is said is trusted %s", got)
	}
}
