package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"greenlane/internal/instant"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
	"greenlane/tiering"
)

// Care says what is done about callers whose satisfaction falls.
type Care struct {
	Dissatisfied float64 // a month's mean up to this is; zero for tiering.DefaultDissatisfied
	Callback     bool    // the first class earns a callback
	Queue        string  // by whom; empty: the site's default queue
}

// careNote is why a callback is there, for the agent who makes it.
const careNote = "care: satisfaction has fallen for three months, and is low now"

// ratings returns where satisfaction is kept.
func (s *Server) ratings() (tiering.Ratings, error) {
	if s.opts.Ratings == nil {
		return nil, refuse(codes.Unimplemented, "NO_RATINGS", "this daemon's tier store keeps no ratings", nil)
	}
	return s.opts.Ratings, nil
}

// Rate implements the rpc.
func (s *tierService) Rate(ctx context.Context, req *pb.TierServiceRateRequest) (*pb.TierServiceRateResponse, error) {
	var c check
	c.envelope(req.GetRequestId(), req.GetSite())
	caller := c.number(s.opts.Normalizer, req.GetCaller())
	if req.GetScore() < tiering.MinScore || req.GetScore() > tiering.MaxScore {
		c.fault("score", "%d to %d is allowed", tiering.MinScore, tiering.MaxScore)
	}
	at := c.time("at", req.GetAt())
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return nil, err
	}
	ratings, err := s.ratings()
	if err != nil {
		return nil, err
	}
	zone, now := st.config.Zone, st.now()
	month := tiering.MonthOf(now, zone)
	r, err := ratingOf(req, at, now, zone)
	if err != nil {
		return nil, toError(s.log, err)
	}
	var repeated bool
	sat, err := ratings.UpdateRatings(ctx, st.name, caller, func(old tiering.Satisfaction) (after tiering.Satisfaction) {
		after, repeated = old.Rate(r, month)
		return after
	})
	if err != nil {
		return nil, toError(s.log, err)
	}
	s.sweep(st, month)
	out := &pb.TierServiceRateResponse{Repeated: repeated}
	class := sat.Class(month, s.opts.Care.Dissatisfied)
	if s.opts.Care.Callback && class == tiering.FallingDissatisfied && sat.Cared < month {
		if sat, out.CallbackId, err = s.care(ctx, st, ratings, caller, month); err != nil {
			return nil, toError(s.log, err)
		}
	}
	out.Standing = toCareItem(string(caller), sat, class, month) // who rates knows the number
	return out, nil
}

// ratedAhead is how far a clock that gives the time of a rating may be ahead.
const ratedAhead = 5 * time.Minute

// ratingOf reads what is rated and for which month.
func ratingOf(req *pb.TierServiceRateRequest, at, now instant.Instant, zone *time.Location) (tiering.Rating, error) {
	r := tiering.Rating{ID: tiering.RatingID(req.GetRequestId()), Score: int(req.GetScore())}
	switch {
	case req.GetMonth() != "":
		var err error
		if r.Month, err = tiering.ParseMonth(req.GetMonth()); err != nil {
			return r, wrongField("month", err)
		}
	case at.IsZero():
		r.Month = tiering.MonthOf(now, zone)
	case at > now && at <= now.Add(ratedAhead):
		r.Month = tiering.MonthOf(now, zone) // a clock that is a little ahead
	default:
		r.Month = tiering.MonthOf(at, zone)
	}
	if err := r.Check(tiering.MonthOf(now, zone)); err != nil {
		return r, wrongField("month", err)
	}
	return r, nil
}

// wrongField makes an error of the core one about a field of the request.
func wrongField(name string, err error) error {
	var c check
	c.fault(name, "%s", err.Error())
	return c.err()
}

// care promises a callback to a caller of the first class, and notes that it was
// done this month. In this order: when it is broken off in between, a repetition
// finds the same promise, by its request_id.
func (s *Server) care(
	ctx context.Context, st *site, ratings tiering.Ratings, caller tiering.Number, month tiering.Month,
) (tiering.Satisfaction, string, error) {
	id := fmt.Sprintf("care-%s-%016x", month, tiering.RatingID(string(caller)))
	res, err := st.engine.Do(ctx, &queue.CreateCallback{
		Request: queue.Request{ID: id}, Caller: caller, Queue: s.opts.Care.Queue,
		Tier: s.opts.Tiers.Resolve(ctx, st.name, caller).Tier, Note: careNote,
	})
	callback := ""
	switch {
	case err == nil && res.Callback != nil:
		callback = res.Callback.ID
	case errors.Is(err, queue.ErrCallbackExists):
		// Somebody is about to call anyway, and one promise is enough.
	case err != nil:
		return tiering.Satisfaction{}, "", err
	}
	sat, err := ratings.UpdateRatings(ctx, st.name, caller, func(s tiering.Satisfaction) tiering.Satisfaction {
		s.Cared = max(s.Cared, month)
		return s
	})
	return sat, callback, err
}

