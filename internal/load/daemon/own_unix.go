//go:build unix && !linux

package daemon

import (
	"os/exec"
	"syscall"
)

// own puts the daemon into a process group of its own, so that a Ctrl-C on the
// terminal reaches only its parent, who stops it in good order.
func own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
