package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"greenlane/internal/redistest"
)

// tool runs a command line and returns what it wrote.
func tool(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	root := command()
	root.SetOut(&o)
	root.SetErr(&e)
	root.SetArgs(args)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func lines(n int) string {
	var b strings.Builder
	b.WriteString("number,tier\n")
	for i := range n {
		fmt.Fprintf(&b, "+86138%08d,%s\n", i, []string{"vip", "mid", "ordinary"}[i%3])
	}
	return b.String()
}

func TestTiersImportExportAndCount(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	file := writeFile(t, "callers.csv", lines(30_000)+"nonsense,vip\n+8613800138000,gold\n8613900139000,blacklist")
	out, errs, err := tool(t, "tiers", "import", file, "--redis", s.Addr(), "--dry-run")
	if !errors.Is(err, errPartly) || !strings.Contains(out, "30,001 callers to come in") || !strings.Contains(out, "2 lines wrong") {
		t.Fatalf("%s\n%s\n%v", out, errs, err)
	}
	out, _, err = tool(t, "tiers", "count", "--redis", s.Addr(), "--output", "json")
	if err != nil || !strings.Contains(out, `"vip": 0`) {
		t.Fatalf("a dry run has changed something: %s, %v", out, err)
	}
	out, errs, err = tool(t, "tiers", "import", file, "--redis", s.Addr())
	if !errors.Is(err, errPartly) || !strings.Contains(out, "30,001 callers in, 2 lines wrong") || !strings.Contains(out, "10,000  unknown   to    vip") {
		t.Fatalf("%s\n%s\n%v", out, errs, err)
	}
	for _, want := range []string{
		file + ": line 30002, column 1: number: ", file + `: line 30003, column 16: tier: tier "gold" is unknown`, "may have been cut off",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("%q is not told:\n%s", want, errs)
		}
	}
	if _, errs, err = tool(t, "tiers", "import", file, "--redis", s.Addr()); err != nil || !strings.Contains(errs, "is in already") {
		t.Errorf("a second run: %s, %v", errs, err)
	}
	out, _, err = tool(t, "tiers", "count", "--redis", s.Addr())
	if err != nil || !strings.Contains(out, "all  30,001") {
		t.Errorf("%s, %v", out, err)
	}
	for _, form := range [][]string{nil, {"--json"}} {
		exported := filepath.Join(t.TempDir(), "exported")
		if _, errs, err = tool(t, append([]string{"tiers", "export", "--redis", s.Addr(), "--to", exported}, form...)...); err != nil {
			t.Fatal(errs, err)
		}
		out, errs, err = tool(t, append([]string{"tiers", "import", exported, "--redis", s.Addr(), "--site", "copy"}, form...)...)
		if err != nil || !strings.Contains(out, "30,001 callers in, 0 lines wrong") {
			t.Fatalf("%s\n%s\n%v", out, errs, err)
		}
	}
}

