// Package cli is the line commands of the operator's tool: agent, call,
// callbacks, events, and the verbs of tiers that need the daemon. Each command
// is one or a few rpcs of the public API and a way to show the answer; what is
// decided, the daemon decides. Programs that fill a screen, the synthetic day and
// what works on a store without a daemon live elsewhere.
//
// Every command has the same manners: --addr, --site, --output, an exit code of
// the table below, one line for an error with the next step in it, and a
// request_id on every change, so that a repetition is safe.
package cli
