// Package redisq is the engine over Redis: one site that many daemons serve at
// once. Redis orders and keeps what the daemons decide.
//
// # One command's way
//
// Every daemon holds the site's queue.Machine as a copy. One goroutine, the decider,
// takes the commands that wait, decides them on the copy with one instant, and sends
// what they changed to Redis: the records, the events and a short note of which
// records those are, in one run of lua/commit.lua. The script writes them if the
// site is still what the daemon decided upon, and only then are the commands
// answered. Meanwhile the next batch gathers.
//
// If another daemon was faster, nothing is written, and the same answer brings what
// the daemon lacks: the records that were touched since, its own batch's among
// them. queue.Machine.Sync takes the batch back and the others' work over in one
// go; then the batch is decided again. Who was too late several times in a row
// leaves a mark for which the others wait a few milliseconds.
//
// A second goroutine waits for others' commits and has the decider catch up, so that
// an offer reaches a softphone here as soon as another daemon has made it.
//
// # The history
//
// A site is at a version, a number that each commit raises, and each commit has a
// nonce. A copy is current when both are what Redis has. A failover that loses the
// last commits shows, also when others have come in their place under the same
// numbers: the nonce differs, and the site is read anew.
//
// When no answer comes to a commit, its commands are queue.ErrUnavailable, and before
// anything else is decided the daemon has Redis tell it what became of the records.
//
// # Promises
//
//   - OK means that Redis has the commit, and with Options.MinReplicas that so many
//     replicas confirmed it. Anything else is queue.ErrUnavailable: the command may or
//     may not have happened, and repeating it with its request id is safe.
//   - Refusals and questions are answered at the head too: the copy is compared with
//     Redis first, once for all that wait together. Only Agent shows what the last
//     commit that this daemon knows of left.
//   - What can't be read is reported by its name and set aside, never dropped. What
//     this daemon can't read because a key is missing, or because another version of
//     the program wrote it, ends the engine and stays.
//
// What does not live here: the rules (queue), how a record is encoded (queue/record),
// how to reach Redis (internal/redisconn), the tier directory (tiering/redisdir).
package redisq
