// Package logtest keeps what programs and loggers write while a test reads it.
package logtest

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
)

// Buffer keeps what is written to it. The zero value is empty. Any number may write
// and read at once.
type Buffer struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	awaited []awaited
}

// awaited is what somebody waits for, and the channel to close once it is so.
type awaited struct {
	ok  func(text string) bool
	hit chan struct{}
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buf.Write(p)
	if len(b.awaited) > 0 {
		b.tell()
	}
	return n, err
}

// String returns all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Has reports whether a text was written.
func (b *Buffer) Has(text string) bool { return strings.Contains(b.String(), text) }

// Tail returns the last n bytes, or fewer.
func (b *Buffer) Tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}

// Await returns a channel that is closed as soon as ok is true of all that was written.
func (b *Buffer) Await(ok func(text string) bool) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	hit := make(chan struct{})
	b.awaited = append(b.awaited, awaited{ok, hit})
	b.tell()
	return hit
}

func (b *Buffer) tell() {
	text, left := b.buf.String(), b.awaited[:0]
	for _, a := range b.awaited {
		if a.ok(text) {
			close(a.hit)
		} else {
			left = append(left, a)
		}
	}
	b.awaited = left
}

// Logger returns a logger that writes lines of text to b.
func (b *Buffer) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
