package main

import (
	"errors"
	"syscall"
	"time"
)

// pause sleeps more exactly than time.Sleep, which wakes an idle process up to a
// millisecond late.
func pause(d time.Duration) {
	left := syscall.NsecToTimespec(d.Nanoseconds())
	for errors.Is(syscall.Nanosleep(&left, &left), syscall.EINTR) {
	}
}
