package decider

import (
	"fmt"
	"runtime/debug"
)

// PanicError is a panic that Guard caught. Nothing is decided after one: the machine
// may be half of something.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Guard turns a panic of f into a PanicError.
func Guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return f()
}
