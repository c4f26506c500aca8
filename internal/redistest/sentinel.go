//go:build unix

package redistest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redisconn"
)

// MasterName is the name under which the Sentinels know the master.
const MasterName = "greenlane"

// SentinelOptions of a set of servers under Sentinel.
type SentinelOptions struct {
	Server    Options       // of the master and of each replica
	Replicas  int           // zero for 2
	Sentinels int           // zero for 3
	DownAfter time.Duration // silence after which the master counts as down; zero for 1 s

	// Users that the Sentinels and the replicas log in as; empty: Server.Username.
	SentinelUser, SentinelPassword string
	ReplicaUser, ReplicaPassword   string
}

// Sentinel is a master with its replicas and the Sentinels that watch them.
type Sentinel struct {
	Servers   []*Server // the first was the master at the start
	Sentinels []*Server

	t T
}

// StartSentinel starts a master, replicas and Sentinels, and returns when each
// Sentinel knows all of them.
func StartSentinel(t T, o SentinelOptions) *Sentinel {
	t.Helper()
	replicas, sentinels, down := or(o.Replicas, 2), or(o.Sentinels, 3), or(o.DownAfter, time.Second)
	s := &Sentinel{t: t}
	for i := range 1 + replicas {
		opt := o.Server
		opt.Config = append([]string{}, o.Server.Config...)
		opt.Config = append(opt.Config, masterAuth(opt, o.ReplicaUser, o.ReplicaPassword)...)
		if i > 0 {
			opt.Config = append(opt.Config, fmt.Sprintf("replicaof 127.0.0.1 %v", s.Servers[0].port))
		}
		s.Servers = append(s.Servers, Start(t, opt))
	}
	s.wait("replicas are not in step", func(ctx context.Context) bool {
		info, err := s.Servers[0].asked().Info(ctx, "replication").Result()
		return err == nil && field(info, "connected_slaves") == strconv.Itoa(replicas) && s.inStep(ctx)
	})
	master := s.Servers[0].port
	for i := range sentinels {
		after := down + time.Duration(i)*stagger
		lines := []string{fmt.Sprintf("sentinel monitor %s 127.0.0.1 %v %d", MasterName, master, sentinels/2+1)}
		user, password := or(o.SentinelUser, o.Server.Username), or(o.SentinelPassword, o.Server.Password)
		if password != "" {
			lines = append(lines, fmt.Sprintf("sentinel auth-pass %s %s", MasterName, password))
		}
		if user != "" {
			lines = append(lines, fmt.Sprintf("sentinel auth-user %s %s", MasterName, user))
		}
		lines = append(lines, fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, after.Milliseconds()),
			fmt.Sprintf("sentinel failover-timeout %s %d", MasterName, max(3*down, 3*time.Second).Milliseconds()))
		s.Sentinels = append(s.Sentinels, start(t, "redis-sentinel", Options{Config: lines}))
	}
	if down < safeDownAfter {
		for _, one := range s.Sentinels {
			if err := s.pingOften(one, down); err != nil {
				t.Fatalf("a Sentinel does not take its ping period: %v", err)
			}
		}
	}
	s.wait("the Sentinels don't know each other", func(ctx context.Context) bool { return s.known(ctx, replicas, sentinels) })
	return s
}

// stagger is by how much later each further Sentinel finds the master down. All of
// them see a killed master within a tenth of a second, and would stand for election
// against each other: three with a vote each elect nobody, and try again only after
// twice the failover-timeout.
const stagger = 300 * time.Millisecond

// safeDownAfter is from which down-after on a Sentinel can be left as it is. It lets
// a second pass between two attempts to connect. When it has just tried the dead
// master, it connects to the new one so much later, takes it for down after a
// down-after of a second, finds the votes of the old one's end still there, and fails
// over again, away from a sound master: see docs/redis.md.
const safeDownAfter = 1300 * time.Millisecond

// pingOften has a Sentinel with a shorter down-after ping, and connect, more often.
func (s *Sentinel) pingOften(one *Server, down time.Duration) error {
	return one.asked().Do(context.Background(), "sentinel", "debug", "ping-period", (down / 4).Milliseconds()).Err()
}

// inStep reports whether every replica has a sound link to its master.
func (s *Sentinel) inStep(ctx context.Context) bool {
	for _, r := range s.Servers[1:] {
		info, err := r.asked().Info(ctx, "replication").Result()
		if err != nil || field(info, "master_link_status") != "up" {
			return false
		}
	}
	return true
}

