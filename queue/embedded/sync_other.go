//go:build !linux

package embedded

import "os"

// syncData brings a file's data to the disk, and what is needed to find it.
func syncData(f *os.File) error { return f.Sync() }
