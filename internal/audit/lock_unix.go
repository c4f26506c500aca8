//go:build unix

package audit

import (
	"os"
	"syscall"
)

// tryLock locks an open file against other processes; closing it unlocks it.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
