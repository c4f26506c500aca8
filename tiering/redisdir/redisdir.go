package redisdir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/seal"
	"greenlane/tiering"
)

// schema is the layout that this program reads and writes.
const schema = "1"

// ErrSchema says that Redis holds tiers of a layout that this program does not know.
var ErrSchema = errors.New("tiers of another layout")

// Options of Open; the zero value is ready to use.
type Options struct {
	Log *slog.Logger // where unreadable entries are reported; nil for slog.Default()

	// Keys seal what is stored. Tiers that were stored otherwise are refused. nil stores
	// them as they are.
	Keys *seal.Keys

	// Cache is how many callers are remembered, and CacheFor for how long. Zero
	// stands for 100,000 and 2 s; a negative Cache remembers nobody.
	Cache    int
	CacheFor time.Duration

	// MinReplicas is how many replicas must confirm a change before it is OK, and
	// ReplicaWait how long that may take; zero for 1 s.
	MinReplicas int
	ReplicaWait time.Duration

	// Gap is called, if not nil, when changes made elsewhere are heard of from now
	// on, at the start and after every interruption: whoever has to know of every
	// change looks again. It runs in a goroutine of its own and must end soon
	// after its context.
	Gap func(ctx context.Context)

	// Writers is how many pipelines of one SetBatch are under way at once; zero
	// for 4.
	Writers int
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Cache == 0 {
		o.Cache = 100_000
	}
	if o.CacheFor <= 0 {
		o.CacheFor = 2 * time.Second
	}
	if o.ReplicaWait <= 0 {
		o.ReplicaWait = time.Second
	}
	if o.Writers <= 0 {
		o.Writers = 4
	}
	return o
}

// Directory is a tier directory in Redis. It implements tiering.Directory.
type Directory struct {
	client redis.UniversalClient
	opt    Options
	layout layout
	origin string // tells this Directory's own messages from others'
	cache  *cache // nil: none
	ears   *ears

	// told is held for a shard by whoever changes it, until the subscribers have
	// been told, so that they hear of the changes of one number in their order.
	told [shards]sync.Mutex

	importing sync.Mutex // held by the Import that is being written
	sorting   []item     // its memory for sorting

	mu          sync.Mutex
	closed      bool
	entered     bool  // Enter has found everything in order
	barred      error // why nothing is read or written now; nil: it is
	subscribers []*subscriber
	underway    sync.WaitGroup
}

type subscriber struct {
	fn func(site string, n tiering.Number, e tiering.Entry)
}

var _ tiering.Directory = (*Directory)(nil)

