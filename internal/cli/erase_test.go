package cli

import (
	"strings"
	"testing"
)

func TestErase(t *testing.T) {
	g := serve(t)
	g.fails(ExitUsage, "--caller", "erase", "--yes")
	g.fails(ExitUsage, "--yes", "erase", "--caller", "13800138000")
	g.fails(ExitUsage, "caller", "erase", "--caller", "x", "--yes")
	g.must("tiers", "set", "13800138000", "vip")
	g.must("call", "place", "c1", "--from", "13800138000")
	g.must("callbacks", "create", "13800138000")
	if got := g.object("erase", "--caller", "13800138000", "--yes"); at(got, "at_end") != 1.0 || at(got, "callbacks") != 1.0 || at(got, "tier") != true {
		t.Errorf("erased: %v", got)
	}
	g.must("call", "abandon", "c1") // which erases it
	if out := g.must("erase", "--caller", "138 0013 8000", "--yes"); !strings.Contains(out, "was not known") {
		t.Errorf("erased:\n%s", out)
	}
	if got := g.object("erase", "--caller", "13800138000", "--yes"); at(got, "calls") != 0.0 || at(got, "live") != 0.0 {
		t.Errorf("erased again: %v", got)
	}
	if out := g.must("callbacks", "list", "--all"); strings.Contains(out, "8000") {
		t.Errorf("the number is left:\n%s", out)
	}
}
