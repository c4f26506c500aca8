// Package app is the daemon: it puts the engines, the tier directory, the
// services and the two listeners together, starts them in order and stops them
// in the opposite one. It can be run inside another program, such as a test, on
// port 0.
//
// What does not live here: flags and signals (cmd/greenlaned), and every
// decision about calls.
package app