// Open returns the directory in the client's Redis, and makes it when there is
// none. The client stays the caller's, who closes it after the Directory.
//
// Errors: ErrSchema when another program's layout is there; ErrUnavailable when
// Redis does not answer; the error of ctx.
func Open(ctx context.Context, client redis.UniversalClient, o Options) (*Directory, error) {
	d, err := OpenLater(client, o)
	if err != nil {
		return nil, err
	}
	if err := d.Enter(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// errNotYet is why a Directory is not used before Enter.
var errNotYet = fmt.Errorf("%w: Redis has not answered yet", tiering.ErrUnavailable)

// OpenLater is Open without asking Redis anything, for whoever goes on while it is
// away: every method is ErrUnavailable until Enter has returned nil.
func OpenLater(client redis.UniversalClient, o Options) (*Directory, error) {
	d := newDirectory(client, o)
	d.barred = errNotYet
	if d.opt.Cache > 0 {
		var err error
		if d.cache, err = newCache(d.opt.Cache, d.opt.CacheFor); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Enter looks whether the tiers are of the layout that the Directory has, and lets it
// be used. It is safe to repeat. The errors are those of Open.
func (d *Directory) Enter(ctx context.Context) error {
	if err := d.checkSchema(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entered, d.barred = true, nil
	if !d.closed && (d.cache != nil || d.opt.Gap != nil || len(d.subscribers) > 0) {
		d.ears.listen()
	}
	return nil
}

func newDirectory(client redis.UniversalClient, o Options) *Directory {
	d := &Directory{client: client, opt: o.withDefaults(), layout: newLayout(o.Keys), origin: rand.Text()[:originSize]}
	d.ears = newEars(d)
	return d
}

func (d *Directory) checkSchema(ctx context.Context) error {
	got, err := d.client.Get(ctx, schemaKey).Result()
	if errors.Is(err, redis.Nil) { // where it is there, nothing is to be written
		err = d.client.SetArgs(ctx, schemaKey, d.layout.schema(), redis.SetArgs{Mode: "NX"}).Err()
		if err == nil || errors.Is(err, redis.Nil) { // it is written, by this program or another
			got, err = d.client.Get(ctx, schemaKey).Result()
		}
	}
	if err = schemaFault(got, err); err == nil {
		err = d.layout.checkKeys(got)
	}
	if isLayout(err) {
		return err
	}
	return d.fault(ctx, err)
}

// isLayout reports whether an error says that the tiers are not to be touched with
// the layout and the keys at hand.
func isLayout(err error) bool { return errors.Is(err, ErrSchema) || errors.Is(err, seal.ErrKey) }

// mark looks at the schema again, and writes it where it is gone: a Redis that has
// lost its data must know whose the next tiers are. While it is another one, nothing
// is read or written.
func (d *Directory) mark(ctx context.Context) error {
	err := d.checkSchema(ctx)
	if err != nil && !isLayout(err) {
		return err
	}
	d.mu.Lock()
	was := d.barred
	if err != nil {
		err = fmt.Errorf("%w: %w", tiering.ErrUnavailable, err)
	}
	d.barred = err
	d.mu.Unlock()
	switch {
	case err != nil && was == nil:
		d.opt.Log.Error("the tiers in Redis are no longer used", slog.Any("error", err))
	case err == nil && was != nil:
		d.opt.Log.Info("the tiers in Redis are used again")
	}
	return err
}

func (d *Directory) markWithin(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return d.mark(ctx)
}

// CheckSchema returns nil when the tiers in a Redis, if any, are of the layout
// that this program knows, else ErrSchema with what to do, or Redis's own error.
// It changes nothing.
func CheckSchema(ctx context.Context, client redis.UniversalClient) error {
	got, err := client.Get(ctx, schemaKey).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return schemaFault(got, err)
}

// schemaFault says what is wrong with the value of schemaKey, or with the answer.
func schemaFault(got string, err error) error {
	switch {
	case err == nil && (got == schema || strings.HasPrefix(got, schema+" ")):
		return nil
	case err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE"):
		return err
	}
	return fmt.Errorf("%w: the key %s says version %q and this program knows only %q: use the program that wrote it, "+
		"or export the tiers with that (greenlane tiers export) and import them into an empty Redis with this one",
		ErrSchema, schemaKey, got, schema)
}

// Subscribe implements tiering.Directory.
func (d *Directory) Subscribe(fn func(site string, n tiering.Number, e tiering.Entry)) (cancel func()) {
	s := &subscriber{fn: fn}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.subscribers = append(slices.Clip(d.subscribers), s)
		if d.entered {
			d.ears.listen()
		}
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.subscribers = slices.DeleteFunc(slices.Clone(d.subscribers), func(other *subscriber) bool { return other == s })
	}
}

// listeners returns the subscribers of this moment; nobody changes the slice.
func (d *Directory) listeners() []*subscriber {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subscribers
}

// Hearing is closed while changes made elsewhere are heard of: there is one to
// wait on until they are.
func (d *Directory) Hearing() <-chan struct{} { return d.ears.hearing() }

// Close implements tiering.Directory.
func (d *Directory) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.underway.Wait()
	d.ears.close()
	return nil
}

// begin is called first by every method and returns what must be called last.
func (d *Directory) begin(ctx context.Context, site string) (end func(), err error) {
	if err := tiering.CheckSite(site); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, tiering.ErrClosed
	}
	if d.barred != nil {
		return nil, d.barred
	}
	d.underway.Add(1)
	return d.underway.Done, nil
}

// fault gives an error of Redis its name in the port; errors that have one stay
// as they are.
func (d *Directory) fault(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, tiering.ErrUnavailable), errors.Is(err, tiering.ErrCorrupt):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The connection's clock may be a moment ahead of the context's.
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			return context.DeadlineExceeded
		}
	}
	return fmt.Errorf("%w: %w", tiering.ErrUnavailable, err)
}
