package redisq

// Keys lists the keys of the engine's site.
func (e *Engine) Keys() []string { return e.keys }
