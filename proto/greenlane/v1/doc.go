// Package greenlanev1 is the API greenlane.v1 in Go: messages, clients and
// server interfaces, all generated from the .proto files beside it by
// `make generate`. The meaning of every field stands in those files. No
// behaviour lives here.
package greenlanev1
