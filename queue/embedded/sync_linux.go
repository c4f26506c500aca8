package embedded

import (
	"errors"
	"os"
	"syscall"
)

// syncData brings a file's data to the disk, and what is needed to find it.
func syncData(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
