package app_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/audit"
	"greenlane/internal/config"
	pb "greenlane/proto/greenlane/v1"
)

// TestWhoComesAndWhatIsTakenIsRecorded: who was let in to change something, who was
// turned away, and which credentials count since when.
func TestWhoComesAndWhatIsTakenIsRecorded(t *testing.T) {
	var data string
	g := newGuarded(t, func(c *config.Config) { data = c.Data })
	set := func(role string) error {
		_, err := pb.NewTierServiceClient(dial(t, g.App, credentials.NewTLS(g.tls(role)))).Set(ctx(t), &pb.TierServiceSetRequest{
			Caller: "13800138000", Tier: pb.Tier_TIER_VIP, RequestId: "r-" + role,
		})
		return err
	}
	if err := set("back-office"); err != nil {
		t.Fatal(err)
	}
	if err := set(""); status.Code(err) != codes.Unauthenticated {
		t.Fatal(err)
	}
	if err := set("switch"); status.Code(err) != codes.PermissionDenied {
		t.Fatal(err)
	}
	if err := g.pki.Server(time.Hour, "localhost", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	g.untilServed("server.crt")
	apptest.Stop(t, g.App)

	dir := filepath.Join(data, "audit")
	if r, err := audit.Verify(dir, audit.Verification{}); err != nil || r.Fault != nil || !r.Stopped {
		t.Fatal(err, r)
	}
	found := map[string]int{}
	err := audit.Read(dir, audit.Filter{}, func(e *audit.Entry) error {
		key := e.Action
		if e.Who != nil {
			key += " " + e.Who.Roles + e.Detail["reason"] + " " + e.Who.By
		}
		found[key]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"daemon.start", "daemon.stop", "tier.set back-office certificate", "login.refused NO_CREDENTIAL ", "login.refused ROLE_MISSING ",
	} {
		if found[want] != 1 {
			t.Errorf("%q is there %d times, in %v", want, found[want], found)
		}
	}
	if found["credentials.reload"] < 1 {
		t.Errorf("no credentials were taken, in %v", found)
	}
}

// BenchmarkSet is what the record costs: changes of a tier by 64 clients, with it
// and without.
func BenchmarkSet(b *testing.B) {
	for _, on := range []bool{true, false} {
		b.Run("audit="+strconv.FormatBool(on), func(b *testing.B) {
			cfg := config.Default()
			cfg.Listen, cfg.HTTP, cfg.Data, cfg.Audit.Enabled = "127.0.0.1:0", "", b.TempDir(), on
			a, err := app.New(cfg, app.Options{})
			if err != nil {
				b.Fatal(err)
			}
			if err := a.Start(); err != nil {
				b.Fatal(err)
			}
			defer a.Stop(b.Context())
			tiers := pb.NewTierServiceClient(dial(b, a, insecure.NewCredentials()))
			var n atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					caller := fmt.Sprintf("139%08d", n.Add(1)%1_000_000)
					if _, err := tiers.Set(b.Context(), &pb.TierServiceSetRequest{Caller: caller, Tier: pb.Tier_TIER_MID}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
