// Package rpc is the API greenlane.v1 as the daemon serves it: it checks what
// comes in, turns it into commands and questions for the engine, and turns the
// answers and the event log into messages.
//
// Where things stand:
//
//   - errors.go: the one table from sentinels to gRPC codes;
//   - check.go: what is allowed in a field;
//   - from*.go, to*.go: conversion, requests in and answers out;
//   - switch*.go, connect*.go: telephony switches;
//   - agent*.go, nextcall.go, session*.go: softphones;
//   - supervisor*.go, callback.go, tier.go: supervisors and the back office;
//   - server.go, options.go, intercept.go: the gRPC server around them.
//
// What does not live here: decisions about calls (queue), which engine and
// which tier directory stand behind the ports (internal/app).
package rpc
