package redistest

import (
	"os/exec"
	"syscall"
)

// own has the system end the server should the test's process die without doing
// so, and keeps a Ctrl-C on the terminal from it.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
