package tiering

import "errors"

// What can go wrong, for errors.Is. Each is wrapped with what was found and
// what is allowed; none of the messages quotes a number unmasked.
var (
	// ErrNumber: the text is not a caller's number. Don't repeat it.
	ErrNumber = errors.New("not a phone number")
	// ErrFigures: a customer's figure is outside 0 to 100. Don't repeat it.
	ErrFigures = errors.New("figure out of range")
	// ErrScheme: the weights or thresholds of a grading scheme contradict each other.
	ErrScheme = errors.New("grading scheme is wrong")
	// ErrSite: the site's name can't be one. Don't repeat it.
	ErrSite = errors.New("not a site name")
	// ErrEntry: the entry can't be stored as it is. Don't repeat it.
	ErrEntry = errors.New("not a directory entry")
	// ErrCursor: a walk was asked to go on from a place that no walk returned.
	ErrCursor = errors.New("not a cursor of this walk")
	// ErrCorrupt: what is stored under a number can't be read. It has been set
	// aside and the caller is unknown until set again.
	ErrCorrupt = errors.New("stored entry is unreadable")
	// ErrUnavailable: the store can't be reached or can't write. Repeating is safe.
	ErrUnavailable = errors.New("tier directory is unavailable")
	// ErrRating: the score or the month of a rating can't be counted. Don't repeat it.
	ErrRating = errors.New("not a rating")
	// ErrRequestReused: a request has the id of another one with other contents.
	// Don't repeat it.
	ErrRequestReused = errors.New("request_id already used for another request")
	// ErrClosed: the directory was closed. Repeating is pointless.
	ErrClosed = errors.New("tier directory is closed")
)
