package tui

import (
	"context"
	"errors"
	"io"
	"os"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"
)

// ErrNoTerminal says that a full-screen program was started without a screen.
var ErrNoTerminal = errors.New("this fills a terminal's screen, and there is no terminal")

// StopMsg asks a program to end, as its owner does with a signal.
type StopMsg struct{}

// framesPerSecond is how often the screen may be drawn: often enough that a key
// seems to work at once. A frame that is like the one before is not drawn.
const framesPerSecond = 20

// OnTerminal reports whether both are a terminal that can draw in place.
func OnTerminal(in io.Reader, out io.Writer) bool {
	i, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(i.Fd())) {
		return false
	}
	o, ok := out.(*os.File)
	return ok && term.IsTerminal(int(o.Fd())) && os.Getenv("TERM") != "dumb"
}

// Input is a line to write on. Its cursor does not blink: a screen on which nothing
// happens costs nothing.
func Input(prompt string) textinput.Model {
	in := textinput.New()
	in.Prompt = prompt
	styles := in.Styles()
	styles.Cursor.Blink = false
	in.SetStyles(styles)
	return in
}

// Stroke is a key by its name. An escape that is pressed twice reaches a program as
// one with alt.
func Stroke(msg tea.KeyPressMsg) string {
	if k := msg.String(); k != "alt+esc" {
		return k
	}
	return "esc"
}

// Run runs a program on the terminal until its model quits. When ctx ends the
// model gets a StopMsg. started is called first, with how to send messages to the
// model; it may be used from any goroutine, also after the end.
func Run(ctx context.Context, model tea.Model, in io.Reader, out io.Writer, started func(send func(tea.Msg))) error {
	if !OnTerminal(in, out) {
		return ErrNoTerminal
	}
	p := tea.NewProgram(model, tea.WithInput(in), tea.WithOutput(out), tea.WithFPS(framesPerSecond), tea.WithoutSignalHandler())
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-ctx.Done():
			p.Send(StopMsg{})
		case <-done:
		}
	}()
	started(func(m tea.Msg) { p.Send(m) })
	_, err := p.Run()
	return err
}
