package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the recorded screens")

// terminal is the real tool in a pseudo terminal, and what is on its screen.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	tty  *os.File
	done chan struct{} // closed when the tool has ended

	mu      sync.Mutex
	screen  *vt.Emulator
	changed chan struct{} // closed at the next change
	raw     strings.Builder
	bells   int
}

// start runs the tool with some arguments on a terminal of a size.
func start(t *testing.T, width, height int, env []string, args ...string) *terminal {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append([]string{
		role + "=tool", "TERM=xterm-256color", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TZ=UTC", "SSH_TTY=none",
	}, env...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)})
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, cmd: cmd, tty: tty, done: make(chan struct{}), screen: vt.NewEmulator(width, height), changed: make(chan struct{})}
	x.screen.SetCallbacks(vt.Callbacks{Bell: func() { x.bells++ }})
	var pumps sync.WaitGroup
	pumps.Go(func() { _, _ = io.Copy(tty, x.screen) }) // what the terminal answers when it is asked
	pumps.Go(x.show)
	go func() { _ = cmd.Wait(); close(x.done) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-x.done
		tty.Close()
		x.screen.InputPipe().(io.Closer).Close()
		pumps.Wait()
	})
	return x
}

// show puts on the screen what the tool writes.
func (x *terminal) show() {
	buf := make([]byte, 32<<10)
	for {
		n, err := x.tty.Read(buf)
		x.mu.Lock()
		_, _ = x.screen.Write(buf[:n])
		x.raw.Write(buf[:n])
		close(x.changed)
		x.changed = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// see returns the screen, and what is closed when it changes.
func (x *terminal) see() (string, <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	lines := strings.Split(x.screen.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n") + "\n", x.changed
}

// patience is far more than anything takes on a machine that is not broken.
const patience = 60 * time.Second

// until waits until the screen is as wanted, and returns it.
func (x *terminal) until(what string, wanted func(screen string) bool) string {
	x.t.Helper()
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for {
		screen, changed := x.see()
		if wanted(screen) {
			return screen
		}
		select {
		case <-changed:
		case <-enough.C:
			x.t.Fatalf("the screen never showed %s; it shows:\n%s", what, screen)
		}
	}
}

// shows waits until all the texts are on the screen.
func (x *terminal) shows(texts ...string) string {
	x.t.Helper()
	return x.until(strings.Join(texts, " and "), func(screen string) bool {
		for _, s := range texts {
			if !strings.Contains(screen, s) {
				return false
			}
		}
		return true
	})
}

// press types keys.
func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := io.WriteString(x.tty, keys); err != nil {
		x.t.Fatal(err)
	}
}

func (x *terminal) resize(width, height int) {
	x.t.Helper()
	x.mu.Lock()
	x.screen.Resize(width, height)
	x.mu.Unlock()
	if err := pty.Setsize(x.tty, &pty.Winsize{Rows: uint16(height), Cols: uint16(width)}); err != nil {
		x.t.Fatal(err)
	}
}

// ended waits until the tool has ended, and returns its exit code.
func (x *terminal) ended() int {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(patience):
		screen, _ := x.see()
		x.t.Fatalf("the tool has not ended; the screen shows:\n%s", screen)
	}
	return x.cmd.ProcessState.ExitCode()
}

func (x *terminal) interrupt() {
	x.t.Helper()
	if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		x.t.Fatal(err)
	}
}

// What is different in every run: times, with their days, and how far a wait has come.
var (
	digits = regexp.MustCompile(`(\d\d-\d\d )?\d+(:\d\d)+`)
	digit  = regexp.MustCompile(`\d`)
	// Notices go away after a while.
	notices = regexp.MustCompile(`(?m)^  (Offer withdrawn|Noted|Connected again).*\n`)
)

func masked(screen string) string {
	screen = digits.ReplaceAllStringFunc(screen, func(s string) string { return digit.ReplaceAllString(s, "#") })
	return notices.ReplaceAllString(strings.ReplaceAll(screen, "█", "░"), "\n")
}

// matches waits until the screen is the recorded one, times aside.
func (x *terminal) matches(name string) {
	x.t.Helper()
	file := filepath.Join("testdata", "screens", name+".txt")
	if *rewrite {
		screen, _ := x.see()
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(masked(screen)), 0o644); err != nil {
			x.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		x.t.Fatal(err)
	}
	x.until(file+":\n"+string(want), func(screen string) bool { return masked(screen) == string(want) })
}
