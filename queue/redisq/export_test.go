package redisq

// Keys lists the keys of the engine's site.
func (e *Engine) Keys() []string { return e.keys }

// Prefix begins the names of them.
func (e *Engine) Prefix() string { return e.opts.Prefix }
