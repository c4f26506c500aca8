package app_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"greenlane/internal/app"
	"greenlane/internal/apptest"
	"greenlane/internal/config"
	"greenlane/internal/logtest"
	pb "greenlane/proto/greenlane/v1"
)

// TestTiersLapse: with keep.tiers_age a tier goes so long after its last change, with
// its note, at the site that says so and nowhere else; without it nothing does.
func TestTiersLapse(t *testing.T) {
	log := new(logtest.Buffer)
	var clock atomic.Int64
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	clock.Store(at.UnixMilli())
	opts := app.Options{Now: func() time.Time { return time.UnixMilli(clock.Load()) }, Logger: log.Logger()}
	cfg := configOf(t, func(c *config.Config) {
		c.Sites = append(c.Sites, c.Sites[0])
		c.Sites[1].Name = "east"
	})
	a := apptest.Start(t, cfg, opts)
	tiers := pb.NewTierServiceClient(dial(t, a, insecure.NewCredentials()))
	set := func(site, caller string) {
		t.Helper()
		if _, err := tiers.Set(ctx(t), &pb.TierServiceSetRequest{Site: site, Caller: caller, Tier: pb.Tier_TIER_VIP, Note: "why"}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(site string) int64 {
		t.Helper()
		res, err := tiers.Count(ctx(t), &pb.TierServiceCountRequest{Site: site})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetVip() + res.GetMid() + res.GetOrdinary() + res.GetBlacklist()
	}
	set("main", "13800138000")
	set("east", "13800138000")
	clock.Store(at.AddDate(0, 0, 20).UnixMilli())
	set("main", "13900139000")
	clock.Store(at.AddDate(0, 0, 40).UnixMilli())
	restart := func(age time.Duration) {
		t.Helper()
		apptest.Stop(t, a)
		cfg.Sites[0].Keep.TiersAge = config.Duration(age)
		a = apptest.Start(t, cfg, opts)
		tiers = pb.NewTierServiceClient(dial(t, a, insecure.NewCredentials()))
	}
	restart(0)
	if n := count("main"); n != 2 {
		t.Errorf("without a limit %d tiers are left", n)
	}
	restart(30 * 24 * time.Hour)
	for c := ctx(t); count("main") > 1 && c.Err() == nil; {
	}
	if here, there := count("main"), count("east"); here != 1 || there != 1 {
		t.Errorf("%d and %d tiers are left", here, there)
	}
	if res, err := tiers.Lookup(ctx(t), &pb.TierServiceLookupRequest{Caller: "13800138000"}); err != nil || res.GetTier() != pb.Tier_TIER_ORDINARY || res.GetNote() != "" {
		t.Errorf("the old one is %v, %v", res, err)
	}
	if res, err := tiers.Lookup(ctx(t), &pb.TierServiceLookupRequest{Caller: "13900139000"}); err != nil || res.GetTier() != pb.Tier_TIER_VIP {
		t.Errorf("the young one is %v, %v", res, err)
	}
	apptest.Stop(t, a)
	if text := log.String(); !strings.Contains(text, "removed for their age") || strings.Contains(text, "138000") {
		t.Errorf("the log says %s", text)
	}
}
