package walls

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheWallsStand reads this repository.
func TestTheWallsStand(t *testing.T) {
	top := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(top, "go.mod")); err != nil {
		t.Fatalf("the top of the repository is not where this test looks for it: %v", err)
	}
	files, err := read(os.DirFS(top))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go file was read")
	}
	for _, b := range breaches(files) {
		t.Error(b)
	}
}

// TestEveryWallBites gives each wall something to stop and something to let by.
func TestEveryWallBites(t *testing.T) {
	const bbolt, redis, prom = "go.etcd.io/bbolt", "github.com/redis/go-redis/v9", "github.com/prometheus/client_golang/prometheus"
	const pb, rpc = "greenlane/proto/greenlane/v1", "greenlane/internal/rpc"
	for _, c := range []struct {
		path, imp string
		falls     bool
	}{
		{"queue/a.go", "google.golang.org/grpc/codes", true},
		{"queue/a.go", "google.golang.org/protobuf/proto", true},
		{"queue/a.go", redis, true},
		{"queue/a.go", bbolt, true},
		{"queue/a.go", prom, true},
		{"queue/a.go", pb, true},
		{"queue/a.go", "greenlane/queue/embedded", true},
		{"queue/a.go", "os", true},
		{"queue/a.go", "os/exec", true},
		{"queue/a.go", "net", true},
		{"queue/a.go", "net/http/httptest", true},
		{"queue/a.go", "net/url", false},
		{"queue/a.go", "math/rand/v2", true},
		{"queue/a.go", "log/slog", true},
		{"queue/a.go", "time", false},
		{"queue/a.go", "greenlane/tiering", false},
		{"queue/a.go", "greenlane/callback", false},
		{"queue/a.go", "greenlane/internal/instant", false},
		{"queue/a_test.go", "os", false},
		{"queue/a_test.go", "greenlane/queue/queuetest", false},
		{"tiering/a.go", redis, true},
		{"tiering/a.go", "greenlane/tiering/filedir", true},
		{"tiering/a.go", "context", false},
		{"callback/a.go", bbolt, true},
		{"callback/a.go", "google.golang.org/grpc", true},

		{"metrics/level.go", prom, true},
		{"metrics/prom.go", prom, false},
		{"metrics/prom_collector.go", prom, false},
		{"metrics/prom/collector.go", prom, false},
		{"metrics/prom.go", bbolt, true},
		{"metrics/prom/collector.go", "greenlane/queue/embedded", true},
		{"metrics/prom/collector.go", "greenlane/queue", false},

		{"queue/embedded/a.go", bbolt, false},
		{"queue/embedded/a.go", "os", false},
		{"queue/embedded/a.go", "greenlane/queue", false},
		{"queue/embedded/a.go", "greenlane/tiering", false},
		{"queue/embedded/a.go", rpc, true},
		{"queue/embedded/a.go", redis, true},
		{"queue/embedded/a.go", prom, true},
		{"queue/embedded/a.go", pb, true},
		{"queue/embedded/a.go", "greenlane/queue/redisq", true},
		{"queue/embedded/a.go", "greenlane/tiering/filedir", true},
		{"queue/embedded/a.go", "greenlane/queue/queuetest", true},
		{"queue/embedded/a_test.go", "greenlane/queue/queuetest", false},
		{"queue/redisq/a.go", redis, false},
		{"queue/redisq/a.go", bbolt, true},
		{"queue/redisq/a.go", "greenlane/queue/embedded", true},
		{"queue/redisq/a.go", "greenlane/queue/record", false},
		{"queue/record/a.go", "greenlane/queue/redisq", true},
		{"queue/decider/a.go", redis, true},
		{"queue/queuetest/a.go", "greenlane/queue", false},
		{"queue/queuetest/a.go", "greenlane/queue/embedded", true},
		{"queue/queuetest/a_test.go", "greenlane/queue/embedded", true},
		{"tiering/redisdir/a.go", redis, false},
		{"tiering/redisdir/a.go", bbolt, true},
		{"tiering/redisdir/a.go", "greenlane/tiering/filedir", true},
		{"tiering/redisdir/a.go", "greenlane/queue", true},
		{"tiering/filedir/a.go", bbolt, false},
		{"tiering/filedir/a.go", "greenlane/tiering/redisdir", true},

		{"internal/rpc/a.go", pb, false},
		{"internal/rpc/a.go", "greenlane/queue", false},
		{"internal/rpc/a.go", "greenlane/queue/embedded", true},
		{"internal/rpc/a.go", "greenlane/tiering/redisdir", true},
		{"internal/rpc/a.go", "greenlane/internal/app", true},
		{"internal/rpc/a_test.go", "greenlane/queue/embedded", false},
		{"internal/web/a.go", "greenlane/queue", false},
		{"internal/web/a.go", "greenlane/queue/embedded", true},
		{"internal/web/a.go", pb, true},
		{"internal/web/a.go", rpc, true},
		{"internal/web/a.go", "connectrpc.com/vanguard", true},
		{"internal/web/a_test.go", "greenlane/queue/queuetest", false},
		{"internal/app/a.go", rpc, false},
		{"internal/app/a.go", "greenlane/queue/embedded", false},
		{"cmd/greenlaned/main.go", rpc, false},
		{"cmd/greenlane/load/a.go", pb, false},
		{"internal/config/a.go", rpc, true},
		{"internal/config/a_test.go", rpc, true},
		{"internal/config/a.go", pb, true},
		{"internal/config/a_test.go", pb, false},
		{"internal/bench/main.go", pb, false},
		{"internal/bench/main.go", rpc, true},
		{"internal/load/a.go", pb, false},
		{"internal/report/a.go", pb, false},
		{"internal/abuse/a.go", pb, false},
		{"internal/bench/main.go", "greenlane/internal/abuse", false},
		{"internal/app/a.go", "greenlane/internal/abuse", true},
		{"internal/app/a.go", "greenlane/internal/logtest", true},
		{"internal/rpc/a.go", "greenlane/internal/seal/sealtest", true},
		{"internal/cli/a_test.go", "greenlane/internal/apptest", false},
		{"internal/h2limit/a.go", "greenlane/internal/identity", true},
		{"internal/tui/top/a.go", pb, false},
		{"internal/tui/a.go", "greenlane/queue", true},
		{"internal/tui/softphone/a.go", "greenlane/internal/cli", true},
		{"internal/app/a.go", "greenlane/cmd/greenlane/load", true},
		{"internal/app/a_test.go", "greenlane/cmd/greenlane/load", true},
		{"cmd/greenlane/main.go", "greenlane/cmd/greenlane/load", false},
		{"internal/audit/a.go", "greenlane/tiering", false},
		{"internal/audit/a.go", "greenlane/tiering/filedir", true},
		{"internal/audit/a.go", "greenlane/queue", true},
		{"internal/audit/a.go", "google.golang.org/grpc/peer", true},
		{"internal/rpc/a.go", "greenlane/internal/audit", false},
	} {
		f, err := parse(c.path, fmt.Appendf(nil, "package p\n\nimport _ %q\n", c.imp))
		if err != nil {
			t.Fatal(err)
		}
		if got := breaches([]file{f}); (len(got) > 0) != c.falls {
			t.Errorf("%s imports %s: breach %v, want %v\n%s", c.path, c.imp, len(got) > 0, c.falls, strings.Join(got, "\n"))
		}
	}
}

