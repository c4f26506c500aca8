package redisq_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

// inStepAtOnce are servers whose replicas don't wait for others before they are given
// what they lack: 5 s each time.
var inStepAtOnce = redistest.Options{Config: []string{"repl-diskless-sync-delay 0"}}

// keepArriving sends calls until n of them were acknowledged, and returns their places.
func keepArriving(t *testing.T, e *redisq.Engine, name string, n int) map[string]uint64 {
	t.Helper()
	acked := map[string]uint64{}
	for i := range n {
		id := fmt.Sprint(name, i)
		acked[id] = again(t, e, arrive(id)).Call.Seq
	}
	return acked
}

// mustHave checks that calls are where they were acknowledged to be.
func mustHave(t *testing.T, e *redisq.Engine, acked ...map[string]uint64) {
	t.Helper()
	for _, calls := range acked {
		for id, seq := range calls {
			if now := callOf(t, e, id).Call.Seq; now != seq {
				t.Errorf("acknowledged and lost: %s had place %d, and has %d", id, seq, now)
			}
		}
	}
}

// TestClusterFailover kills (-9) the node of a Cluster that holds the site, under two
// daemons.
func TestClusterFailover(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	c := redistest.StartCluster(t, redistest.ClusterOptions{Server: inStepAtOnce, Replicas: 1, NodeTimeout: time.Second})
	opts := redisq.Options{MinReplicas: 1, Timeout: time.Second}
	one, two := open(t, c.Client(), opts), open(t, c.Client(), opts)
	onDuty(t, one, "a1")
	before := keepArriving(t, two, "before", 20)
	offer := offerOf(t, one, "a1")

	master, err := c.Client().(*redis.ClusterClient).MasterForKey(ctxOf(t), key(one, "site"))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range c.Nodes {
		if node.Addr() == master.Options().Addr {
			node.Kill()
			c.AwaitFailover(node)
			node.Restart() // the new master needs a replica that confirms
		}
	}
	after := keepArriving(t, one, "after", 20)
	mustHave(t, two, before, after)
	if res := again(t, two, &queue.Accept{Request: queue.Request{ID: "r"}, Agent: "a1", Offer: offer.Epoch}); res.Call.ID != offer.Call.ID {
		t.Errorf("accepted %s", res.Call.ID)
	}
	mustAgree(t, one, two)
}

// TestTheSlotMoves has the Cluster resharded under two daemons: the site's slot goes
// to another master, key by key, while calls arrive.
func TestTheSlotMoves(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	c := redistest.StartCluster(t, redistest.ClusterOptions{Masters: 2})
	client := c.Client().(*redis.ClusterClient)
	one, two := open(t, client, redisq.Options{}), open(t, c.Client(), redisq.Options{})
	onDuty(t, one, "a1")
	before := keepArriving(t, two, "before", 20)
	offer := offerOf(t, one, "a1")

	slot, err := client.ClusterKeySlot(ctxOf(t), key(one, "site")).Result()
	if err != nil {
		t.Fatal(err)
	}
	from, err := client.MasterForKey(ctxOf(t), key(one, "site"))
	if err != nil {
		t.Fatal(err)
	}
	var to *redis.Client
	for _, node := range c.Nodes {
		if node.Addr() != from.Options().Addr {
			to = node.Client().(*redis.Client)
		}
	}
	moved := make(chan error, 1)
	go func() { moved <- moveSlot(ctxOf(t), slot, from, to) }()
	during := map[string]uint64{}
	for done := false; !done; {
		maps.Copy(during, keepArriving(t, one, fmt.Sprint("during", len(during), "."), 1))
		select {
		case err := <-moved:
			if done = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	after := keepArriving(t, two, "after", 20)
	for _, e := range []*redisq.Engine{one, two} {
		mustHave(t, e, before, during, after)
	}
	if res := again(t, one, &queue.Accept{Request: queue.Request{ID: "r"}, Agent: "a1", Offer: offer.Epoch}); res.Call.ID != offer.Call.ID {
		t.Errorf("accepted %s", res.Call.ID)
	}
	if node, err := client.MasterForKey(ctxOf(t), key(one, "site")); err != nil || node.Options().Addr != to.Options().Addr {
		t.Errorf("the slot is with %v, %v", node, err)
	}
	mustAgree(t, one, two)
}

// moveSlot moves a slot's keys from one master to another, and then the slot.
func moveSlot(ctx context.Context, slot int64, from, to *redis.Client) error {
	host, port, err := net.SplitHostPort(to.Options().Addr)
	if err != nil {
		return err
	}
	fromID, err1 := from.Do(ctx, "CLUSTER", "MYID").Text()
	toID, err2 := to.Do(ctx, "CLUSTER", "MYID").Text()
	err3 := to.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromID).Err()
	err4 := from.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", toID).Err()
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	for {
		names, err := from.ClusterGetKeysInSlot(ctx, int(slot), 1).Result()
		if err != nil {
			return err
		}
		if len(names) == 0 {
			break
		}
		if err := from.Migrate(ctx, host, port, names[0], 0, time.Minute).Err(); err != nil {
			return err
		}
	}
	return errors.Join(to.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID).Err(), from.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", toID).Err())
}

// TestAMasterInTheMinority: a master that hangs, while the others choose another one,
// and then goes on, takes nothing that is acknowledged. One whose replicas hang
// acknowledges nothing.
func TestAMasterInTheMinority(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	s := redistest.StartSentinel(t, redistest.SentinelOptions{Server: inStepAtOnce, Replicas: 2})
	opts := redisq.Options{MinReplicas: 1, Timeout: time.Second, ConfirmWithin: 100 * time.Millisecond}
	one, two := open(t, s.Client(), opts), open(t, s.Client(), opts)
	before := keepArriving(t, one, "before", 20)

	for _, replica := range s.Servers[1:] {
		replica.Pause()
	}
	for range 3 {
		_, err := one.Do(ctxOf(t), arrive("unconfirmed"))
		if !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "0 of 1") {
			t.Errorf("without replicas: %v", err)
		}
	}
	for _, replica := range s.Servers[1:] {
		replica.Resume()
	}
	confirmed := map[string]uint64{"unconfirmed": again(t, two, arrive("unconfirmed")).Call.Seq}
	s.AwaitReplicas(2)

	old := s.Master()
	old.Pause()
	s.AwaitFailover(old)
	during := keepArriving(t, two, "during", 20)
	old.Resume()
	after := keepArriving(t, one, "after", 20)
	for _, e := range []*redisq.Engine{one, two} {
		mustHave(t, e, before, confirmed, during, after)
	}
	mustAgree(t, one, two)
}
