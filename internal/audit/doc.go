// Package audit is the append-only record of who changed what and when: one
// chain of records in files of JSON lines, each record bound to all before it by
// a hash, and signed now and then when there is a key.
//
// A change has two records. The intent is on disk before the change begins, and
// the outcome before it is answered: a change that nobody could read up on never
// happens, whatever fails in between. What is no change (a start, a refused
// login) is a fact, one record.
//
// What does not live here: which requests are changes (internal/rpc), and how
// the record is shown (internal/cli). docs/audit.md describes the files.
package audit
