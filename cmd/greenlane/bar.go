package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar shows how far an import is, on a terminal and nowhere else.
type bar struct {
	bar   *progressbar.ProgressBar // nil: nobody looks
	began time.Time
	lines int64
}

func newBar(w io.Writer, size int64) *bar {
	b := &bar{began: time.Now()}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b.bar = progressbar.NewOptions64(size,
			progressbar.OptionSetWriter(w), progressbar.OptionThrottle(200*time.Millisecond),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowElapsedTimeOnFinish(),
			progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	return b
}

// at says that so many more callers were read, up to the given byte.
func (b *bar) at(offset, callers int64) {
	b.lines += callers
	if b.bar == nil {
		return
	}
	rate := float64(b.lines) / max(time.Since(b.began).Seconds(), 0.001)
	b.bar.Describe(fmt.Sprintf("%s callers, %s/s", grouped(b.lines), grouped(int64(rate))))
	_ = b.bar.Set64(offset) // a file that grows meanwhile is no fault
}

func (b *bar) stop() {
	if b.bar != nil {
		_ = b.bar.Finish() // the terminal may have gone
	}
}
