// Package redisconn connects to a Redis: one server, one watched by Sentinel, or
// a Cluster, all behind the same client. It is the one place that says how: how
// long anything may take, and that no command is ever sent twice behind the
// caller's back.
//
// What does not live here: what is asked of Redis, and what is done when it
// fails.
package redisconn
