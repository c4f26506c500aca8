package abuse

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowered is in the environment of a process that has lowered itself.
const lowered = "GREENLANE_ABUSE_LOWERED"

// lower has this process run only when nobody else wants a processor, and says how.
// It begins the program anew: a process takes the priority of the thread that began
// it, and every thread of the new one has it then.
func lower() (how string, err error) {
	if how := os.Getenv(lowered); how != "" {
		return how, nil
	}
	runtime.LockOSThread()
	how = "SCHED_IDLE"
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		// What a sandbox may not allow; nice is.
		how = "nice 19"
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 19); err != nil {
			return "", fmt.Errorf("lowering the priority: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return "", syscall.Exec(self, os.Args, append(os.Environ(), lowered+"="+how))
}
