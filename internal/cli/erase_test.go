package cli

import (
	"strings"
	"testing"

	"greenlane/internal/config"
)

// TestEraseAtEverySite: a person is known at any of them, and a single one is erased
// alone only when it is named.
func TestEraseAtEverySite(t *testing.T) {
	g := serve(t, func(c *config.Config) {
		for _, name := range []string{"west", "east"} {
			more := c.Sites[0]
			more.Name = name
			c.Sites = append(c.Sites, more)
		}
	})
	for _, site := range []string{"main", "east", "west"} {
		g.must("tiers", "set", "13800138000", "mid", "--site", site)
	}
	named := g.must("erase", "--caller", "13800138000", "--yes", "--site", "west")
	if !strings.Contains(named, "west") || !strings.Contains(named, "forgotten") || !strings.Contains(named, "other sites: east, main.") {
		t.Errorf("at one site:\n%s", named)
	}
	all := strings.Split(strings.TrimSpace(g.must("erase", "--caller", "13800138000", "--yes")), "\n")
	if len(all) != 4 {
		t.Fatalf("at all of them:\n%s", strings.Join(all, "\n"))
	}
	for i, want := range [][2]string{{"main", "forgotten"}, {"east", "forgotten"}, {"west", "was not known"}} {
		if line := all[i+1]; !strings.HasPrefix(line, want[0]) || !strings.Contains(line, want[1]) {
			t.Errorf("%s: %q", want[0], line)
		}
	}
	if out := g.must("erase", "--caller", "13800138000", "--yes", "--output", "json"); strings.Count(out, `"calls": 0`) != 3 {
		t.Errorf("as JSON:\n%s", out)
	}
}

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
