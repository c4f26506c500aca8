package tiering

import "context"

// Quarantine is what a Directory does with entries that it could not read and has
// set aside. A Directory that sets nothing aside need not have it.
type Quarantine interface {
	// EraseAside removes what was set aside of a caller, and returns how many values
	// it were. What is stored of the caller now stays. OpForget does the same.
	//
	// Errors are those of Directory's methods: also ErrNumber.
	EraseAside(ctx context.Context, site string, n Number) (removed int, err error)
}
