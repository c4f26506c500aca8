package redisconn

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// moved is a hook of a Cluster's node: it calls reload, which must not wait, when
// the node answers that a slot is with another one.
type moved struct{ reload func() }

// DialHook implements redis.Hook.
func (m moved) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (m moved) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		m.look(err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (m moved) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if m.look(cmd.Err()) {
				break
			}
		}
		return err
	}
}

func (m moved) look(err error) bool {
	_, is := redis.IsMovedError(err)
	if is {
		m.reload()
	}
	return is
}
