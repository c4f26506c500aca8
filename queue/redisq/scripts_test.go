package redisq

import (
	"strings"
	"testing"
)

// TestScriptsAreSmall keeps an eye on what every run of a script has to make
// anew.
func TestScriptsAreSmall(t *testing.T) {
	for name, s := range scripts() {
		functions := strings.Count(s.source, "=function(") + strings.Count(s.source, "= function(")
		t.Logf("%-20s %3d functions, %5d bytes", name, functions, len(s.source))
		if functions > 160 {
			t.Errorf("%s has %d functions", name, functions)
		}
	}
}
