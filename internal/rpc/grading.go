package rpc

import (
	"context"
	"maps"
	"math"
	"slices"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// grading returns the scheme that a request names, or the configuration's.
func (s *Server) grading(c *check, preset string) tiering.Grading {
	if preset == "" {
		return s.opts.Grading
	}
	g, err := tiering.Preset(preset)
	if err != nil {
		c.fault("preset", "%s or %s is allowed", tiering.PresetThreeFactor, tiering.PresetSixFactor)
		return s.opts.Grading
	}
	return g
}

// GetGrading implements the rpc.
func (s *tierService) GetGrading(_ context.Context, req *pb.TierServiceGetGradingRequest) (*pb.TierServiceGetGradingResponse, error) {
	var c check
	g := s.grading(&c, req.GetPreset())
	if err := c.err(); err != nil {
		return nil, err
	}
	out := &pb.TierServiceGetGradingResponse{Name: g.Name, VipFrom: g.VIPFrom, MidFrom: g.MidFrom, NumberRegion: s.opts.Normalizer.Region()}
	for _, f := range g.Factors {
		out.Factors = append(out.Factors, &pb.GradingFactor{Name: f.Name, Weight: f.Weight, Meaning: f.Meaning})
	}
	return out, nil
}

// Score implements the rpc.
func (s *tierService) Score(_ context.Context, req *pb.TierServiceScoreRequest) (*pb.TierServiceScoreResponse, error) {
	var c check
	g := s.grading(&c, req.GetPreset())
	given := map[string]float64{}
	for name, value := range map[string]float64{
		"payment_record": req.GetPaymentRecord(), "order_amount": req.GetOrderAmount(), "profit_contribution": req.GetProfitContribution(),
	} {
		if value != 0 { // also when it is no number
			given[name] = value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(req.GetFigures())) {
		if _, twice := given[name]; twice {
			c.fault("figures", "%.40q is given twice", name)
		}
		given[name] = req.GetFigures()[name]
	}
	figures := make([]float64, len(g.Factors))
	for i, f := range g.Factors {
		v := given[f.Name]
		delete(given, f.Name)
		if math.IsNaN(v) || v < 0 || v > 100 {
			c.fault(f.Name, "0 to 100 is allowed")
		}
		figures[i] = v
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		c.fault("figures", "%.40q is no figure of the scheme %s", name, g.Name)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	score, tier, err := g.Grade(figures)
	if err != nil {
		return nil, toError(s.log, err)
	}
	return &pb.TierServiceScoreResponse{Score: score, Tier: toTier(tier)}, nil
}
