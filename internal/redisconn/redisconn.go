package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options say which Redis to use. Only Addresses has no default.
type Options struct {
	// Addresses are host:port of the one server, of the Sentinels when Master is
	// set, or of some of the Cluster's nodes.
	Addresses []string
	// Master is the name under which the Sentinels know the master; empty: no
	// Sentinel.
	Master string
	// Cluster says that the addresses are of a Cluster. Several addresses without
	// Master mean the same.
	Cluster bool

	Username, Password                 string // of Redis; empty: none
	SentinelUsername, SentinelPassword string // of the Sentinels; empty: none
	TLS                                *tls.Config

	DialTimeout  time.Duration // to reach a server and say who we are; zero for DialTimeout
	ReplyTimeout time.Duration // for one reply when ctx allows more; zero for ReplyTimeout
	PoolSize     int           // connections to each server; zero for PoolSize
	PoolTimeout  time.Duration // for a free connection when ctx allows more; zero for PoolTimeout
	ClientName   string        // what CLIENT LIST shows; empty for "greenlane"
}

// What zero stands for in Options.
const (
	DialTimeout  = 2 * time.Second
	ReplyTimeout = 3 * time.Second
	PoolTimeout  = 3 * time.Second
	PoolSize     = 32
	clientName   = "greenlane"
)

// connMaxIdle is how long a connection may lie unused. Firewalls forget idle
// connections without telling anybody; five minutes is less than most wait.
const connMaxIdle = 5 * time.Minute

// Kind says what the options name: "single", "sentinel" or "cluster".
func (o Options) Kind() string {
	switch {
	case o.Master != "":
		return "sentinel"
	case o.Cluster || len(o.Addresses) > 1:
		return "cluster"
	}
	return "single"
}

// Check returns every fault of the options, joined.
func (o Options) Check() error {
	var faults []error
	if len(o.Addresses) == 0 {
		faults = append(faults, errors.New("addresses: at least one host:port is needed"))
	}
	for _, addr := range o.Addresses {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			faults = append(faults, fmt.Errorf("addresses: %q is no address: host:port is allowed", addr))
		}
	}
	if o.Master != "" && o.Cluster {
		faults = append(faults, errors.New("master and cluster exclude each other: Sentinel watches single servers"))
	}
	if o.Username != "" && o.Password == "" {
		faults = append(faults, errors.New("password: must be set when username is"))
	}
	return errors.Join(faults...)
}

// New returns a client, which connects when it is first used. The error joins
// every fault of the options.
func New(o Options) (redis.UniversalClient, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	quiet()
	u := o.universal()
	if o.Kind() != "cluster" {
		return redis.NewUniversalClient(u), nil
	}
	return newCluster(u), nil
}

// clusterReload is how old the map of slots may become.
const clusterReload = 10 * time.Second

// newCluster returns a client of a Cluster. It asks for the map of slots anew
// whenever a node can't be reached, breaks off, or says that another one has the
// slot: on its own the library would go on asking a dead master for a minute, and
// a node that MasterForKey gave and that was demoted until the map is old.
func newCluster(u *redis.UniversalOptions) redis.UniversalClient {
	var client atomic.Pointer[redis.ClusterClient]
	o := u.Cluster()
	o.ClusterStateReloadInterval = clusterReload
	// The library's routing by command asks for COMMAND, a right that nothing else
	// here needs, and routes nothing here differently.
	o.DisableRoutingPolicies = true
	reload := func() {
		if c := client.Load(); c != nil {
			c.ReloadState(context.Background())
		}
	}
	o.Dialer = dialer(u, reload)
	o.NewClient = func(node *redis.Options) *redis.Client {
		c := redis.NewClient(node)
		c.AddHook(stale{reload})
		return c
	}
	c := redis.NewClusterClient(o)
	client.Store(c)
	return c
}

// quiet keeps the library from writing to standard error: whatever it says there
// comes back as an error too.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silence{}) })

type silence struct{}

// Printf implements the library's logging.
func (silence) Printf(context.Context, string, ...any) {}

// universal translates the options, with the rules that everybody here relies on.
func (o Options) universal() *redis.UniversalOptions {
	u := &redis.UniversalOptions{
		Addrs: o.Addresses, MasterName: o.Master, IsClusterMode: o.Kind() == "cluster",
		Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
		SentinelUsername: o.SentinelUsername, SentinelPassword: o.SentinelPassword,
		ClientName: or(o.ClientName, clientName),

		// The library would send a command again whose reply did not come in time,
		// although it may have been done. Whoever calls knows what may be repeated.
		MaxRetries: -1,
		// Without it a context's deadline is looked at only between replies.
		ContextTimeoutEnabled: true,
		DialTimeout:           or(o.DialTimeout, DialTimeout),
		ReadTimeout:           or(o.ReplyTimeout, ReplyTimeout),
		WriteTimeout:          or(o.ReplyTimeout, ReplyTimeout),
		PoolSize:              or(o.PoolSize, PoolSize),
		PoolTimeout:           or(o.PoolTimeout, PoolTimeout),
		ConnMaxIdleTime:       connMaxIdle,
		DialerRetries:         1,

		// Both ask for what Redis 7.0 does not have, and need rights for it.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	u.Dialer = dialer(u, func() {})
	return u
}

func or[T comparable](given, otherwise T) T {
	var zero T
	if given == zero {
		return otherwise
	}
	return given
}
