package rpc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"greenlane/tiering"
)

// onceLanes is how many requests about tiers that carry an id are under way at once.
// Equal ids share a lane: a retry that overtakes its first attempt waits for it.
const onceLanes = 256

// answer is a response A, as a message.
type answer[A any] interface {
	*A
	proto.Message
}

// once carries out a request that changes tiers, unless it was before: a retry gets
// the first answer, and the same request_id with other contents is refused. The
// first answer stands beside the tiers, for the engine is not asked about them; its
// own requests have the engine's protection. do's answer must have nothing of a
// person. A retry is looked up before its fields are checked: they were right when
// it came first, and times in it may have passed since.
func once[Q identified, A any, P answer[A]](
	ctx context.Context, s *Server, kind string, req Q, id *string, siteName string, do func(context.Context, Q) (P, error),
) (out P, err error) {
	var c check
	c.envelope(*id, siteName)
	st, err := s.checked(&c, siteName)
	if err != nil || *id == "" || s.opts.Requests == nil {
		return do(ctx, req) // which tells what is wrong, with all that is
	}
	q := requestOf(req, id)
	r := tiering.Request{Kind: kind, ID: q.ID, Print: q.Print}
	lane := s.lanes[fnv64a([]byte(st.name+"\x00"+kind+"\x00"+r.ID))%onceLanes]
	select {
	case lane <- struct{}{}:
		defer func() { <-lane }()
	case <-ctx.Done():
		return nil, toError(s.log, ctx.Err())
	}
	first, known, err := s.opts.Requests.Recall(ctx, st.name, r, st.now())
	if err != nil {
		return nil, toError(s.log, err)
	}
	if known {
		out = new(A)
		return out, toError(s.log, proto.Unmarshal(first, out))
	}
	if out, err = do(ctx, req); err != nil {
		return nil, err
	}
	wire, err := proto.Marshal(out)
	if err != nil {
		return nil, toError(s.log, err)
	}
	keep := tiering.KeepRequests{Age: st.config.Keep.RequestsAge, Most: st.config.Keep.Requests}
	if err := s.opts.Requests.Remember(ctx, st.name, r, wire, st.now(), keep); err != nil {
		return nil, toError(s.log, err)
	}
	return out, nil
}

func newLanes() (lanes [onceLanes]chan struct{}) {
	for i := range lanes {
		lanes[i] = make(chan struct{}, 1)
	}
	return lanes
}
