// Package tui is what the full-screen programs of the operator's tool share: how a
// line of a screen is put together, the daemon's clock, delays between two tries,
// and how a program gets the terminal and gives it back. The programs themselves
// are softphone and top below it; what they are told and what they ask goes over
// the public API.
package tui
