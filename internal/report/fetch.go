package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "greenlane/proto/greenlane/v1"
	"greenlane/tiering"
)

// Options say what to report.
type Options struct {
	Site     string // empty: main
	From, To time.Time
	Interval time.Duration
	Queues   []string // empty: all
	// Lead is how long before From the log is read for what agents were doing when
	// the range began. An agent who has not been heard of since is left out until he
	// is.
	Lead time.Duration
}

// mostIntervals bounds what is kept, and what anybody could read.
const mostIntervals = 20_000

// Validate joins every fault.
func (o *Options) Validate() error {
	var faults []error
	if !o.From.Before(o.To) {
		faults = append(faults, fmt.Errorf("--from: %s must be before --to, %s", o.From.Format(time.DateTime), o.To.Format(time.DateTime)))
	}
	switch {
	case o.Interval < time.Second:
		faults = append(faults, fmt.Errorf("--interval: %v must be at least 1s", o.Interval))
	case o.To.Sub(o.From)/o.Interval > mostIntervals:
		faults = append(faults, fmt.Errorf("--interval: %v makes more than %d intervals of the range; take a longer one", o.Interval, mostIntervals))
	}
	return errors.Join(faults...)
}

// Site is what a report must know of a site before it can be asked for.
type Site struct {
	Name         string
	Now          time.Time // by the daemon's clock
	DayStart     time.Time
	Zone         *time.Location
	ShortAbandon time.Duration
	Queues       []QueueConfig
	newest       uint64
}

// Look asks the daemon about a site.
func Look(ctx context.Context, conn grpc.ClientConnInterface, site string) (*Site, error) {
	snap, err := pb.NewSupervisorServiceClient(conn).GetSnapshot(ctx, &pb.GetSnapshotRequest{Site: site, OmitAgents: true})
	if err != nil {
		return nil, err
	}
	s := &Site{
		Name: snap.GetSite(), Now: snap.GetTakenAt().AsTime(), DayStart: snap.GetDayStart().AsTime(),
		ShortAbandon: snap.GetShortAbandon().AsDuration(), newest: snap.GetSequence(),
	}
	if s.Zone, err = time.LoadLocation(snap.GetZone()); err != nil {
		return nil, fmt.Errorf("the site's time zone is not known here; say which to show times in with --zone: %w", err)
	}
	for _, q := range snap.GetQueues() {
		c := QueueConfig{Name: q.GetQueue(), Threshold: q.GetThreshold().AsDuration(), Targets: map[tiering.Tier]float64{}}
		for _, t := range q.GetTiers() {
			if t.Target != nil {
				c.Targets[tiering.Tier(t.GetTier())] = t.GetTarget()
			}
		}
		s.Queues = append(s.Queues, c)
	}
	return s, nil
}

// Make reads the log and returns the report. Its figures are those of the log up
// to where it stood when Look was called.
func Make(ctx context.Context, conn grpc.ClientConnInterface, site *Site, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	for _, q := range o.Queues {
		if !slices.ContainsFunc(site.Queues, func(c QueueConfig) bool { return c.Name == q }) {
			return nil, fmt.Errorf("--queue: %q is no queue of site %s", q, site.Name)
		}
	}
	r := &reader{
		api: pb.NewSupervisorServiceClient(conn), callbacks: pb.NewCallbackServiceClient(conn), site: site,
		tally: newTally(o.From, o.To, o.Interval, site.ShortAbandon, o.Queues),
	}
	if err := r.read(ctx, o.From.Add(-o.Lead)); err != nil {
		return nil, err
	}
	if err := r.leftovers(ctx); err != nil {
		return nil, err
	}
	out := &Report{
		Site: site.Name, From: o.From, To: o.To, Interval: o.Interval, Zone: site.Zone, Made: site.Now, Events: r.tally.events,
		Intervals: r.tally.finish(site.Now, r.gaps, site.target), Missing: r.missing(),
	}
	for _, q := range site.Queues {
		if len(o.Queues) == 0 || slices.Contains(o.Queues, q.Name) {
			out.Queues = append(out.Queues, q)
		}
	}
	out.total()
	return out, nil
}

func (s *Site) target(k lineKey) float64 {
	for i := range s.Queues {
		if s.Queues[i].Name == k.queue {
			return s.Queues[i].Targets[k.tier]
		}
	}
	return 0
}

// reader reads the log of one report.
type reader struct {
	api       pb.SupervisorServiceClient
	callbacks pb.CallbackServiceClient
	site      *Site
	tally     *tally
	gaps      []Span // what the log does not keep; the first may begin at the beginning of time
}

// wanted are the types that say something to a report.
var wanted = []pb.EventType{
	pb.EventType_EVENT_TYPE_CALL_JOINED, pb.EventType_EVENT_TYPE_CALL_REFUSED, pb.EventType_EVENT_TYPE_CALL_OFFERED,
	pb.EventType_EVENT_TYPE_OFFER_RETURNED, pb.EventType_EVENT_TYPE_CALL_ANSWERED, pb.EventType_EVENT_TYPE_CALL_COMPLETED,
	pb.EventType_EVENT_TYPE_CALL_ABANDONED, pb.EventType_EVENT_TYPE_CALL_TIMED_OUT, pb.EventType_EVENT_TYPE_CALL_OVERFLOWED,
	pb.EventType_EVENT_TYPE_CALL_MOVED, pb.EventType_EVENT_TYPE_CALL_RERANKED, pb.EventType_EVENT_TYPE_CALL_LATE,
	pb.EventType_EVENT_TYPE_AGENT_SIGNED_IN, pb.EventType_EVENT_TYPE_AGENT_QUEUES_CHANGED,
	pb.EventType_EVENT_TYPE_AGENT_STATE_CHANGED, pb.EventType_EVENT_TYPE_AGENT_SIGNED_OUT,
	pb.EventType_EVENT_TYPE_CALLBACK_CREATED, pb.EventType_EVENT_TYPE_CALLBACK_OFFERED, pb.EventType_EVENT_TYPE_CALLBACK_RETURNED,
	pb.EventType_EVENT_TYPE_CALLBACK_CLAIMED, pb.EventType_EVENT_TYPE_CALLBACK_REPORTED, pb.EventType_EVENT_TYPE_CALLBACK_CANCELLED,
	pb.EventType_EVENT_TYPE_CALLBACK_MISSED,
}

