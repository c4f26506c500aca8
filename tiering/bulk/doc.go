// Package bulk reads files of callers and their tiers: CSV with a header, or one
// JSON object a line. A file of any size is read in constant memory, in parallel
// and in order; each line becomes a tiering.Change or a Fault that says where in
// the file it is and what is wrong. A line is a record, whatever is in it, so
// that one broken line never takes others with it.
//
// What is not here: where the changes go, and what a run remembers of the one
// before (cmd/greenlane).
package bulk
