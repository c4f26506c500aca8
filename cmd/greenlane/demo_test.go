package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"greenlane/internal/logtest"
)

// programs builds both programs into a directory, as `make build` does.
func programs(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the real programs")
	}
	dir := t.TempDir()
	for _, name := range []string{"greenlane", "greenlaned"} {
		out, err := exec.Command("go", "build", "-o", filepath.Join(dir, name), "greenlane/cmd/"+name).CombinedOutput()
		if err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// demonstrate runs the demo with a place of its own for temporary files, and
// checks that nothing is left there.
func demonstrate(t *testing.T, dir string, stopAt string, args ...string) string {
	t.Helper()
	temp := t.TempDir()
	cmd := exec.Command(filepath.Join(dir, "greenlane"), append([]string{"demo"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out := new(logtest.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-out.Await(func(text string) bool { return strings.Contains(text, stopAt) }):
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		err = <-done
	}
	if err != nil {
		t.Errorf("the demo ended with %v:\n%s", err, out)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("the demo left %v behind: %v", left, err)
	}
	return out.String()
}

func TestDemo(t *testing.T) {
	out := demonstrate(t, programs(t), "never written", "--for", "4s", "--scale", "1", "--agents", "12")
	for _, want := range []string{"a synthetic day of a bank's call centre", "check: all is right", "Anonymous Bank", "vip", "blacklist"} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}

func TestDemoEndsEarly(t *testing.T) {
	// The first line of progress comes after five seconds; the day would take ten
	// minutes.
	out := demonstrate(t, programs(t), " agents talk", "--for", "10m")
	if !strings.Contains(out, "check: all is right") {
		t.Errorf("the demo does not check what it has played:\n%s", out)
	}
}

func TestDemoWithoutADaemonSaysWhatToDo(t *testing.T) {
	dir := programs(t)
	if err := os.Remove(filepath.Join(dir, "greenlaned")); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(filepath.Join(dir, "greenlane"), "demo").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "make build") {
		t.Errorf("%v: %s", err, out)
	}
}
