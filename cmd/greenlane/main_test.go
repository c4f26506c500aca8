package main

import (
	"bytes"
	"strings"
	"testing"

	"greenlane/internal/load"
	"greenlane/tiering"
)

// execute runs the tool with some arguments.
func execute(args ...string) (string, error) {
	root := command()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

func TestWrongCommandLinesAreNamed(t *testing.T) {
	for _, c := range []struct {
		args string
		want string
	}{
		{"load --nonsense", "unknown flag: --nonsense"},
		{"load --tiers vip", `"vip" is not allowed: a tier, = and a number`},
		{"load --tiers boss=5", `tier "boss" is unknown`},
		{"load --weekday Fri", `weekday: "Fri" is not in the statistics`},
		{"load --from 25", "from:"},
		{"load --stats /nowhere/at/all", "/nowhere/at/all"},
		{"load --agents 2 --polling 3", "polling and ringing:"},
		{"load --callback-tiers boss", "--callback-tiers:"},
		{"load --speed 0", "--speed:"},
		{"demo --for 0s", "--for:"},
		{"demo --from 20", "--from:"},
		{"plaec", "plaec"},
		{"tiers plaec", "plaec"},
		{"call plaec", `"plaec" is no command of "greenlane call"`},
		{"call end", "it is used as: greenlane call end CALL"},
		{"load more", "more"},
	} {
		_, err := execute(strings.Fields(c.args)...)
		if !isUsage(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("greenlane %s: %v, want a wrong command line with %q", c.args, err, c.want)
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	out, err := execute()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"load", "demo", "report", "version"} {
		if !strings.Contains(out, "\n  "+want) {
			t.Errorf("the help does not name %s:\n%s", want, out)
		}
	}
	if out, err := execute("version"); err != nil || !strings.HasPrefix(out, "greenlane ") {
		t.Errorf("version: %q, %v", out, err)
	}
}

func TestFlagsReachTheOptions(t *testing.T) {
	f := callFlags{callbackTiers: "vip,mid", speed: 7, switches: 3, agents: 9, noMess: true, decline: 0.5}
	opt, err := f.options(nil, 11)
	if err != nil {
		t.Fatal(err)
	}
	if len(opt.CallbackTiers) != 2 || opt.CallbackTiers[1] != tiering.Mid || opt.Speed != 7 || opt.Seed != 11 || opt.Switches != 3 {
		t.Errorf("%+v", opt)
	}
	m := load.DefaultManners()
	m.Twice, m.Overtaken, m.Hurried, m.Decline, m.Ignore, m.Reaction = 0, 0, 0, 0.5, 0, 0
	if opt.Manners != m {
		t.Errorf("%+v, want %+v", opt.Manners, m)
	}
}

func TestWrappedText(t *testing.T) {
	var out bytes.Buffer
	printWrapped(&out, strings.Repeat("twelve chars ", 20))
	for line := range strings.Lines(out.String()) {
		if len(line) > textWidth+1 {
			t.Errorf("a line of %d columns", len(line))
		}
	}
	if n := strings.Count(out.String(), "twelve"); n != 20 {
		t.Errorf("%d of 20 words", n)
	}
}
