// Package auth proves who makes a request: by the certificate of mutual TLS or by
// a bearer token. It keeps the files that the proofs rest on (the daemon's
// certificate and key, the CAs of its clients, their revocation lists, the keys of
// tokens), takes new ones without a restart, and makes the daemon's TLS settings.
//
// What does not live here: what an identity may do (internal/rpc), and the wire.
package auth
