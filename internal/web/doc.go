// Package web serves what people look at: the wallboard, the agent page, and the
// stream of figures behind the wallboard. The pages are files of this package
// (ui), served as they are: nothing is built, and nothing is fetched from
// elsewhere.
//
// The figures of a site are asked for and encoded once per change, whatever the
// number of wallboards (board.go). Everything stands behind a guard that lets no
// other web site in (guard.go).
//
// What does not live here: the API that the pages call (internal/rpc, by way of
// internal/app), and the service levels' arithmetic (metrics).
package web
