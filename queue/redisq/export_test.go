package redisq

// Keys lists the keys of the engine's site.
func (e *Engine) Keys() []string { return e.keys }

// Hash names a script as Redis does.
func Hash(name string) string { return scripts[name].hash }

// AlwaysTogether has even single commands decided by the script of a batch.
func (o Options) AlwaysTogether() Options { o.leastRuns = 1; return o }
