// Package record is the form in which both engines keep a site: which kinds of
// records there are, what each is named by, and how one is encoded.
//
// A record is CBOR with integer keys, after four bytes of CRC-32C over its key and
// itself, so that damage is found instead of served. With a Sealer what follows
// the sum is sealed, bound to kind and key: it can't be opened anywhere else.
//
// What does not live here: where records are kept, and how a key is spelled there
// (queue/embedded, queue/redisq).
package record
