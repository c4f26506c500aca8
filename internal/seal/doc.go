// Package seal encrypts callers' data at rest, for the stores. It knows nothing of
// calls or tiers, and does no I/O.
//
//   - Keys are the secrets of the configuration: the first seals, all of them open,
//     and one more makes the indexes. When that one changes, everything that was
//     indexed has to be indexed anew, for which both have to be at hand.
//   - A Store seals the records of one file. Every opening of the file seals under a
//     key of its own, derived from the secret and a fresh salt, with a counter as
//     nonce: no number of records is too many, and a file that was copied and went
//     on in two places never meets the same nonce twice.
//   - Numbers seals single values for a store that many daemons share. A number has
//     one sealed form as long as the key stays, and carries an index by which it is
//     found without being read.
//   - A Permutation takes a number's place in a table: reversible with the key,
//     meaningless without.
//
// All encryption is AES-256 in GCM, all indexes are HMAC-SHA-256, and keys for
// different uses are derived with HKDF (RFC 5869), so that no two uses share one.
package seal
