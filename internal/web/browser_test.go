package web

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"greenlane/internal/load/daemon"
)

// TestInABrowser runs the tests of e2e: a real browser on a real daemon. Set
// GREENLANE_SHOTS to a directory to look at pictures, and GREENLANE_BROWSER=1 where
// a missing browser is a fault.
func TestInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	node, env, err := browser()
	if err != nil {
		if os.Getenv("GREENLANE_BROWSER") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	binary, err := daemon.Build(t.TempDir(), "-pgo=off")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob("e2e/*.test.mjs")
	if err != nil || len(tests) == 0 {
		t.Fatal(tests, err)
	}
	for _, file := range tests {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test.mjs"), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, node, "--test", filepath.Base(file))
			cmd.Dir = "e2e"
			cmd.Env = append(os.Environ(), append(env, "GREENLANED="+binary)...)
			cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its daemon and browser
			cmd.WaitDelay = 30 * time.Second
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if figure, ok := strings.CutPrefix(line, `# \# `); ok {
					t.Log(strings.TrimSpace(figure))
				}
			}
		})
	}
}

// browser finds what the tests need; the error says in one line what is missing.
func browser() (node string, env []string, err error) {
	var missing []string
	if node, err = exec.LookPath("node"); err != nil {
		missing = append(missing, "node")
	}
	found := false
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && !found {
			env, found = append(env, "CHROMIUM="+path), true
		}
	}
	if !found {
		missing = append(missing, "chromium")
	}
	if _, err := os.Stat("e2e/node_modules/playwright-core/package.json"); errors.Is(err, os.ErrNotExist) {
		missing = append(missing, "the modules of internal/web/e2e")
	}
	if len(missing) > 0 {
		return "", nil, fmt.Errorf("no browser tests: %s missing; `make browser` installs what is needed", strings.Join(missing, ", "))
	}
	return node, env, nil
}
