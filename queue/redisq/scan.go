package redisq

import "context"

func (e *Engine) scan(ctx context.Context) { <-ctx.Done() }
