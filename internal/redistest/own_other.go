//go:build unix && !linux

package redistest

import (
	"os/exec"
	"syscall"
)

// own keeps a Ctrl-C on the terminal from the server.
func own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