// sweep drops, in the background and once a month and process, the ratings of
// callers of whom nothing counts any more.
func (s *Server) sweep(st *site, month tiering.Month) {
	if before := st.swept.Load(); before >= int32(month) || !st.swept.CompareAndSwap(before, int32(month)) {
		return
	}
	s.work.run(func() {
		err := eachRated(s.base, s.opts.Ratings, st.name, func(r tiering.Rated) error {
			if !r.Satisfaction.Ended(month) {
				return nil
			}
			_, err := s.opts.Ratings.UpdateRatings(s.base, st.name, r.Number, func(now tiering.Satisfaction) tiering.Satisfaction {
				if now.Ended(month) {
					return tiering.Satisfaction{}
				}
				return now
			})
			return err
		})
		if err != nil && s.base.Err() == nil {
			st.swept.CompareAndSwap(int32(month), 0) // the next rating tries again
			s.log.Warn("ratings that no longer count could not be dropped", "site", st.name, "error", err)
		}
	})
}

// ratedPage is how many rated callers are read at a time.
const ratedPage = 1000

// eachRated visits every rated caller of a site at least once.
func eachRated(ctx context.Context, ratings tiering.Ratings, site string, visit func(tiering.Rated) error) error {
	for cursor := tiering.Cursor(""); ; {
		page, next, err := ratings.WalkRatings(ctx, site, cursor, ratedPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := visit(r); err != nil {
				return err
			}
		}
		if cursor = next; next == "" {
			return nil
		}
	}
}

// errEnough ends a walk before its end.
var errEnough = errors.New("enough")

// ListCare implements the rpc. Each class is a walk of its own: the order costs
// no memory, however many callers there are.
func (s *tierService) ListCare(req *pb.TierServiceListCareRequest, stream grpc.ServerStreamingServer[pb.TierServiceListCareResponse]) error {
	var c check
	c.name("site", req.GetSite(), false)
	wanted := map[tiering.CareClass]bool{}
	for i, class := range req.GetClasses() {
		c.enum(index("classes", i, ""), int32(class), pb.CareClass_name, true)
		wanted[tiering.CareClass(class)] = true
	}
	limit := req.GetDissatisfied()
	switch {
	case limit == 0:
		limit = s.opts.Care.Dissatisfied
	case !(limit >= tiering.MinScore && limit <= tiering.MaxScore): // also when it is no number
		c.fault("dissatisfied", "%d to %d is allowed", tiering.MinScore, tiering.MaxScore)
	}
	if req.GetLimit() < 0 {
		c.fault("limit", "0 or more is allowed; 0 means all")
	}
	st, err := s.checked(&c, req.GetSite())
	if err != nil {
		return err
	}
	ratings, err := s.ratings()
	if err != nil {
		return err
	}
	eyes, month, sent := s.viewer(stream.Context()), tiering.MonthOf(st.now(), st.config.Zone), int32(0)
	for _, class := range tiering.CareClasses {
		if len(wanted) > 0 && !wanted[class] {
			continue
		}
		err := eachRated(stream.Context(), ratings, st.name, func(r tiering.Rated) error {
			if r.Satisfaction.Class(month, limit) != class {
				return nil
			}
			if sent++; req.GetLimit() > 0 && sent > req.GetLimit() {
				return errEnough
			}
			return stream.Send(&pb.TierServiceListCareResponse{Item: toCareItem(eyes.caller(r.Number), r.Satisfaction, class, month)})
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return toError(s.log, err)
		}
	}
	return nil
}

func toCareItem(caller string, s tiering.Satisfaction, class tiering.CareClass, month tiering.Month) *pb.CareItem {
	item := &pb.CareItem{Caller: caller, Class: pb.CareClass(class), CallbackMonth: s.Cared.String()}
	for _, m := range s.Window(month) {
		item.Months = append(item.Months, &pb.MonthSatisfaction{Month: m.Month.String(), Mean: m.Mean(), Ratings: int32(m.Count)})
	}
	return item
}
