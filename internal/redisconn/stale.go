package redisconn

import (
	"context"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

// stale is a hook of a Cluster's node: it calls reload, which must not wait, when
// the node answers that a slot is with another one, or can't be reached. A pool that
// failed to reach its node many times dials it only once a second, and meanwhile
// answers with the last failure: that is no news to the dialer, but it is here.
type stale struct{ reload func() }

// DialHook implements redis.Hook.
func (s stale) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (s stale) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		s.look(err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s stale) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if s.look(cmd.Err()) {
				break
			}
		}
		return err
	}
}

func (s stale) look(err error) bool {
	_, is := redis.IsMovedError(err)
	var op *net.OpError
	is = is || errors.As(err, &op) && op.Op == "dial"
	if is {
		s.reload()
	}
	return is
}
