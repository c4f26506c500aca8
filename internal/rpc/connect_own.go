package rpc

import (
	"context"

	"google.golang.org/grpc/codes"

	"greenlane/internal/identity"
	"greenlane/queue"
)

// mine refuses an offer of another switch's call to a switch that has proved who
// it is. Of an offer that this stream rang for nothing has to be asked.
func (cn *connection) mine(ctx context.Context, epoch uint64) error {
	if _, bound := cn.s.bound(ctx, identity.Switch); !bound {
		return nil
	}
	if _, rung := cn.rings.call(epoch); rung {
		return nil
	}
	f := queue.AgentFilter{States: []queue.AgentState{queue.AgentOffered, queue.AgentTalking}, Limit: maxPage}
	for {
		page, next, err := cn.st.engine.Agents(ctx, f)
		if err != nil {
			return toError(cn.s.log, err)
		}
		for i := range page {
			if page[i].Offer == epoch {
				return cn.callIsMine(ctx, page[i].Call)
			}
		}
		if f.After = next; next == "" {
			return nil // it is over, as the engine will say
		}
	}
}

func (cn *connection) callIsMine(ctx context.Context, id string) error {
	if id == "" {
		return cn.notMine() // a callback is no switch's
	}
	info, err := cn.st.engine.Call(ctx, id)
	if err != nil {
		return toError(cn.s.log, err)
	}
	return cn.answers(ctx, &info.Call)
}

// answers refuses to tell a switch of another's call.
func (cn *connection) answers(ctx context.Context, call *queue.Call) error {
	if _, bound := cn.s.bound(ctx, identity.Switch); !bound || call != nil && call.Switch == cn.id {
		return nil
	}
	return cn.notMine()
}

func (cn *connection) notMine() error {
	return refuse(codes.PermissionDenied, reasonNotYours, "offer_id: no offer for a call of yours", nil)
}
