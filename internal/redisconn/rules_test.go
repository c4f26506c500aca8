package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/redis/go-redis/v9"
)

func client(t *testing.T, o Options) redis.UniversalClient {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestABrokenConnectionIsNotTriedAgain: the server has read the command and
// breaks off. Nobody but the caller knows whether it may be sent again.
func TestABrokenConnectionIsNotTriedAgain(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		f := newFake(t, plain)
		c := client(t, Options{Addresses: []string{f.addr()}, Cluster: cluster})
		if err := c.Incr(t.Context(), "n").Err(); !errors.Is(err, ErrLost) {
			t.Errorf("cluster %v: %v, want ErrLost", cluster, err)
		}
		pipe := c.Pipeline()
		pipe.Incr(t.Context(), "n")
		if _, err := pipe.Exec(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("cluster %v, pipeline: %v, want ErrLost", cluster, err)
		}
		if n := f.count("INCR"); n != 2 {
			t.Errorf("cluster %v: two commands were sent %d times", cluster, n)
		}
	}
}

// TestANodeThatGaveItsSlotsAway: who asks a node itself is not sent on by the
// library, but the next one to ask for the slot's node is given the right one,
// without waiting until the map is old.
func TestANodeThatGaveItsSlotsAway(t *testing.T) {
	for how, ask := range map[string]func(*redis.Client) error{
		"command": func(node *redis.Client) error { return node.Get(t.Context(), "k").Err() },
		"connection": func(node *redis.Client) error {
			c := node.Conn()
			defer c.Close()
			return c.Get(t.Context(), "k").Err()
		},
		"pipeline": func(node *redis.Client) error {
			_, err := node.Pipelined(t.Context(), func(p redis.Pipeliner) error {
				p.Set(t.Context(), "other", "v", 0)
				p.Get(t.Context(), "k")
				return nil
			})
			return err
		},
	} {
		t.Run(how, func(t *testing.T) {
			was, is := newFake(t, plain), newFake(t, plain)
			c := client(t, Options{Addresses: []string{was.addr()}, Cluster: true}).(*redis.ClusterClient)
			holder := func() *redis.Client {
				node, err := c.MasterForKey(t.Context(), "k")
				if err != nil {
					t.Fatal(err)
				}
				return node
			}
			old := holder()
			was.holder.Store(int64(is.port))
			if addr, moved := redis.IsMovedError(ask(old)); !moved || addr != is.addr() {
				t.Fatalf("moved %v to %q, want to %q", moved, addr, is.addr())
			}
			ctx, cancel := context.WithTimeout(t.Context(), clusterReload/2)
			defer cancel()
			for holder().Options().Addr != is.addr() {
				if ctx.Err() != nil {
					t.Fatal("the map of slots is not asked for")
				}
				runtime.Gosched()
			}
		})
	}
}

// TestANodeThatIsAway: the pool of a node that was away for long gives its last
// failure instead of dialling. Even then the map of slots is asked for.
func TestANodeThatIsAway(t *testing.T) {
	reloads := 0
	c := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", PoolSize: 1, MaxRetries: -1, DialerRetries: 1,
		Dialer: func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		},
	})
	defer c.Close()
	c.AddHook(stale{func() { reloads++ }})
	const each = 5
	for range each {
		if err := c.Get(t.Context(), "k").Err(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
		if _, err := c.Pipelined(t.Context(), func(p redis.Pipeliner) error { return p.Get(t.Context(), "k").Err() }); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Error(err)
		}
	}
	if reloads != 2*each {
		t.Errorf("%d failures had the map asked for %d times", 2*each, reloads)
	}
}

// TestNothingIsAskedThatRedis70LacksOrThatNeedsRights looks at all that a new
// connection says.
func TestNothingIsAskedThatRedis70LacksOrThatNeedsRights(t *testing.T) {
	for _, cluster := range []bool{false, true} {
		f := newFake(t, plain)
		c := client(t, Options{Addresses: []string{f.addr()}, Cluster: cluster})
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		for _, got := range f.commands() {
			allowed := false
			for _, start := range []string{"HELLO 3", "CLIENT SETNAME GREENLANE", "CLUSTER SLOTS", "SET K V"} {
				allowed = allowed || strings.HasPrefix(got, start)
			}
			if !allowed {
				t.Errorf("cluster %v: a connection asks %q", cluster, got)
			}
		}
		if f.count("SET") != 1 {
			t.Errorf("cluster %v: got %q", cluster, f.commands())
		}
	}
}

func TestTLSIsSpokenAndTheServerChecked(t *testing.T) {
	web := httptest.NewUnstartedServer(nil)
	web.StartTLS() // for its certificate, which is for 127.0.0.1
	defer web.Close()
	f := newFake(t, func(l net.Listener) net.Listener {
		return tls.NewListener(l, &tls.Config{Certificates: web.TLS.Certificates})
	})
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	good := client(t, Options{Addresses: []string{f.addr()}, TLS: &tls.Config{RootCAs: pool}})
	if err := good.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]Options{"a stranger's certificate": {TLS: &tls.Config{}}, "plain text": {}} {
		o.Addresses = []string{f.addr()}
		if err := client(t, o).Set(context.Background(), "k", "v", 0).Err(); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if n := f.count("SET K"); n != 1 {
		t.Errorf("the server got %d commands, want 1", n)
	}
}

func TestTheRulesReachEveryKindOfClient(t *testing.T) {
	o := Options{Addresses: []string{"h:1"}, Username: "u", Password: "p", SentinelUsername: "su", SentinelPassword: "sp"}
	u := o.universal()
	simple, failover, cluster := u.Simple(), u.Failover(), u.Cluster()
	if simple.MaxRetries != -1 || failover.MaxRetries != -1 || cluster.MaxRetries != -1 {
		t.Error("the library may repeat commands")
	}
	if !simple.ContextTimeoutEnabled || !failover.ContextTimeoutEnabled || !cluster.ContextTimeoutEnabled {
		t.Error("deadlines are not looked at while a reply is awaited")
	}
	if simple.ReadTimeout != ReplyTimeout || failover.DialTimeout != DialTimeout || cluster.PoolSize != PoolSize || simple.PoolTimeout != PoolTimeout {
		t.Error("a time-out or size is not set")
	}
	if failover.SentinelUsername != "su" || failover.SentinelPassword != "sp" || failover.Username != "u" || cluster.Password != "p" {
		t.Error("a password is not passed on")
	}
	if simple.Dialer == nil || failover.Dialer == nil || cluster.Dialer == nil {
		t.Error("a kind of client has connections of its own")
	}
}
