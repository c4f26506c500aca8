//go:build unix

// Package redistest starts real Redis servers for tests and measurements: one
// server, a master with replicas under Sentinel, or a Cluster. They listen on
// free loopback ports, have directories of their own, and are ended by process
// id when the test ends. Any number of tests, packages and processes may use it
// at once.
//
// It needs redis-server and, for Sentinel, redis-sentinel; a test on a machine
// without them fails in one line that says what to install.
package redistest
