// Package pki makes certificates and tokens for trying mutual TLS and for tests: a
// small authority with its clients, and a key that signs tokens. It is no product
// for running a call centre's own authority.
package pki
