// Package abuse attacks a daemon as a hostile client would, with frames that no
// library sends, and measures what a legitimate caller notices of it. Tests and
// measurements run it against a daemon that they started themselves.
package abuse