// known reports whether every Sentinel knows all the others and all replicas.
func (s *Sentinel) known(ctx context.Context, replicas, sentinels int) bool {
	for _, one := range s.Sentinels {
		m, err := s.ask(ctx, one)
		if err != nil || m["num-slaves"] != strconv.Itoa(replicas) || m["num-other-sentinels"] != strconv.Itoa(sentinels-1) {
			return false
		}
	}
	return true
}

func (s *Sentinel) ask(ctx context.Context, one *Server) (map[string]string, error) {
	c := redis.NewSentinelClient(&redis.Options{Addr: one.Addr(), DisableIdentity: true})
	defer c.Close() //nolint:errcheck // nothing is lost with it
	return c.Master(ctx, MasterName).Result()
}

func (s *Sentinel) wait(what string, ok func(ctx context.Context) bool) {
	s.t.Helper()
	if err := until(ready, nil, ok); err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// Master returns the server that most Sentinels name the master, as soon as most
// name the same one.
func (s *Sentinel) Master() (master *Server) {
	s.t.Helper()
	s.wait("the Sentinels name no master", func(ctx context.Context) bool {
		master = s.named(ctx)
		return master != nil
	})
	return master
}

// named returns the server that most Sentinels name the master now; nil for none.
func (s *Sentinel) named(ctx context.Context) *Server {
	votes := map[string]int{}
	for _, one := range s.Sentinels {
		if m, err := s.ask(ctx, one); err == nil {
			votes[m["port"]]++
		}
	}
	for _, r := range s.Servers {
		if votes[r.port.String()] > len(s.Sentinels)/2 {
			return r
		}
	}
	return nil
}

// AwaitFailover waits until another server than old is the master and takes
// writes, and returns it.
func (s *Sentinel) AwaitFailover(old *Server) *Server {
	s.t.Helper()
	var now *Server
	s.wait("no failover", func(ctx context.Context) bool {
		if now = s.named(ctx); now == nil || now == old {
			return false
		}
		info, err := now.asked().Info(ctx, "replication").Result()
		return err == nil && field(info, "role") == "master"
	})
	return now
}

// Options are how to reach whichever server is the master.
func (s *Sentinel) Options() redisconn.Options {
	o := s.Servers[0].Options()
	o.Master, o.Addresses = MasterName, nil
	for _, one := range s.Sentinels {
		o.Addresses = append(o.Addresses, one.Addr())
	}
	return o
}

// Client returns a client of the master, whichever that is, which is closed when
// the test ends.
func (s *Sentinel) Client() redis.UniversalClient {
	s.t.Helper()
	return client(s.t, s.Options())
}

func or[V comparable](given, otherwise V) V {
	var zero V
	if given == zero {
		return otherwise
	}
	return given
}

// masterAuth returns the lines with which a replica logs in at its master.
func masterAuth(o Options, user, password string) (lines []string) {
	if password = or(password, o.Password); password != "" {
		lines = append(lines, "masterauth "+password)
	}
	if user = or(user, o.Username); user != "" {
		lines = append(lines, "masteruser "+user)
	}
	return lines
}

// AwaitReplicas waits until the master has n replicas in step that the Sentinels
// know to be up, so that the next failover finds one.
func (s *Sentinel) AwaitReplicas(n int) {
	s.t.Helper()
	master := s.Master()
	s.wait("the replicas do not come back", func(ctx context.Context) bool {
		info, err := master.asked().Info(ctx, "replication").Result()
		if err != nil || strings.Count(info, "state=online") < n {
			return false
		}
		for _, one := range s.Sentinels {
			if !s.up(ctx, one, n) {
				return false
			}
		}
		return true
	})
}

// up reports whether a Sentinel knows n replicas whose link to the master stands.
func (s *Sentinel) up(ctx context.Context, one *Server, n int) bool {
	c := redis.NewSentinelClient(&redis.Options{Addr: one.Addr(), DisableIdentity: true})
	defer c.Close() //nolint:errcheck // nothing is lost with it
	replicas, err := c.Replicas(ctx, MasterName).Result()
	if err != nil {
		return false
	}
	for _, r := range replicas {
		if r["flags"] == "slave" && r["master-link-status"] == "ok" {
			n--
		}
	}
	return n <= 0
}
