package screen

import (
	"bytes"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal is where frames are drawn, in place.
type Terminal struct {
	w     io.Writer
	fd    int
	Style Style
}

// Open returns the terminal that a file is; ok is false when it is none, or one
// that cannot draw in place.
func Open(f *os.File) (t *Terminal, ok bool) {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) || os.Getenv("TERM") == "dumb" {
		return nil, false
	}
	return &Terminal{w: f, fd: fd, Style: Style{Color: os.Getenv("NO_COLOR") == "", ASCII: !utf8Locale(os.Getenv)}}, true
}

// utf8Locale reports whether the environment asks for UTF-8.
func utf8Locale(env func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := env(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// Begin clears the stage: the alternate screen, without cursor, and without
// breaking long lines.
func (t *Terminal) Begin() { _, _ = io.WriteString(t.w, "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J") }

// End gives the terminal back as it was.
func (t *Terminal) End() { _, _ = io.WriteString(t.w, "\x1b[?7h\x1b[?25h\x1b[?1049l") }

// Size returns the columns and rows of the terminal.
func (t *Terminal) Size() (width, height int) {
	width, height, err := term.GetSize(t.fd)
	if err != nil || width <= 0 || height <= 0 {
		return MinWidth, MinHeight
	}
	return width, height
}

// Draw puts a frame on the screen, in one write, so that it does not flicker.
func (t *Terminal) Draw(lines []string) {
	var b bytes.Buffer
	b.WriteString("\x1b[H")
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line)
		b.WriteString("\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, _ = t.w.Write(b.Bytes())
}
