package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"greenlane/internal/logtest"
)

// asDaemon makes the test's own binary be the daemon: what is tested is the
// whole program, with its flags, signals and exit code.
const asDaemon = "GREENLANE_TEST_AS_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const patience = time.Minute

func daemon(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	return cmd
}

// run1 runs the daemon to its end.
func run1(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := daemon(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// serving starts a daemon and returns once it has printed its addresses.
func serving(t *testing.T, args ...string) (cmd *exec.Cmd, httpAddr string, rest func() string) {
	t.Helper()
	cmd = daemon(t, append([]string{"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", t.TempDir()}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() { kill.Stop(); cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait() // what it wrote is all there then
		t.Fatalf("no line: %v\n%s", err, errs.String())
	}
	m := regexp.MustCompile(`^greenlaned \S+ serves gRPC on (127\.0\.0\.1:\d+) and HTTP on (127\.0\.0\.1:\d+)\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("the line is %q", line)
	}
	return cmd, m[2], func() string { io.Copy(io.Discard, out); cmd.Wait(); return errs.String() }
}

func TestServesAndStopsOnASignal(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd, addr, rest := serving(t)
		res, err := http.Get("http://" + addr + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		cmd.Process.Signal(sig)
		log := rest()
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%v: exit code %d\n%s", sig, code, log)
		}
	}
}

func TestCheckPrintsWhatTakesEffect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\nannounce_every: 30s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := run1(t, "--check", "--config", file, "--listen", "127.0.0.1:2")
	if code != 0 || !strings.Contains(out, "listen: 127.0.0.1:2\n") || !strings.Contains(out, "announce_every: 30s\n") || !strings.Contains(out, "name: main") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	again := filepath.Join(t.TempDir(), "again.yaml")
	if err := os.WriteFile(again, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if second, errs, code := run1(t, "--check", "--config", again); code != 0 || second != out {
		t.Errorf("what was printed does not read back: %d\n%s%s", code, second, errs)
	}
}

func TestFaultsStopTheStartAllAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(file, []byte("lisen: x\nnumber: {region: XX}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--config", file, "--http", "0.0.0.0:1"}, {"--check", "--config", file, "--http", "0.0.0.0:1"}} {
		out, errs, code := run1(t, args...)
		if code != 1 || out != "" {
			t.Errorf("exit code %d, printed %q", code, out)
		}
		for _, want := range []string{`line 1: unknown key "lisen"`, "number.region", "http: \"0.0.0.0:1\" can be reached by others"} {
			if !strings.Contains(errs, want) {
				t.Errorf("want %q in:\n%s", want, errs)
			}
		}
	}
}

func TestVersionAndUnknownFlags(t *testing.T) {
	if out, _, code := run1(t, "--version"); code != 0 || !strings.HasPrefix(out, "greenlaned version ") {
		t.Errorf("%d %q", code, out)
	}
	if _, errs, code := run1(t, "--lisen", "x"); code != 1 || !strings.Contains(errs, "unknown flag: --lisen") {
		t.Errorf("%d %q", code, errs)
	}
	if _, errs, code := run1(t, "--engine", "redis"); code != 1 || !strings.Contains(errs, "engine: redis needs redis.addresses") {
		t.Errorf("%d %q", code, errs)
	}
}

// TestSecondSignalEndsItAtOnce: a request that is stuck can't hold a stop up
// that is asked for twice.
func TestSecondSignalEndsItAtOnce(t *testing.T) {
	cmd, addr, rest := serving(t)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /readyz HTTP/1.1\r\nHost:")); err != nil { // and no more
		t.Fatal(err)
	}
	for { // the first signal is taken, and the stop waits, when nothing more is accepted
		cmd.Process.Signal(syscall.SIGTERM)
		other, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		other.Close()
	}
	cmd.Process.Signal(syscall.SIGTERM)
	if log := rest(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(log, "terminated again: stopping at once") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), log)
	}
}

// TestASignalEndsTheWaitingForRedis: there is nothing to be stopped, and nothing failed.
func TestASignalEndsTheWaitingForRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody answers there
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := daemon(t, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", t.TempDir(), "--engine", "redis", "--redis", addr)
	log := new(logtest.Buffer)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer kill.Stop()
	select {
	case <-log.Await(func(all string) bool { return strings.Contains(all, "waiting for Redis") }):
	case <-time.After(patience):
		t.Fatalf("it does not wait:\n%s", log)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !log.Has("stopping while Redis is waited for") {
		t.Errorf("%v\n%s", err, log)
	}
}
