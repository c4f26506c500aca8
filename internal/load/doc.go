// Package load drives a daemon as a whole call centre would: several switches
// report calls, many agents take them, over gRPC, by every way the API has. What
// happens comes from a synthetic day (package day); what the daemon makes of it
// is recorded and checked (package audit).
//
// A Run plays one day. It survives a daemon that is killed and started again in
// the middle: every request is repeated with the same request_id until it is
// answered, streams resume from their cursors, and the check at the end covers
// whatever was acknowledged.
//
// The day's clock runs Options.Speed times as fast as the daemon's, which always
// runs in real time: whoever wants the day's 20 seconds to be the daemon's
// answer threshold configures the daemon with a threshold of 20 s / Speed.
package load
