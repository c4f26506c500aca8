// Package queue is the core of Greenlane: calls, agents, offers, events, the
// one order in which waiting callers are served, and the deterministic state
// machine that decides everything.
//
// What lives here is pure: no clock, no I/O, no goroutine. Time comes in as an
// argument of every command, randomness not at all. The same commands give the
// same results, events and counters, on every engine and after every restart.
//
// What does not live here: storage (queue/embedded, queue/redisq), gRPC
// (internal/rpc), the arithmetic of service levels (metrics), when to call a
// caller back (callback), who the caller is (tiering).
package queue