// TestTheCoreIsStoppedBehindACorner hides an import behind a package in between.
func TestTheCoreIsStoppedBehindACorner(t *testing.T) {
	files := []file{
		{path: "queue/a.go", imports: []string{"/internal/handy"}},
		{path: "internal/handy/a.go", imports: []string{"/internal/deeper"}},
		{path: "internal/deeper/a.go", imports: []string{"go.etcd.io/bbolt"}},
		{path: "internal/handy/a_test.go", imports: []string{"github.com/redis/go-redis/v9"}},
	}
	got := breaches(files)
	if len(got) != 1 || !strings.Contains(got[0], "go.etcd.io/bbolt in internal/deeper/a.go") {
		t.Errorf("breaches = %q, want one, about bbolt in internal/deeper", got)
	}
}

// TestTheCoreReadsNoClock looks through another name for the package too.
func TestTheCoreReadsNoClock(t *testing.T) {
	const src = `package p

import (
	"context"
	clock "time"
)

var (
	at     = clock.Now()
	zone   = clock.UTC
	ctx, _ = context.WithTimeout(context.Background(), clock.Second)
	now    = clock.Now
)
`
	for name, want := range map[string]int{
		"queue/a.go": 3, "tiering/a.go": 3, "callback/a.go": 3,
		"queue/a_test.go": 0, "queue/embedded/a.go": 0, "tiering/filedir/a.go": 0, "internal/app/a.go": 0,
	} {
		f, err := parse(name, []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if got := breaches([]file{f}); len(got) != want {
			t.Errorf("%s: %d breaches, want %d: %q", name, len(got), want, got)
		}
	}
}
