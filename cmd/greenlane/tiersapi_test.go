package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greenlane/internal/app"
	"greenlane/internal/cli"
	"greenlane/internal/config"
	"greenlane/internal/load/daemon"
	"greenlane/internal/redistest"
)

// role makes the test's own binary be the tool, or a daemon: what is killed is a
// process of its own.
const role = "GREENLANE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "tool":
		main()
	case "daemon":
		beDaemon()
	default:
		os.Exit(m.Run())
	}
}

// beDaemon serves until it is killed.
func beDaemon() {
	var file string
	var flags config.Flags
	given := flag.NewFlagSet("daemon", flag.ExitOnError)
	given.StringVar(&file, "config", "", "")
	flags.Listen, flags.HTTP, flags.Data = given.String("listen", "", ""), given.String("http", "", ""), given.String("data", "", "")
	given.Parse(os.Args[1:])
	cfg, err := config.Load(file, flags)
	if err == nil {
		var a *app.App
		if a, err = app.New(cfg, app.Options{}); err == nil {
			if err = a.Start(); err == nil {
				<-a.Failed()
				err = a.Err()
			}
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// aDaemon starts a daemon that has the sites main and copy.
func aDaemon(t *testing.T, cfg string) *daemon.Daemon {
	t.Helper()
	d, err := daemon.New(daemon.Options{
		Binary: os.Args[0], Env: []string{role + "=daemon"}, Config: cfg + "\nsites:\n- name: main\n- name: copy\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// everyDirectory runs a test on a daemon with either directory.
func everyDirectory(t *testing.T, test func(t *testing.T, d *daemon.Daemon)) {
	t.Run("embedded", func(t *testing.T) { test(t, aDaemon(t, "")) })
	t.Run("redis", func(t *testing.T) {
		s := redistest.Start(t, redistest.Options{AOF: true})
		test(t, aDaemon(t, "redis:\n  addresses: ["+s.Addr()+"]"))
	})
}

func toolCode(t *testing.T, args ...string) (out, errs string, code int) {
	t.Helper()
	out, errs, err := tool(t, args...)
	line, code := explain(err)
	return out, errs + line, code
}

// TestImportThroughADaemon: every kind of wrong line is told with line and
// column, all the others are in, and a second run does nothing.
func TestImportThroughADaemon(t *testing.T) {
	everyDirectory(t, func(t *testing.T, d *daemon.Daemon) {
		file := writeFile(t, "callers.csv", lines(3000)+
			"nonsense,vip\n"+ // 3002: no number
			"+8613800138000,gold\n"+ // no tier
			"+8613800138000\n"+ // a field is missing
			"\"+8613800138000,vip\n"+ // a quote is never closed
			"+86138\n"+
			strings.Repeat("x", 70_000)+"\n"+
			"anonymous,vip\n"+
			"13912345678,mid\n"+
			"8613900139000,blacklist") // cut off
		wrongs := []string{
			"line 3002, column 1: number: ", `line 3003, column 16: tier: tier "gold" is unknown`, "line 3004: it has 1 fields, and the header 2",
			"line 3005, column ", "line 3006: ", "line 3007: it is longer than 65536 bytes", "line 3008, column 1: number: ", "note: line 3010 has no end",
		}
		out, errs, code := toolCode(t, "tiers", "import", file, "--addr", d.Addr(), "--dry-run")
		if code != cli.ExitPartly || !strings.Contains(out, "3,002 callers to come in") || !strings.Contains(out, "7 lines wrong") {
			t.Fatalf("%d\n%s\n%s", code, out, errs)
		}
		if out, _, _ = toolCode(t, "tiers", "count", "--addr", d.Addr()); !strings.Contains(out, "all  0") {
			t.Fatalf("a dry run has changed something: %s", out)
		}
		out, errs, code = toolCode(t, "tiers", "import", file, "--addr", d.Addr())
		if code != cli.ExitPartly || !strings.Contains(out, "3,002 callers in, 7 lines wrong") || !strings.Contains(out, "1,000  unknown   to    vip        new") {
			t.Fatalf("%d\n%s\n%s", code, out, errs)
		}
		for _, want := range wrongs {
			if !strings.Contains(errs, file+": "+want) {
				t.Errorf("%q is not told:\n%s", want, errs)
			}
		}
		if _, errs, code = toolCode(t, "tiers", "import", file, "--addr", d.Addr()); code != 0 || !strings.Contains(errs, "is in already") {
			t.Errorf("a second run: %d, %s", code, errs)
		}
		out, _, code = toolCode(t, "tiers", "count", "--addr", d.Addr(), "--output", "json")
		if code != 0 || !strings.Contains(out, `"vip": 1000`) || !strings.Contains(out, `"mid": 1001`) || !strings.Contains(out, `"blacklist": 1`) {
			t.Errorf("%d, %s", code, out)
		}
		for _, form := range [][]string{nil, {"--json"}} {
			exported := filepath.Join(t.TempDir(), "exported")
			if _, errs, code := toolCode(t, append([]string{"tiers", "export", "--addr", d.Addr(), "--to", exported}, form...)...); code != 0 {
				t.Fatal(errs)
			}
			out, errs, code = toolCode(t, append([]string{"tiers", "import", exported, "--addr", d.Addr(), "--site", "copy"}, form...)...)
			if code != 0 || !strings.Contains(out, "3,002 callers in, 0 lines wrong") {
				t.Fatalf("%d\n%s\n%s", code, out, errs)
			}
		}
		if one, two := exportOf(t, d, "main"), exportOf(t, d, "copy"); one != two {
			t.Error("the copy is not what was exported")
		}
	})
}

// exportOf returns a site's callers, in the order of their numbers.
func exportOf(t *testing.T, d *daemon.Daemon, site string) string {
	t.Helper()
	out, errs, code := toolCode(t, "tiers", "export", "--addr", d.Addr(), "--site", site)
	if code != 0 {
		t.Fatal(errs)
	}
	all := strings.Split(strings.TrimSpace(out), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestRegrade: promotions and demotions are told pair by pair, the blacklist
// wins, and a grade may end.
func TestRegrade(t *testing.T) {
	everyDirectory(t, func(t *testing.T, d *daemon.Daemon) {
		at := func(args ...string) []string { return append(args, "--addr", d.Addr()) }
		first := writeFile(t, "first.csv", "number,payment_record,order_amount,profit_contribution\n"+
			"13800138000,100,100,100\n13800138001,60,60,60\n13800138002,0,0,0\n13800138003,100,100,100\n13800138004,60,60,x\n13800138005,60,60,100.5\n")
		out, errs, code := toolCode(t, at("tiers", "regrade", first)...)
		if code != cli.ExitPartly || !strings.Contains(out, "4 callers in, 2 lines wrong") ||
			!strings.Contains(errs, "line 6, column 19: profit_contribution: a number from 0 to 100 is allowed") || !strings.Contains(errs, "line 7, column 19") {
			t.Fatalf("%d\n%s\n%s", code, out, errs)
		}
		if _, errs, code := toolCode(t, at("tiers", "blacklist", "add", "13800138003", "--reason", "threats")...); code != 0 {
			t.Fatal(errs)
		}
		second := writeFile(t, "second.jsonl", `{"number":"13800138000","payment_record":60,"order_amount":60,"profit_contribution":"60"}
{"number":"13800138001","payment_record":100,"order_amount":100,"profit_contribution":100,"ends":"2098-01-01"}
{"number":"13800138002","payment_record":0,"order_amount":0,"profit_contribution":0}
{"number":"13800138003","payment_record":0,"order_amount":0,"profit_contribution":0}
{"number":"13800138003","payment_record":0,"order_amount":0}
{"number":"13800138003","payment_record":true,"order_amount":0,"profit_contribution":0}
`)
		out, errs, code = toolCode(t, at("tiers", "regrade", second, "--json", "--expires", "2099-01-01", "--output", "json")...)
		var report struct {
			Good, Bad int
			Moves     []move
		}
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err, out, errs)
		}
		want := []move{{"vip", "mid", 1, "demoted"}, {"mid", "vip", 1, "promoted"}, {"ordinary", "ordinary", 1, "stays"}, {"blacklist", "blacklist", 1, "stays"}}
		if code != cli.ExitPartly || report.Good != 4 || report.Bad != 2 || !slices.Equal(report.Moves, want) {
			t.Errorf("%d %+v\n%s", code, report, errs)
		}
		for _, want := range []string{"line 5: profit_contribution: it is missing", `line 6, column 25: payment_record: a text or a number is allowed`} {
			if !strings.Contains(errs, want) {
				t.Errorf("%q is not told:\n%s", want, errs)
			}
		}
		got := exportOf(t, d, "main")
		for _, want := range []string{
			"+8613800138000,mid,2098-12-31T16:00:00Z,,", "+8613800138001,vip,2097-12-31T16:00:00Z,,",
			"+8613800138003,blacklist,,,threats", "+8613800138003,ordinary,2098-12-31T16:00:00Z,,threats",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%s is not in\n%s", want, got)
			}
		}
		six := writeFile(t, "six.csv", "phone,payment_record,years_with_us,order_frequency,potential,order_amount,profit_contribution\n13800138009,100,100,100,100,100,50\n")
		out, errs, code = toolCode(t, at("tiers", "regrade", six, "--preset", "six-factor", "--columns", "number=phone,growth=potential", "--expires", "2099-01-01")...)
		if code != 0 || !strings.Contains(out, "1  unknown   to    vip        new") {
			t.Errorf("%d\n%s\n%s", code, out, errs)
		}
	})
}

func TestWrongImports(t *testing.T) {
	d := aDaemon(t, "")
	file := writeFile(t, "callers.csv", "phone,tier\n")
	empty := writeFile(t, "empty.csv", "")
	for want, args := range map[string][]string{
		`no column is named "number"`:       {"tiers", "import", file, "--ignore-columns"},
		`column "phone" is unknown`:         {"tiers", "import", file},
		"the first line must name the":      {"tiers", "import", empty},
		`--columns: "colour" is unknown`:    {"tiers", "import", file, "--columns", "colour=x"},
		`--columns: "tier" is unknown`:      {"tiers", "regrade", file, "--columns", "tier=x"},
		"--expires: an instant like":        {"tiers", "regrade", file, "--expires", "soon"},
		"three-factor or six-factor is":     {"tiers", "regrade", file, "--preset", "seven-factor"},
		`no column is named "order_amount"`: {"tiers", "regrade", file, "--ignore-columns"},
		"--region: ":                        {"tiers", "import", file, "--region", "Atlantis"},
		`--output: "xml" is not allowed`:    {"tiers", "count", "--output", "xml"},
	} {
		if _, errs, code := toolCode(t, append(args, "--addr", d.Addr())...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, %s, want %q", args, code, errs, want)
		}
	}
	if _, errs, code := toolCode(t, "tiers", "import", file, "--columns", "number=phone", "--site", "nowhere", "--addr", d.Addr()); code != 0 {
		t.Errorf("nothing to import is no fault: %d, %s", code, errs)
	}
	one := writeFile(t, "one.csv", "number,tier\n13800138000,vip\n")
	if _, errs, code := toolCode(t, "tiers", "import", one, "--site", "nowhere", "--addr", d.Addr()); code != cli.ExitNotFound || !strings.Contains(errs, "nowhere") {
		t.Errorf("%d, %s", code, errs)
	}
	past := writeFile(t, "past.csv", "number,tier,ends\n13800138001,vip,\n13800138000,vip,2001-01-01\n13800138002,vip,2098-01-01\n")
	if out, errs, code := toolCode(t, "tiers", "import", past, "--addr", d.Addr()); code != cli.ExitPartly ||
		!strings.Contains(errs, "line 3: expires_at: a time in the future is allowed") || !strings.Contains(out, "2 callers in, 1 lines wrong") {
		t.Errorf("%d, %s, %s", code, out, errs)
	}
}

// TestAnImportIsKilled kills the tool, and then the daemon, in the middle of an
// import. In the end the directory is what one clean import makes.
func TestAnImportIsKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("imports 200,000 callers")
	}
	d := aDaemon(t, "")
	const n = 200_000
	var text strings.Builder
	text.WriteString("number,tier\n")
	want := map[string]string{}
	for i := range n {
		// Scattered, and a tenth of the callers comes twice.
		number := fmt.Sprintf("+86138%08d", i*7919%(n*9/10))
		want[number] = []string{"vip", "mid", "ordinary"}[i%3]
		fmt.Fprintf(&text, "%s,%s\n", number, want[number])
	}
	file := writeFile(t, "callers.csv", text.String())
	start := func() (cmd *exec.Cmd, errs *bytes.Buffer) {
		t.Helper()
		cmd, errs = exec.Command(os.Args[0], "tiers", "import", file, "--addr", d.Addr()), &bytes.Buffer{}
		cmd.Env = append(os.Environ(), role+"=tool")
		cmd.Stdout, cmd.Stderr = io.Discard, errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, errs
	}
	// noted waits until some lines are noted beyond those of before.
	noted := func(before int64) int64 {
		t.Helper()
		for t.Context().Err() == nil {
			if c, err := loadCheckpoint(file + ".import"); err == nil && c.End.Line > before {
				return c.End.Line
			}
		}
		t.Fatal("nothing is noted")
		return 0
	}
	cmd, _ := start()
	begun := noted(0)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Log("the import was done before it was killed")
	}
	cmd, errs := start()
	if begun < n {
		noted(begun - 1)
	}
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the import does not go on after the daemon was killed: %v\n%s", err, errs)
	}
	got := exportOf(t, d, "main")
	var all []string
	for number, tier := range want {
		all = append(all, number+","+tier+",,,")
	}
	slices.Sort(all)
	if got != strings.Join(all, "\n")+"\nnumber,tier,ends,flags,note" {
		t.Error("the directory is not what one clean import makes")
	}
}
