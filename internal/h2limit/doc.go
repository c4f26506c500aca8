// Package h2limit bounds what one connection may cost before anybody knows who it
// is: how many connections an address may have, and how many HTTP/2 frames may
// come that carry next to nothing.
//
// Both ports' connections are counted: those of the API, and those of browsers.
// grpc-go bounds streams, headers and handlers, and closes clients that ping too
// often. It does not bound streams that are reset as soon as they are opened, and
// what is cheap to send and not quite as cheap to receive: empty and tiny DATA
// frames, settings, window updates, priorities, continuations, and pings between
// requests. Each of these costs a connection some of its allowance, which grows
// with time and with every byte that is worth having. Who has used it up is cut
// off, and not let in again for a moment.
//
// What is in vain, whichever way it comes, is paid for by the address that it comes
// from, over all its connections: requests that were refused, and connections that
// make none. Handshakes wait for their turn.
//
// What does not live here: who a client is, and what it may do (internal/rpc).
package h2limit
