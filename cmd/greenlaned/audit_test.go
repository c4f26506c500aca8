package main

import (
	"bufio"
	"context"
	"fmt"
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

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"greenlane/internal/audit"
	pb "greenlane/proto/greenlane/v1"
)

// audited starts a daemon on a data directory.
func audited(t *testing.T, data string) (cmd *exec.Cmd, conn *grpc.ClientConn) {
	t.Helper()
	cmd = daemon(t, "--listen", "127.0.0.1:0", "--http", "", "--data", data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); cmd.Process.Kill() })
	in := bufio.NewReader(out)
	line, err := in.ReadString('\n')
	m := regexp.MustCompile(`gRPC on (\S+)\n`).FindStringSubmatch(line)
	if err != nil || m == nil {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("the daemon says %q, %v\n%s", line, err, log.String())
	}
	go io.Copy(io.Discard, in)
	conn, err = grpc.NewClient(m[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return cmd, conn
}

// TestKilledWhileChangesRun kills a daemon in the midst of changes, again and
// again: whatever was answered is in the record with its outcome, and the record
// is as it was written.
func TestKilledWhileChangesRun(t *testing.T) {
	const kills, workers, each = 3, 8, 40
	data := t.TempDir()
	dir := filepath.Join(data, "audit")
	var mu sync.Mutex
	answered := map[string]bool{}
	for kill := range kills {
		cmd, conn := audited(t, data)
		tiers := pb.NewTierServiceClient(conn)
		var enough, work sync.WaitGroup
		enough.Add(workers)
		for w := range workers {
			work.Go(func() {
				for n := 0; ; n++ {
					if n == each {
						enough.Done()
					}
					id := fmt.Sprintf("k%d-w%d-n%d", kill, w, n)
					ctx, cancel := context.WithTimeout(context.Background(), patience)
					_, err := tiers.Set(ctx, &pb.TierServiceSetRequest{
						RequestId: id, Caller: fmt.Sprintf("139%02d%06d", w, n%1000), Tier: pb.Tier_TIER_MID,
					})
					cancel()
					if err != nil {
						if n < each { // The daemon ended too early: the count below says so.
							enough.Done()
						}
						return
					}
					mu.Lock()
					answered[id] = true
					mu.Unlock()
				}
			})
		}
		enough.Wait()
		cmd.Process.Kill()
		cmd.Wait()
		work.Wait()
		if r, err := audit.Verify(dir, audit.Verification{}); err != nil || r.Fault != nil && r.Fault.Kind != audit.FaultCutOff {
			t.Fatalf("after the kill: %v, %v", err, r.Fault)
		}
	}
	cmd, _ := audited(t, data)
	cmd.Process.Signal(syscall.SIGTERM)
	cmd.Wait()

	if len(answered) < kills*workers*each {
		t.Errorf("%d changes were answered", len(answered))
	}
	r, err := audit.Verify(dir, audit.Verification{})
	if err != nil || r.Fault != nil || !r.Stopped {
		t.Fatalf("%+v, %v", r, err)
	}
	starts, good := 0, map[string]bool{}
	err = audit.Read(dir, audit.Filter{}, func(e *audit.Entry) error {
		switch {
		case e.Action == audit.ActionStart:
			starts++
			if !strings.HasPrefix(e.Detail["configuration"], "sha256:") || e.Detail["engine"] != "embedded" {
				t.Errorf("a start says %v", e.Detail)
			}
		case e.Code() == "OK":
			good[e.RequestID] = true
		}
		return nil
	})
	if err != nil || starts != kills+1 {
		t.Errorf("%d starts, %v", starts, err)
	}
	for id := range answered {
		if !good[id] {
			t.Errorf("%s was answered, and is not in the record", id)
		}
	}
	t.Logf("%d changes answered, %d in the record, %d with an unknown outcome", len(answered), len(good), r.Open)
}

func TestTwoDaemonsDoNotShareARecord(t *testing.T) {
	data := t.TempDir()
	audited(t, data)
	file := filepath.Join(t.TempDir(), "g.yaml")
	if err := os.WriteFile(file, []byte("audit: {dir: "+filepath.Join(data, "audit")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, errs, code := run1(t, "--listen", "127.0.0.1:0", "--http", "", "--data", t.TempDir(), "--config", file)
	if code != 1 || !strings.Contains(errs, "another daemon writes its audit record there") {
		t.Errorf("%d %q", code, errs)
	}
}
