package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// Target says which daemon and site a command works with, by the flags that
// every command has.
type Target struct{ f flags }

// Register adds the flags to a command.
func (t *Target) Register(cmd *cobra.Command) { t.f.register(cmd, false) }

// JSON reports whether the answer is wanted as JSON. The error is a UsageError
// for a form that there is none of.
func (t *Target) JSON() (bool, error) {
	if t.f.output != "table" && t.f.output != "json" {
		return false, usagef("--output: %q is not allowed: table or json", t.f.output)
	}
	return t.f.output == "json", nil
}

// Site is the site of the flags or of the environment.
func (t *Target) Site(cmd *cobra.Command) string {
	_, site := t.f.Get(cmd)
	return site
}

// Open opens a connection to the daemon. Nothing is asked yet.
func (t *Target) Open(cmd *cobra.Command) (*TierStore, error) {
	s, err := t.f.open(cmd)
	if err != nil {
		return nil, err
	}
	return &TierStore{s: s}, nil
}

// TierStore is a daemon's tier directory, over the API, as commands use it that
// work on very many callers.
type TierStore struct{ s *session }

// Close ends the connection.
func (t *TierStore) Close() { t.s.conn.Close() }

// Grading returns the daemon's grading, or the preset's, and the country in which
// the daemon reads numbers.
func (t *TierStore) Grading(ctx context.Context, preset string) (g tiering.Grading, region string, err error) {
	res, err := do(ctx, t.s, t.s.tiers().GetGrading, &pb.TierServiceGetGradingRequest{Preset: preset})
	if err != nil {
		return g, "", err
	}
	g = tiering.Grading{Name: res.GetName(), VIPFrom: res.GetVipFrom(), MidFrom: res.GetMidFrom()}
	for _, f := range res.GetFactors() {
		g.Factors = append(g.Factors, tiering.Factor{Name: f.GetName(), Weight: f.GetWeight(), Meaning: f.GetMeaning()})
	}
	return g, res.GetNumberRegion(), g.Validate()
}

// Walk returns a page of the site's callers, as tiering.Directory.Walk does.
func (t *TierStore) Walk(ctx context.Context, site string, from tiering.Cursor, limit int) ([]tiering.Item, tiering.Cursor, error) {
	res, err := do(ctx, t.s, t.s.tiers().List, &pb.TierServiceListRequest{Site: site, PageSize: int32(limit), PageToken: string(from)})
	if err != nil {
		return nil, "", err
	}
	items := make([]tiering.Item, len(res.GetEntries()))
	for i, e := range res.GetEntries() {
		items[i] = tiering.Item{Number: tiering.Number(e.GetCaller()), Entry: tiering.Entry{
			Grade: tiering.Tier(e.GetGrade()), GradedAt: instantOf(e.GetGradedAt()), GradeEnds: instantOf(e.GetGradeExpiresAt()),
			Blacklisted: e.GetBlacklisted(), BlacklistEnds: instantOf(e.GetBlacklistedUntil()),
			Flags: tiering.Flags(e.GetFlags()), Note: e.GetNote(),
		}}
	}
	return items, tiering.Cursor(res.GetNextPageToken()), nil
}

// Count returns how many callers have each tier.
func (t *TierStore) Count(ctx context.Context, site string) (map[tiering.Tier]int64, error) {
	res, err := do(ctx, t.s, t.s.tiers().Count, &pb.TierServiceCountRequest{Site: site})
	if err != nil {
		return nil, err
	}
	return map[tiering.Tier]int64{
		tiering.VIP: res.GetVip(), tiering.Mid: res.GetMid(), tiering.Ordinary: res.GetOrdinary(), tiering.Blacklist: res.GetBlacklist(),
	}, nil
}

// instantOf reads a time of the API; an absent one is the zero Instant.
func instantOf(t *timestamppb.Timestamp) instant.Instant {
	if t == nil {
		return 0
	}
	return instant.Of(t.AsTime())
}

// batchTimeout is how long one batch of an import may take: far longer than it
// takes, so that a daemon that answers no more is noticed.
const batchTimeout = 30 * time.Second
