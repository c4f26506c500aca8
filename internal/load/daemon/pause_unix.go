//go:build unix

package daemon

import "syscall"

// Pause stops the daemon without ending it (SIGSTOP): its connections stay open
// and nothing is answered, as with a machine that hangs.
func (d *Daemon) Pause() error { return d.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused daemon go on, with everything it held when it stopped.
func (d *Daemon) Resume() error { return d.cmd.Process.Signal(syscall.SIGCONT) }
