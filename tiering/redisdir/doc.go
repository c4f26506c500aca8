// Package redisdir keeps callers' tiers in Redis, for many daemons and up to a
// hundred million callers: the shared adapter of tiering.Directory, on one
// server, on one watched by Sentinel, or on a Cluster.
//
// # Where an entry is
//
// A number is mixed by a bijection of 50 bits into a shard (256), a bucket
// within it (1,024) and a field of four bytes. A bucket is one hash; with a
// hundred million callers it holds about 380 fields, which Redis keeps in one
// flat listing (hash-max-listpack-entries is 512), so that a caller costs little
// more than its field and value. Nothing of the number is stored twice, and the
// bijection gives it back. A shard's keys share a hash tag: what one change
// touches lies in one slot of a Cluster, while the shards spread over all.
//
// # How it is changed
//
// What a change does is tiering.Change.Apply's affair and is computed here, in
// Go, from the value that was read. The script put.lua stores the result only
// where the stored value is still the one that the computation started from, and
// keeps the shard's counts by tier in the same step; otherwise it answers with
// the value it found, and the computation starts again. A change that is
// repeated because its answer was lost finds its own result and alters nothing.
//
// # How others hear of it
//
// The same script publishes what it altered. A daemon drops the callers from its
// cache and tells its subscribers. That is a hint: while the subscription is
// interrupted the cache is not used, and Options.Gap says when it is whole again.
//
// What is not here: what a change does to an entry (package tiering), the
// deadline of a lookup and what becomes of a call without an answer (package
// resolve), and how to connect (internal/redisconn).
package redisdir
