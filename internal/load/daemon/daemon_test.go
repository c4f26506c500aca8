package daemon

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestADaemonThatEndsAtOnceIsNotWaitedFor(t *testing.T) {
	binary, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no program that only fails")
	}
	d, err := New(Options{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Start(t.Context())
	var exit *exec.ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), "ended before it served") {
		t.Errorf("the error is %v", err)
	}
	if d.Running() {
		t.Error("it runs")
	}
	if err := d.Stop(); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(d.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left behind: %v", d.dir, err)
	}
}

func TestAProgramThatIsNotThereIsNamed(t *testing.T) {
	d, err := New(Options{Binary: filepath.Join(t.TempDir(), "nothing")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("the error is %v", err)
	}
	if err := d.Remove(); err != nil {
		t.Error(err)
	}
}

func TestAddressesDiffer(t *testing.T) {
	addrs, err := freeAddrs(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, a := range addrs {
		if seen[a] {
			t.Errorf("%s twice", a)
		}
		seen[a] = true
	}
}
