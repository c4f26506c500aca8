package redisq

// Keys lists the keys of the engine's site.
func (e *Engine) Keys() []string { return e.keys }

// Prefix begins the names of them.
func (e *Engine) Prefix() string { return e.opts.Prefix }

// ListenBlock is how long a reading of the log waits.
const ListenBlock = listenBlock

// Conflicts tells how often a commit of this engine was too late, and how often in
// a row. It is asked when nothing is under way.
func (e *Engine) Conflicts() (all, worst int) { return int(e.late.Load()), int(e.worst.Load()) }

// FiringAtMost returns options of an engine that fires so many timers in one commit.
func (o Options) FiringAtMost(n int) Options {
	o.mostFired = n
	return o
}
