// Package redisq is the engine over Redis: one site that many daemons serve at
// once. A daemon holds no state. Each command of the port is one Lua script on
// the keys of one site, decided and written in one step with one instant, so
// that any daemon can serve any agent and any switch.
//
// The scripts (lua/*.lua, with what they share in lua/lib) are the rules of
// package queue a second time, function by function under the same names. The
// suite in queue/queuetest and random sequences of commands hold the two equal.
//
// What OK means: the script ran, and with Options.MinReplicas so many replicas
// confirmed it. Anything else is queue.ErrUnavailable: the command may or may
// not have happened, and repeating it with its request id is safe.
//
// What does not live here: how to reach Redis (internal/redisconn), the tier
// directory (tiering/redisdir).
package redisq
