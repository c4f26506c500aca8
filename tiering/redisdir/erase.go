package redisdir

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"greenlane/tiering"
)

//go:embed lua/dropaside.lua
var dropAsideSource string

var dropAsideScript = redis.NewScript(dropAsideSource)

var _ tiering.Quarantine = (*Directory)(nil)

// asideScan is how many names one step of a search reads.
const asideScan = 1000

// EraseAside implements tiering.Quarantine. A key of a wrong type that was moved
// aside as a whole is nobody's, and stays.
func (d *Directory) EraseAside(ctx context.Context, site string, n tiering.Number) (int, error) {
	end, err := d.begin(ctx, site)
	if err != nil {
		return 0, err
	}
	defer end()
	if err := n.Check(); err != nil {
		return 0, err
	}
	p := d.layout.placeOf(n)
	key := asideKey(site, p.shard())
	args := []any{p.field, p.extraField()}
	for at := uint64(0); ; {
		fields, next, err := d.client.HScan(ctx, key, at, asidePrefix(p.bucket, p.field)+"*", asideScan).Result()
		if err != nil {
			return 0, d.fault(ctx, err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			args = append(args, fields[i])
		}
		if at = next; at == 0 {
			break
		}
	}
	c := &call{script: dropAsideScript, keys: []string{key, extraKey(site, p.shard()), bucketKey(site, p.bucket)}, args: args}
	if err := d.run(ctx, []*call{c}); err != nil {
		return 0, d.fault(ctx, err)
	}
	removed, err := c.cmd.Int()
	return removed, d.fault(ctx, err)
}

// asidePrefix begins the names of what was set aside from a place.
func asidePrefix(bucket uint32, field string) string {
	return fmt.Sprintf("%03x:%x:", bucket&(perShard-1), field)
}