// read counts the log from the first event at or after begin.
func (r *reader) read(ctx context.Context, begin time.Time) error {
	oldest, err := r.first(ctx, 0)
	if err != nil {
		return err
	}
	if oldest == nil {
		if r.site.newest > 0 { // there were events, and none is kept
			r.gaps = append(r.gaps, Span{To: r.site.Now})
		}
		return nil
	}
	if oldest.GetSequence() > 1 {
		r.tally.known = oldest.GetAt().AsTime()
		r.gaps = append(r.gaps, Span{To: r.tally.known})
	}
	after, err := r.seek(ctx, oldest, begin)
	if err != nil {
		return err
	}
	failures := 0
	for {
		before := after
		end, err := r.stream(ctx, &after)
		if end || err == nil {
			return err
		}
		if after > before {
			failures = 0
		}
		if failures++; failures > attempts || !r.resume(ctx, err, &after) {
			return err
		}
		if err := pause(ctx, failures); err != nil {
			return err
		}
	}
}

// attempts is how often reading goes on after it broke off without getting any
// further.
const attempts = 5

// pause waits before the next attempt, each time longer.
func pause(ctx context.Context, failures int) error {
	t := time.NewTimer(time.Duration(failures*failures) * 100 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// resume says whether reading can go on after an error, and from where. What was
// trimmed before it was read is a gap.
func (r *reader) resume(ctx context.Context, err error, after *uint64) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted:
		return true
	case codes.OutOfRange:
	default:
		return false
	}
	if reason(err) != "EVENTS_TRIMMED" {
		return false
	}
	next, err := r.first(ctx, 0)
	if err != nil || next == nil {
		return false
	}
	r.gaps = append(r.gaps, Span{r.tally.lastAt, next.GetAt().AsTime()})
	*after = next.GetSequence() - 1
	return true
}

func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// stream counts what one stream brings. end says that there is nothing more to
// read.
func (r *reader) stream(ctx context.Context, after *uint64) (end bool, err error) {
	if *after >= r.site.newest {
		return true, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.api.StreamEvents(ctx, &pb.StreamEventsRequest{Site: r.site.Name, After: *after, Follow: new(false), Types: wanted})
	if err != nil {
		return false, err
	}
	for {
		res, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		e := res.GetEvent()
		if e.GetSequence() > r.site.newest {
			return true, nil
		}
		r.tally.add(e)
		*after = e.GetSequence()
		if r.tally.settled() {
			return true, nil
		}
	}
}

// first returns the first event after a cursor, nil when there is none.
func (r *reader) first(ctx context.Context, after uint64) (*pb.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := r.api.StreamEvents(ctx, &pb.StreamEventsRequest{Site: r.site.Name, After: after, Follow: new(false)})
	if err != nil {
		return nil, err
	}
	res, err := s.Recv()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return res.GetEvent(), nil
}

// seek returns the cursor before the first event at or after an instant: the log
// is in order of time, so that halving finds it in some twenty questions.
func (r *reader) seek(ctx context.Context, oldest *pb.Event, at time.Time) (uint64, error) {
	low, high := oldest.GetSequence(), r.site.newest+1 // the event sought is in [low, high]
	if !oldest.GetAt().AsTime().Before(at) {
		return low - 1, nil
	}
	for low+1 < high {
		mid := low + (high-low)/2
		e, err := r.first(ctx, mid-1)
		if reason(err) == "EVENTS_TRIMMED" { // meanwhile: it is later than that
			low = mid
			continue
		}
		if err != nil {
			return 0, err
		}
		if e == nil || !e.GetAt().AsTime().Before(at) {
			high = mid
		} else {
			low = mid
		}
	}
	return high - 1, nil
}

// leftovers asks about the callbacks that the log shows open: whether the last
// attempt was the last one that is made, only the callback itself says.
func (r *reader) leftovers(ctx context.Context) error {
	if len(r.tally.promises) == 0 {
		return nil
	}
	req := &pb.CallbackServiceListRequest{Site: r.site.Name, State: pb.CallbackState_CALLBACK_STATE_FAILED, PageSize: 1000}
	for {
		page, err := r.callbacks.List(ctx, req)
		if err != nil {
			return err
		}
		for _, cb := range page.GetCallbacks() {
			r.tally.failed(cb.GetCallbackId())
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return nil
		}
	}
}

// missing returns the part of each gap that lies in the range.
func (r *reader) missing() []Span {
	var out []Span
	for _, g := range r.gaps {
		s := Span{later(g.From, r.tally.from), earlier(g.To, r.tally.to)}
		if s.From.Before(s.To) {
			out = append(out, s)
		}
	}
	return out
}
