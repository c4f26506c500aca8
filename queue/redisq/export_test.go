package redisq

// Keys lists the keys of the engine's site.
func (e *Engine) Keys() []string { return e.keys }

// AlwaysTogether has even single commands decided by the script of a batch.
func (o Options) AlwaysTogether() Options { o.leastRuns = 1; return o }
