package redisq

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	errMixedUp     = errors.New("the reply belongs to another command")
	errUnconfirmed = errors.New("it is there, but was not confirmed in time")
	errReply       = errors.New("redis answered in a way this program does not know")
)

// reply is what a script answers: its status, the nonce it was given, and whatever
// belongs to the status.
type reply struct {
	status string
	list   []any
}

// nonce names one run of a script: no other run, of whatever daemon, has it.
func (e *Engine) nonce() string {
	e.nonces++
	return e.id + strconv.FormatUint(e.nonces, 36)
}

// begin returns the arguments of a run as far as they are the same for all.
func (e *Engine) begin(args []any) []any {
	args = append(args[:0], "evalsha", "", len(e.keys))
	return append(args, e.keyArgs...)
}

// run has Redis run a script. nonce is the one among args. With confirm it waits
// for the replicas, and the error is errUnconfirmed when too few have it in time.
// After any other error it is unknown whether the script ran.
func (e *Engine) run(s *script, nonce string, args []any, confirm bool) (reply, error) {
	ctx, cancel := context.WithTimeout(e.within, e.opts.Timeout+e.opts.ConfirmWithin)
	defer cancel()
	node, err := e.node(ctx)
	if err != nil {
		return reply{}, err
	}
	conn := node.Conn()
	defer conn.Close() //nolint:errcheck // it goes back to the pool
	args[0], args[1] = "evalsha", s.hash
	r, err := e.exchange(ctx, conn, nonce, args, confirm)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		// Scripts vanish when a server starts or another takes over. Nothing has
		// happened then, and the source can be sent.
		args[0], args[1] = "eval", s.source
		r, err = e.exchange(ctx, conn, nonce, args, confirm)
	}
	if redis.HasErrorPrefix(err, "ERR user_script") || redis.HasErrorPrefix(err, "ERR Error compiling") {
		e.opts.Logger.Error("a script failed; this is a defect", "script", s.name, "error", err)
	}
	return r, err
}

func (e *Engine) exchange(ctx context.Context, conn *redis.Conn, nonce string, args []any, confirm bool) (reply, error) {
	if !confirm || e.opts.MinReplicas == 0 {
		cmd := redis.NewCmd(ctx, args...)
		_ = conn.Process(ctx, cmd)
		return e.parse(ctx, conn, nonce, cmd)
	}
	p := conn.Pipeline()
	cmd := p.Do(ctx, args...)
	confirmed := p.Do(ctx, "wait", e.opts.MinReplicas, e.opts.ConfirmWithin.Milliseconds())
	_, _ = p.Exec(ctx) // each command has its own error
	r, err := e.parse(ctx, conn, nonce, cmd)
	if err != nil || r.status != statusOK {
		return r, err
	}
	if n, err := confirmed.Int(); err != nil || n < e.opts.MinReplicas {
		return r, errors.Join(fmt.Errorf("%w: %d of %d replicas have it", errUnconfirmed, n, e.opts.MinReplicas), err)
	}
	return r, nil
}

func (e *Engine) parse(ctx context.Context, conn *redis.Conn, nonce string, cmd *redis.Cmd) (reply, error) {
	list, err := cmd.Slice()
	if err != nil && cmd.Err() != nil {
		return reply{}, err
	}
	r, err := replyOf(list, nonce)
	if errors.Is(err, errMixedUp) {
		// The connection is out of step for good: end it, so that nobody gets it.
		e.opts.Logger.Error("redis answered another command than the one asked: the connection is dropped")
		_ = conn.Do(ctx, "quit").Err()
	}
	return r, err
}

// replyOf reads a reply. One that does not repeat the nonce is nobody's.
func replyOf(list []any, nonce string) (reply, error) {
	if len(list) < 2 {
		return reply{}, errMixedUp
	}
	status, _ := list[0].(string)
	if got, _ := list[1].(string); got != nonce || status == "" {
		return reply{}, errMixedUp
	}
	return reply{status, list[2:]}, nil
}

// text and number return an element of a reply; nothing where there is none.
func (r *reply) text(i int) string {
	if i >= len(r.list) {
		return ""
	}
	s, _ := r.list[i].(string)
	return s
}

func (r *reply) number(i int) int64 {
	if i >= len(r.list) {
		return 0
	}
	n, _ := r.list[i].(int64)
	return n
}

// unavailable takes up that an exchange failed, and returns what a caller is told.
func (e *Engine) unavailable(err error) error {
	e.health.heard(err)
	return unavailable(err)
}

// observe tells of an exchange that began then.
func (e *Engine) observe(requests int, began time.Time, err error) {
	if e.opts.Observe != nil {
		e.opts.Observe(requests, time.Since(began), err)
	}
}

// node returns the client of the one server that holds the site now.
func (e *Engine) node(ctx context.Context) (*redis.Client, error) {
	switch c := e.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, e.keys[keySite])
	default:
		return nil, fmt.Errorf("redisq: %T is no client of a server, of Sentinel or of a Cluster", e.client)
	}
}
