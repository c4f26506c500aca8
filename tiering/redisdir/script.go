package redisdir

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

var (
	//go:embed lua/put.lua
	putSource string
	//go:embed lua/recount.lua
	recountSource string
	//go:embed lua/setaside.lua
	setAsideSource string
)

var (
	putScript = redis.NewScript(putSource)
	// dropScript is putScript for changes that only remove: they must go through
	// when Redis is full.
	dropScript     = redis.NewScript(strings.Replace(putSource, "#!lua\n", "#!lua flags=allow-oom\n", 1))
	recountScript  = redis.NewScript(recountSource)
	setAsideScript = redis.NewScript(setAsideSource)
)

// call is one run of a script.
type call struct {
	script *redis.Script
	keys   []string
	args   []any

	cmd *redis.Cmd
}

// run runs the scripts in one round trip. The error of each is in its cmd; the
// one returned is that of the confirmation by replicas, which all share.
func (d *Directory) run(ctx context.Context, calls []*call) error {
	for _, group := range d.byNode(ctx, calls) {
		if err := d.runOn(ctx, group.node, group.calls); err != nil {
			return err
		}
	}
	return nil
}

type nodeCalls struct {
	node  redis.Cmdable
	calls []*call
}

// byNode returns the calls of each node. Without replicas to wait for the client
// itself knows where each belongs; WAIT however has no key to go by.
func (d *Directory) byNode(ctx context.Context, calls []*call) []nodeCalls {
	cluster, ok := d.client.(*redis.ClusterClient)
	if !ok || d.opt.MinReplicas <= 0 {
		return []nodeCalls{{d.client, calls}}
	}
	var groups []nodeCalls
	at := map[*redis.Client]int{}
	for _, c := range calls {
		node, err := cluster.MasterForKey(ctx, c.keys[0])
		if err != nil {
			c.cmd = redis.NewCmd(ctx)
			c.cmd.SetErr(err)
			continue
		}
		i, known := at[node]
		if !known {
			i = len(groups)
			at[node] = i
			groups = append(groups, nodeCalls{node: node})
		}
		groups[i].calls = append(groups[i].calls, c)
	}
	return groups
}

func (d *Directory) runOn(ctx context.Context, node redis.Cmdable, calls []*call) error {
	send := func(calls []*call, eval bool) error {
		pipe := node.Pipeline()
		for _, c := range calls {
			if eval {
				c.cmd = c.script.Eval(ctx, pipe, c.keys, c.args...)
			} else {
				c.cmd = c.script.EvalSha(ctx, pipe, c.keys, c.args...)
			}
		}
		var wait *redis.Cmd
		if d.opt.MinReplicas > 0 {
			wait = pipe.Do(ctx, "WAIT", d.opt.MinReplicas, d.opt.ReplicaWait.Milliseconds())
		}
		pipe.Exec(ctx) //nolint:errcheck // each command has its own error
		return d.confirmed(wait)
	}
	err := send(calls, false)
	// Scripts vanish with a failover and SCRIPT FLUSH; whoever was told so did not run.
	var unknown []*call
	for _, c := range calls {
		if redis.HasErrorPrefix(c.cmd.Err(), "NOSCRIPT") {
			unknown = append(unknown, c)
		}
	}
	if len(unknown) > 0 {
		err = errors.Join(err, send(unknown, true))
	}
	return err
}

// confirmed says whether enough replicas have what was written before wait.
func (d *Directory) confirmed(wait *redis.Cmd) error {
	if wait == nil {
		return nil
	}
	n, err := wait.Int()
	if err != nil {
		return fmt.Errorf("%w: waiting for replicas: %w", tiering.ErrUnavailable, err)
	}
	if n < d.opt.MinReplicas {
		return fmt.Errorf("%w: only %d of %d replicas confirmed the change within %v: it may be lost at a failover",
			tiering.ErrUnavailable, n, d.opt.MinReplicas, d.opt.ReplicaWait)
	}
	return nil
}
