package redisq

import (
	"strings"
	"testing"
)

// TestScriptsAreSmall keeps the scripts below what Lua allows, with room to grow.
func TestScriptsAreSmall(t *testing.T) {
	for name, s := range scripts {
		functions := strings.Count(s.source, "\nfunction ")
		t.Logf("%-20s %3d functions, %5d bytes", name, functions, len(s.source))
		if functions > 150 {
			t.Errorf("%s has %d functions: Lua allows 200 locals, of which head.lua takes some", name, functions)
		}
	}
}