// TestAnImportGoesOn breaks an import off by a Redis that goes away for good, and
// runs it again.
func TestAnImportGoesOn(t *testing.T) {
	s := redistest.Start(t, redistest.Options{AOF: true, Config: []string{"appendfsync always"}})
	file := writeFile(t, "callers.csv", lines(1000))
	if _, errs, err := tool(t, "tiers", "import", file, "--redis", s.Addr()); err != nil {
		t.Fatal(errs, err)
	}
	// As a run that was broken off leaves it: the first half noted.
	noted, err := loadCheckpoint(file + ".import")
	if err != nil || !noted.Done {
		t.Fatal(noted, err)
	}
	half := int64(len("number,tier\n")) + 500*int64(len("+8613800000000,"))
	for i := range 500 {
		half += int64(len([]string{"vip\n", "mid\n", "ordinary\n"}[i%3]))
	}
	noted.Done, noted.End.Line, noted.End.Offset, noted.Good = false, 501, half, 500
	if err := noted.save(file + ".import"); err != nil {
		t.Fatal(err)
	}
	if err := s.Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	out, errs, err := tool(t, "tiers", "import", file, "--redis", s.Addr())
	if err != nil || !strings.Contains(errs, "going on after line 501") || !strings.Contains(out, "1,000 callers in") {
		t.Fatalf("%s\n%s\n%v", out, errs, err)
	}
	if out, _, err = tool(t, "tiers", "count", "--redis", s.Addr()); err != nil || !strings.Contains(out, "all  500") {
		t.Errorf("the first half was done twice, or the second was not: %s, %v", out, err)
	}
	if err := os.WriteFile(file, []byte(lines(1001)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err = tool(t, "tiers", "import", file, "--redis", s.Addr()); err == nil || !strings.Contains(err.Error(), "--restart") {
		t.Errorf("another file under the same name: %v", err)
	}
	if out, _, err = tool(t, "tiers", "import", file, "--redis", s.Addr(), "--restart"); err != nil || !strings.Contains(out, "1,001 callers in") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestTiersUsage(t *testing.T) {
	file := writeFile(t, "callers.csv", "phone,tier\n")
	s := redistest.Start(t, redistest.Options{})
	for want, args := range map[string][]string{
		"accepts 1 arg":                  {"tiers", "import"},
		`no column is named "number"`:    {"tiers", "import", file, "--redis", s.Addr(), "--ignore-columns"},
		`--columns: "colour" is unknown`: {"tiers", "import", file, "--redis", s.Addr(), "--columns", "colour=x"},
		"one character is allowed":       {"tiers", "import", file, "--redis", s.Addr(), "--delimiter", "ab"},
		`"xml" is not allowed`:           {"tiers", "count", "--redis", s.Addr(), "--output", "xml"},
		"exclude each other":             {"tiers", "count", "--redis", s.Addr(), "--redis-master", "m", "--redis-cluster"},
	} {
		_, _, err := tool(t, args...)
		if !isUsage(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, _, err := tool(t, "tiers", "import", "no-such-file", "--redis", s.Addr()); err == nil {
		t.Error("a file that is not there")
	}
}

// TestAnImportIntoNoSite: what the configuration names is read, anything else by nobody.
func TestAnImportIntoNoSite(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	cfg := writeFile(t, "greenlane.yaml", "sites: [{name: main}, {name: east}]\nredis: {addresses: [\""+s.Addr()+"\"]}\n")
	file := writeFile(t, "callers.csv", lines(3))
	_, _, err := tool(t, "tiers", "import", file, "--config", cfg, "--site", "mian")
	if _, usage := errors.AsType[usageError](err); !usage || !strings.Contains(err.Error(), "main, east") {
		t.Errorf("a site that is not configured: %v", err)
	}
	if n := s.Client().DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("%d keys were written", n)
	}
	if out, errs, err := tool(t, "tiers", "import", file, "--config", cfg, "--site", "east"); err != nil || !strings.Contains(out, "3 callers in") {
		t.Errorf("%s\n%s\n%v", out, errs, err)
	}
}

func TestDoctor(t *testing.T) {
	good := redistest.Start(t, redistest.Options{AOF: true, MaxMemory: "100mb"})
	out, _, err := tool(t, "doctor", "--redis", good.Addr())
	if err != nil || strings.HasPrefix(out, "fail") || strings.Contains(out, "\nfail") || !strings.Contains(out, "ok    version: Redis 7") {
		t.Errorf("%s, %v", out, err)
	}
	if keys, err := good.Client().Keys(t.Context(), "*").Result(); err != nil || len(keys) > 0 && keys[0] != "tiers:{doctor}:brief" {
		t.Errorf("the doctor leaves %v, %v", keys, err)
	}
	if err := good.Client().HSet(t.Context(), "greenlane:{main}:site", "schema", "99").Err(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "greenlane.yaml")
	if err := os.WriteFile(file, []byte("engine: redis\nredis: {addresses: ["+good.Addr()+"]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, err = tool(t, "doctor", "--config", file); !errors.Is(err, errDifferences) || !strings.Contains(out, "fail  schema") || !strings.Contains(out, "99") {
		t.Errorf("a site of another layout: %s, %v", out, err)
	}
	bad := redistest.Start(t, redistest.Options{MaxMemory: "100mb", Config: []string{"maxmemory-policy allkeys-lru"}})
	out, _, err = tool(t, "doctor", "--redis", bad.Addr(), "--min-replicas", "1", "--output", "json")
	if !errors.Is(err, errDifferences) || !strings.Contains(out, "set maxmemory-policy noeviction") || !strings.Contains(out, "start more replicas") ||
		!strings.Contains(out, "set appendonly yes") {
		t.Errorf("%s, %v", out, err)
	}
	bad.Kill()
	if _, _, err = tool(t, "doctor", "--redis", bad.Addr()); err == nil || !strings.Contains(err.Error(), "can't be asked") {
		t.Errorf("%v", err)
	}
}
