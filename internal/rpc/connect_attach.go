package rpc

import (
	"context"

	"greenlane/queue"
)

// attach makes the switch known to the engine as one that can ring phones.
func (cn *connection) attach(ctx context.Context) error {
	cn.trunk = cn.st.trunks.enter(cn.id)
	if err := cn.trunk.take(ctx); err != nil {
		cn.st.trunks.leave(cn.id, cn.trunk)
		return err
	}
	defer cn.trunk.done()
	if cn.trunk.open == 0 {
		cn.trunk.token = cn.s.token()
		if err := cn.tellAttached(ctx); err != nil {
			if ctx.Err() != nil {
				cn.tellDetached() // it may have happened
			}
			cn.st.trunks.leave(cn.id, cn.trunk)
			return err
		}
	}
	cn.trunk.open++
	return nil
}

// again makes the switch known anew after the engine has forgotten it, although
// its stream stands: this daemon was held up for longer than its lease, or a
// stream of the switch at another daemon came and went.
func (cn *connection) again(ctx context.Context) error {
	if err := cn.trunk.take(ctx); err != nil {
		return err
	}
	defer cn.trunk.done()
	return cn.tellAttached(ctx)
}

// detach undoes attach; with the last stream of the switch, what its phones ring
// for goes back at once.
func (cn *connection) detach() {
	ctx, cancel := cn.s.detached()
	defer cancel()
	defer cn.st.trunks.leave(cn.id, cn.trunk)
	if err := cn.trunk.take(ctx); err != nil {
		return
	}
	defer cn.trunk.done()
	if cn.trunk.open--; cn.trunk.open == 0 {
		cn.tellDetached()
	}
}

func (cn *connection) tellAttached(ctx context.Context) error {
	_, err := cn.st.engine.Do(ctx, &queue.AttachSwitch{Switch: cn.id, Owner: cn.s.owner, Token: cn.trunk.token})
	return err
}

func (cn *connection) tellDetached() {
	ctx, cancel := cn.s.detached()
	defer cancel()
	if _, err := cn.st.engine.Do(ctx, &queue.DetachSwitch{Switch: cn.id, Token: cn.trunk.token}); err != nil {
		cn.s.log.Warn("a switch's stream ended and it could not be detached; the lease will end it",
			"site", cn.st.name, "switch", cn.id, "error", err)
	}
}
