package abuse

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// ChildArg is the first argument of a program that is to call Child.
const ChildArg = "child-abuse"

// order is what a hostile process is told.
type order struct {
	Attack string
	Target Target
	Sink   bool // be what is attacked, and do nothing about it
	Low    bool // take of the machine what the others leave
}

// Child is a hostile process: it does what args, which Measure has made, say until
// its standard input ends.
func Child(args []string) error {
	var o order
	if len(args) != 1 {
		return errors.New("one argument is needed")
	}
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return err
	}
	how := "normal priority"
	if o.Low {
		var err error
		if how, err = lower(); err != nil {
			return err
		}
	}
	i := slices.IndexFunc(Attacks, func(a Attack) bool { return a.Name == o.Attack })
	if i < 0 {
		return fmt.Errorf("the attack %q is unknown", o.Attack)
	}
	a := Attacks[i]
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if o.Sink {
		return sink(ctx, a, func(at Target) { say(how, at) })
	}
	say(how, Target{})
	return a.Run(ctx, o.Target)
}

// told is what a hostile process says when it begins.
type told struct {
	How string // its priority
	At  Target // where a sink is
}

func say(how string, at Target) {
	text, err := json.Marshal(told{how, at})
	if err != nil {
		panic(err) // a type of this package's own
	}
	fmt.Println(string(text))
}

// hostile is a running hostile process.
type hostile struct {
	told
	cmd  *exec.Cmd
	in   io.Closer
	said bytes.Buffer // on standard error
}

// startHostile starts a hostile process: the program that runs, which must call Child when
// its first argument is ChildArg. It ends with its parent.
func startHostile(ctx context.Context, o order) (*hostile, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	h := &hostile{cmd: exec.CommandContext(ctx, self, ChildArg, string(text))}
	h.cmd.Stderr = &h.said
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	h.in = in
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &h.told)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a hostile process does not start: %w", err), h.stop())
	}
	return h, nil
}

// stop ends the process. The error is a promise that the daemon broke.
func (h *hostile) stop() error {
	err := h.in.Close()
	if ended := h.cmd.Wait(); ended != nil {
		err = errors.Join(err, fmt.Errorf("%w: %s", ended, strings.TrimSpace(h.said.String())))
	}
	return err
}
