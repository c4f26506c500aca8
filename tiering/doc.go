// Package tiering says who a caller is to the call centre: the Tier, how a
// caller's number is written, how a customer's figures become a tier, what a
// forged caller id may not claim, and the Directory in which tiers are kept.
//
// What lives here is pure: Normalizer, Scheme and Served are functions of their
// arguments, read no clock and touch no disk or network, and Directory is only
// the port. Whoever passes its comments passes tieringtest.Run, the suite that
// turns each sentence of the port into a case.
//
// What does not live here: the embedded directory (package filedir), the
// lookup with a deadline that never loses a call (package resolve), and the
// order in which tiers are served (package queue).
package tiering
