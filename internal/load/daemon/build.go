package daemon

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Beside returns the path of the greenlaned that lies beside the running
// program. The error says what to do when there is none.
func Beside() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(self), "greenlaned"+filepath.Ext(self))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not there: build both programs with `make build`, or name the daemon with --daemon", path)
	}
	return path, nil
}

// Build builds greenlaned into a directory and returns its path. It needs the
// source and a Go compiler: for tests and measurements. flags are more of those
// of go build.
func Build(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "greenlaned")
	args := append([]string{"build", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "greenlane/cmd/greenlaned")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return path, nil
}
