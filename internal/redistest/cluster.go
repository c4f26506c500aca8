//go:build unix

package redistest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redisconn"
)

// ClusterOptions of a Cluster.
type ClusterOptions struct {
	Server      Options       // of each node
	Masters     int           // zero for 3
	Replicas    int           // of each master
	NodeTimeout time.Duration // silence after which a node counts as failing; zero for 2 s

	ReplicaUser, ReplicaPassword string // that replicas log in as; empty: Server.Username
}

// Cluster is a Redis Cluster.
type Cluster struct {
	// Nodes are the masters of the start, then their replicas in the same order.
	Nodes []*Server

	masters int
	t       T
}

// slots is how many slots a Cluster has.
const slots = 16384

// StartCluster starts a Cluster and returns when every node knows that all slots
// are served, and every replica is in step.
func StartCluster(t T, o ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{t: t, masters: or(o.Masters, 3)}
	for range c.masters * (1 + o.Replicas) {
		opt := o.Server
		opt.Config = append([]string{
			"cluster-enabled yes", "cluster-config-file nodes.conf", "cluster-port BUSPORT",
			fmt.Sprintf("cluster-node-timeout %d", or(o.NodeTimeout, 2*time.Second).Milliseconds()),
			"cluster-replica-validity-factor 0",
		}, o.Server.Config...)
		opt.Config = append(opt.Config, masterAuth(opt, o.ReplicaUser, o.ReplicaPassword)...)
		c.Nodes = append(c.Nodes, Start(t, opt))
	}
	c.join()
	c.replicate()
	return c
}

// join gives the masters their slots and makes all nodes meet.
func (c *Cluster) join() {
	c.t.Helper()
	ctx := context.Background()
	first := c.Nodes[0]
	for i, node := range c.Nodes {
		// Epochs that differ from the start save the nodes from settling it.
		c.must(node.asked().Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
		if i < c.masters {
			c.must(node.asked().Do(ctx, "CLUSTER", "ADDSLOTSRANGE", slots*i/c.masters, slots*(i+1)/c.masters-1).Err())
		}
		if i > 0 {
			c.must(node.asked().Do(ctx, "CLUSTER", "MEET", "127.0.0.1", first.port.number, first.bus.number).Err())
		}
	}
	c.wait("the nodes don't find each other", func(ctx context.Context) bool {
		for _, node := range c.Nodes {
			info, err := node.asked().ClusterInfo(ctx).Result()
			if err != nil || field(info, "cluster_state") != "ok" || field(info, "cluster_known_nodes") != fmt.Sprint(len(c.Nodes)) {
				return false
			}
		}
		return true
	})
}

// replicate makes the nodes after the masters their replicas.
func (c *Cluster) replicate() {
	c.t.Helper()
	ctx := context.Background()
	for i, node := range c.Nodes[c.masters:] {
		id, err := c.Nodes[i%c.masters].asked().Do(ctx, "CLUSTER", "MYID").Text()
		c.must(err)
		c.must(node.asked().ClusterReplicate(ctx, id).Err())
	}
	c.wait("the replicas are not in step", func(ctx context.Context) bool {
		for _, node := range c.Nodes[c.masters:] {
			info, err := node.asked().Info(ctx, "replication").Result()
			if err != nil || field(info, "master_link_status") != "up" {
				return false
			}
		}
		// Every node must have heard of every replica, or it can't take part in a failover.
		for _, node := range c.Nodes {
			list, err := node.asked().ClusterNodes(ctx).Result()
			if err != nil || strings.Count(list, "slave") != len(c.Nodes)-c.masters {
				return false
			}
		}
		return true
	})
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("making the cluster: %v", err)
	}
}

func (c *Cluster) wait(what string, ok func(ctx context.Context) bool) {
	c.t.Helper()
	if err := until(ready, nil, ok); err != nil {
		c.t.Fatalf("%s: %v", what, err)
	}
}

// Options are how to reach the Cluster.
func (c *Cluster) Options() redisconn.Options {
	o := c.Nodes[0].Options()
	o.Cluster, o.Addresses = true, nil
	for _, node := range c.Nodes {
		o.Addresses = append(o.Addresses, node.Addr())
	}
	return o
}

// Client returns a client of the Cluster, which is closed when the test ends.
func (c *Cluster) Client() redis.UniversalClient {
	c.t.Helper()
	return client(c.t, c.Options())
}

// AwaitFailover waits until a replica has taken over what the killed node served.
func (c *Cluster) AwaitFailover(killed *Server) {
	c.t.Helper()
	c.wait("no failover", func(ctx context.Context) bool {
		for _, node := range c.Nodes {
			if node == killed {
				continue
			}
			list, err := node.asked().ClusterSlots(ctx).Result()
			if err != nil {
				return false
			}
			served := 0
			for _, r := range list {
				if len(r.Nodes) == 0 || strings.HasSuffix(r.Nodes[0].Addr, ":"+killed.port.String()) {
					return false
				}
				served += r.End - r.Start + 1
			}
			if info, err := node.asked().ClusterInfo(ctx).Result(); err != nil || served != slots || field(info, "cluster_state") != "ok" {
				return false
			}
		}
		return true
	})
}
