//go:build !unix

package daemon

import "os/exec"

// own does nothing where there are no process groups.
func own(*exec.Cmd) {}
