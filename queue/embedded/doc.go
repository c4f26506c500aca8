// Package embedded keeps one site in one bbolt file and needs no server beside
// it. It implements queue.Engine around queue.Machine: the machine decides, this
// package makes what it decided last.
//
// # One command's way
//
// Do puts the command into a bounded mailbox. The decider, a goroutine that
// alone touches the machine, takes whatever waits there, reads the clock once,
// applies every command and copies each result. It encodes the records that were
// touched, appends them to the journal and syncs it, publishes the events, and
// only then answers. Meanwhile the next batch gathers in the mailbox: there is no
// artificial delay, and under load batches grow by themselves.
//
// Behind it a second goroutine brings the journal into the database, in
// checkpoints: many commits in one bbolt transaction, of each record only the
// last state.
//
// Questions (Snapshot, Calls, ...) go the same way, so they see committed state
// and whatever stands before them in their own batch, and are answered after its
// commit. Two do not: Agent, which softphones ask after each event, and Events
// show what the last commit left.
//
// Deciding one batch while the disk works on the one before it was measured too.
// It gave nothing on two cores, where the callers use the time that the decider
// waits, and costs the plain argument above.
//
// # Promises
//
//   - OK means fsynced. kill -9 at any instant loses nothing that got OK.
//   - After an error of the disk, or a panic, nothing is decided or acknowledged
//     any more: Failed is closed, Err says why, every call returns
//     ErrUnavailable. Opening the file again on a healthy disk finds every
//     acknowledged command and no half of another.
//   - One process per file: a second one is refused by a lock.
//   - The clock an engine decides with never runs back, whatever the machine's
//     clock does.
//
// # The file
//
// <dir>/<site>.db is the database; <site>.db.journal-0 and -1 hold what was
// committed since its last checkpoint (journal.go). A start brings that into the
// database first, and a clean stop leaves no journal. Without one, a database that was
// not closed is refused: it lacks what was acknowledged last.
//
// The database holds a bucket per kind of record. Keys are what the record
// is named by (a big-endian sequence number where there is one, so that new
// records share pages); values are CBOR with integer keys, after four bytes of
// CRC-32C over key and value, so that damage is found instead of served. The
// bucket "meta" holds the schema's version, the site's name, the counters, and up to
// where the journal is in the database. The event log is a bucket that is appended
// at its end and trimmed at its start, a bounded piece in each checkpoint.
//
// What does not live here: what a command does (queue), and the tier directory
// (tiering/filedir), which has a file of its own.
package embedded
