package queuetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"greenlane/callback"
	"greenlane/internal/instant"
	"greenlane/queue"
	"greenlane/tiering"
)

// questionCases are the sentences about what an engine is asked.
var questionCases = []testCase{
	{says: "a snapshot shows every queue with every tier best first", run: func(d *desk) {
		d.arrive("c1", tier(tiering.VIP))
		d.arrive("c2", inQueue("orders"))
		d.pass(3 * time.Second)
		snap, err := d.e.Snapshot(d.ctx())
		if err != nil {
			d.Fatal(err)
		}
		equal(d, "site", snap.Site, "main")
		equal(d, "at", snap.At, d.now())
		equal(d, "queues", len(snap.Queues), 2)
		for _, q := range snap.Queues {
			for i, t := range tiering.Tiers {
				equal(d, "tier of "+q.Name, q.Tiers[i].Tier, t)
			}
			equal(d, "threshold", q.Threshold, 20*time.Second)
			equal(d, "open", q.Open, true)
		}
		vip := d.tierOf("billing", tiering.VIP)
		equal(d, "waiting", vip.Waiting, 1)
		equal(d, "oldest wait", vip.OldestWait, 3*time.Second)
		equal(d, "target", vip.Target, 0.9)
		equal(d, "other queue", d.tierOf("orders", tiering.Ordinary).Waiting, 1)
	}},
	{says: "a snapshot tells the last event it reflects", run: func(d *desk) {
		d.arrive("c1")
		snap, _ := d.e.Snapshot(d.ctx())
		equal(d, "sequence", snap.Seq, d.last())
	}},
	{says: "a snapshot counts waiting and offered calls alike", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("c1")
		d.arrive("c2")
		equal(d, "waiting", d.tierOf("billing", tiering.Ordinary).Waiting, 2)
		d.accept("a1")
		equal(d, "waiting", d.tierOf("billing", tiering.Ordinary).Waiting, 1)
	}},
	{says: "a snapshot counts the agents of a queue by state", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing", "orders")
		d.signedIn("a3") // ready, but nothing reaches him
		d.do(&queue.SetState{Agent: "a2", State: queue.AgentNotReady, Reason: "lunch"})
		snap, _ := d.e.Snapshot(d.ctx())
		q := snap.Queues[0]
		equal(d, "ready", q.Agents[queue.AgentReady], 2)
		equal(d, "not ready", q.Agents[queue.AgentNotReady], 1)
		equal(d, "idle", q.Idle, 1)
		equal(d, "working", q.Working, 2)
		equal(d, "working in orders", snap.Queues[1].Working, 0)
	}},
	{says: "statistics are a snapshot without its agents", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.onDuty("a2", "billing", "orders")
		d.do(&queue.SetState{Agent: "a2", State: queue.AgentNotReady, Reason: "lunch"})
		d.do(&queue.SignIn{Agent: "a2", Services: []queue.Service{{Queue: "orders", Level: 1}}, WrapUp: -1})
		d.onDuty("a3", "orders")
		d.do(&queue.SignOut{Agent: "a3"})
		d.arrive("c1")
		d.arrive("c2", tier(tiering.Mid))
		d.pass(3 * time.Second)
		snap, err := d.e.Snapshot(d.ctx())
		if err != nil {
			d.Fatal(err)
		}
		stats, err := d.e.Statistics(d.ctx())
		if err != nil {
			d.Fatal(err)
		}
		equal(d, "agents of the snapshot", len(snap.Agents), 3)
		equal(d, "agents of the statistics", len(stats.Agents), 0)
		equal(d, "offered", stats.AgentStates[queue.AgentOffered], 1)
		equal(d, "not ready", stats.AgentStates[queue.AgentNotReady], 1)
		equal(d, "signed out", stats.AgentStates[queue.AgentSignedOut], 1)
		equal(d, "not ready in billing", stats.Queues[0].Agents[queue.AgentNotReady], 0)
		equal(d, "not ready in orders", stats.Queues[1].Agents[queue.AgentNotReady], 1)
		snap.Agents = nil
		if !reflect.DeepEqual(snap, stats) {
			d.Errorf("statistics %+v, snapshot %+v", stats, snap)
		}
	}},
	{says: "a call is shown with where it stands and why", run: func(d *desk) {
		d.arrive("v1", tier(tiering.VIP))
		d.arrive("m1", tier(tiering.Mid))
		d.arrive("o1")
		d.arrive("o2")
		d.signedIn("a1")
		info := d.call("o2")
		equal(d, "position", info.Position, 4)
		equal(d, "VIPs ahead", info.AheadByTier[tiering.VIP], 1)
		equal(d, "mid ahead", info.AheadByTier[tiering.Mid], 1)
		equal(d, "ordinary ahead", info.AheadByTier[tiering.Ordinary], 1)
		equal(d, "working", info.Working, 1)
		equal(d, "idle", info.Idle, 0)
		equal(d, "events", len(info.Events), 1)
		equal(d, "event", info.Events[0].Type, queue.EventCallJoined)
	}},
	{says: "due callbacks ahead of a call are counted apart", run: func(d *desk) {
		d.promised("c1", "+8613800000001")
		d.pass(15 * time.Minute)
		d.arrive("o1")
		d.arrive("b1", tier(tiering.Blacklist))
		equal(d, "before an ordinary call", d.call("o1").AheadCallbacks, 0)
		equal(d, "before a blacklisted call", d.call("b1").AheadCallbacks, 1)
		equal(d, "its position", d.call("b1").Position, 3)
	}},
	{says: "an unknown call is ErrCallNotFound", run: func(d *desk) {
		if _, err := d.e.Call(d.ctx(), "c1"); !errors.Is(err, queue.ErrCallNotFound) {
			d.Errorf("got %v", err)
		}
	}},
	{says: "there is no estimate while nobody works", run: func(d *desk) {
		d.arrive("c1")
		equal(d, "estimate", d.call("c1").Estimated, -1)
		d.signedIn("a1")
		if e := d.call("c1").Estimated; e <= 0 {
			d.Errorf("estimate with one agent at work: %v", e)
		}
	}},
	{says: "calls come in order of joining page by page", run: func(d *desk) {
		for i := range 7 {
			d.arrive(fmt.Sprintf("c%d", i), tier(tiering.Tiers[i%4]))
			d.clock.Advance(time.Second)
		}
		d.do(&queue.Reconcile{Switch: "s2", Calls: []queue.Live{{Arrive: queue.Arrive{Call: "old", Queue: "billing", ArrivedAt: d.now().Add(-time.Hour)}}}})
		var ids []string
		token := ""
		for {
			page, next, err := d.e.Calls(d.ctx(), queue.CallFilter{Limit: 3, After: token})
			if err != nil {
				d.Fatal(err)
			}
			if next != "" && len(page) != 3 {
				d.Errorf("a page of %d", len(page))
			}
			for _, c := range page {
				ids = append(ids, c.ID)
			}
			if token = next; token == "" {
				break
			}
		}
		if want := []string{"old", "c0", "c1", "c2", "c3", "c4", "c5", "c6"}; !slices.Equal(ids, want) {
			d.Errorf("got %v, want %v", ids, want)
		}
	}},
	{says: "calls are selected by queue and tier and caller and state", run: func(d *desk) {
		d.arrive("c1", tier(tiering.VIP))
		d.arrive("c2", inQueue("orders"), caller("+8613800000077"))
		d.arrive("c3")
		d.do(&queue.Abandon{Call: "c3", Switch: "s1"})
		for _, f := range []struct {
			filter queue.CallFilter
			want   []string
		}{
			{queue.CallFilter{Queue: "billing"}, []string{"c1", "c3"}},
			{queue.CallFilter{Tier: tiering.VIP}, []string{"c1"}},
			{queue.CallFilter{Caller: "+8613800000077"}, []string{"c2"}},
			{queue.CallFilter{Caller: "+8613800000078"}, nil},
			{queue.CallFilter{States: []queue.CallState{queue.CallWaiting}}, []string{"c1", "c2"}},
			{queue.CallFilter{Queue: "billing", States: []queue.CallState{queue.CallAbandoned, queue.CallOffered}}, []string{"c3"}},
			{queue.CallFilter{}, []string{"c1", "c2", "c3"}},
		} {
			page, _, err := d.e.Calls(d.ctx(), f.filter)
			var ids []string
			for _, c := range page {
				ids = append(ids, c.ID)
			}
			if err != nil || !slices.Equal(ids, f.want) {
				d.Errorf("%+v: got %v and %v, want %v", f.filter, ids, err, f.want)
			}
		}
	}},
	{says: "the calls that wait come page by page in the order of all calls", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.arrive("offered")
		d.signedIn("anna")
		d.do(&queue.Arrive{Call: "held", Switch: "s1", Queue: "billing", Tier: tiering.Mid, PreferredAgent: "anna"})
		for i := range 9 {
			queueOf := []string{"billing", "orders"}[i%2]
			d.arrive(fmt.Sprintf("c%d", i), tier(tiering.Tiers[i%4]), inQueue(queueOf))
			d.clock.Advance(time.Second)
		}
		d.arrive("gone")
		d.do(&queue.Abandon{Call: "gone", Switch: "s1"})
		d.do(&queue.Reconcile{Switch: "s2", Calls: []queue.Live{{Arrive: queue.Arrive{Call: "old", Queue: "orders", ArrivedAt: d.now().Add(-time.Hour)}}}})
		waits := func(c queue.Call) bool { return c.State == queue.CallWaiting || c.State == queue.CallOffered }
		all, _, err := d.e.Calls(d.ctx(), queue.CallFilter{})
		if err != nil {
			d.Fatal(err)
		}
		for _, name := range []string{"", "billing", "orders"} {
			var want, got []string
			for _, c := range all {
				if waits(c) && (name == "" || c.Queue == name) {
					want = append(want, c.ID)
				}
			}
			f := queue.CallFilter{Queue: name, States: []queue.CallState{queue.CallOffered, queue.CallWaiting}, Limit: 2}
			for more := true; more; more = f.After != "" {
				page, next, err := d.e.Calls(d.ctx(), f)
				if err != nil {
					d.Fatal(err)
				}
				for _, c := range page {
					got = append(got, c.ID)
				}
				f.After = next
			}
			if len(want) < 4 || !slices.Equal(got, want) {
				d.Errorf("of queue %q: got %v, want %v", name, got, want)
			}
		}
	}},
	{says: "a page has a hundred calls unless it is said otherwise and a thousand at most", run: func(d *desk) {
		for i := range 1010 {
			d.arrive(fmt.Sprintf("c%d", i))
		}
		page, next, err := d.e.Calls(d.ctx(), queue.CallFilter{})
		equal(d, "usual page", len(page), 100)
		equal(d, "there is more", err == nil && next != "", true)
		page, next, err = d.e.Calls(d.ctx(), queue.CallFilter{Limit: 5000})
		equal(d, "largest page", len(page), 1000)
		equal(d, "there is more", err == nil && next != "", true)
	}},
	{says: "an agent is shown with the live offer", run: func(d *desk) {
		d.onDuty("a1", "billing")
		d.noOffer("a1")
		d.arrive("c1")
		o := d.mustOffer("a1", "c1")
		equal(d, "agent", o.Agent, "a1")
		equal(d, "expires", o.ExpiresAt, d.now().Add(20*time.Second))
		equal(d, "why", o.Why, queue.WhyLongestIdle)
		if _, _, err := d.e.Agent(d.ctx(), "a9"); !errors.Is(err, queue.ErrAgentNotFound) {
			d.Errorf("unknown agent: %v", err)
		}
	}},
	{says: "agents come by id and are selected by queue and state", run: func(d *desk) {
		d.onDuty("b", "orders")
		d.onDuty("c", "billing")
		d.onDuty("a", "billing", "orders")
		d.do(&queue.SetState{Agent: "c", State: queue.AgentNotReady, Reason: "lunch"})
		for _, f := range []struct {
			filter queue.AgentFilter
			want   []string
		}{
			{queue.AgentFilter{}, []string{"a", "b", "c"}},
			{queue.AgentFilter{Queue: "billing"}, []string{"a", "c"}},
			{queue.AgentFilter{States: []queue.AgentState{queue.AgentReady}}, []string{"a", "b"}},
			{queue.AgentFilter{Limit: 2, After: "a"}, []string{"b", "c"}},
		} {
			page, _, err := d.e.Agents(d.ctx(), f.filter)
			var ids []string
			for _, a := range page {
				ids = append(ids, a.ID)
			}
			if err != nil || !slices.Equal(ids, f.want) {
				d.Errorf("%+v: got %v and %v, want %v", f.filter, ids, err, f.want)
			}
		}
		page, next, err := d.e.Agents(d.ctx(), queue.AgentFilter{Limit: 2})
		equal(d, "first page", len(page), 2)
		page, next2, err2 := d.e.Agents(d.ctx(), queue.AgentFilter{Limit: 2, After: next})
		equal(d, "second page", len(page), 1)
		equal(d, "its end", next2, "")
		if errors.Join(err, err2) != nil {
			d.Error(err, err2)
		}
	}},
	{says: "callbacks come by due time then by sequence and are selected by queue and caller and state", run: func(d *desk) {
		third := d.do(&queue.CreateCallback{Caller: "+8613800000003", Queue: "orders", DueAt: d.now().Add(3 * time.Hour)}).Callback
		first := d.do(&queue.CreateCallback{Caller: "+8613800000001", Queue: "billing", DueAt: d.now().Add(time.Hour)}).Callback
		second := d.do(&queue.CreateCallback{Caller: "+8613800000002", Queue: "billing", DueAt: d.now().Add(time.Hour)}).Callback
		d.do(&queue.CancelCallback{Callback: second.ID, Reason: "not wanted"})
		for _, f := range []struct {
			filter queue.CallbackFilter
			want   []string
		}{
			{queue.CallbackFilter{}, []string{first.ID, second.ID, third.ID}},
			{queue.CallbackFilter{Queue: "billing"}, []string{first.ID, second.ID}},
			{queue.CallbackFilter{Caller: "+8613800000003"}, []string{third.ID}},
			{queue.CallbackFilter{States: []callback.State{callback.StatePending}}, []string{first.ID, third.ID}},
		} {
			page, _, err := d.e.Callbacks(d.ctx(), f.filter)
			var ids []string
			for _, cb := range page {
				ids = append(ids, cb.ID)
			}
			if err != nil || !slices.Equal(ids, f.want) {
				d.Errorf("%+v: got %v and %v, want %v", f.filter, ids, err, f.want)
			}
		}
		page, next, err := d.e.Callbacks(d.ctx(), queue.CallbackFilter{Limit: 2})
		equal(d, "first page", err == nil && len(page) == 2, true)
		page, next, err = d.e.Callbacks(d.ctx(), queue.CallbackFilter{Limit: 2, After: next})
		if err != nil || next != "" || len(page) != 1 || page[0].ID != third.ID {
			d.Errorf("second page: %v, next %q, %v", page, next, err)
		}
	}},
	{says: "cohorts are those of the intervals asked for by start then queue then tier", run: func(d *desk) {
		began := d.now()
		first := began - began%instant.Instant(queue.CohortInterval.Milliseconds())
		d.arrive("c1", inQueue("orders"))
		d.arrive("c2", tier(tiering.VIP))
		d.arrive("c3")
		for _, id := range []string{"c1", "c2", "c3"} {
			d.do(&queue.Abandon{Call: id, Switch: "s1"})
		}
		d.pass(queue.CohortInterval)
		d.arrive("c4")
		d.do(&queue.Abandon{Call: "c4", Switch: "s1"})
		second := first.Add(queue.CohortInterval)
		for _, f := range []struct {
			from, to instant.Instant
			want     string
		}{
			{first, second.Add(time.Millisecond), "[billing vip 0 1] [billing ordinary 0 1] [orders ordinary 0 1] [billing ordinary 300000 1]"},
			{first, second, "[billing vip 0 1] [billing ordinary 0 1] [orders ordinary 0 1]"},
			{first.Add(time.Millisecond), second.Add(time.Millisecond), "[billing ordinary 300000 1]"},
			{second.Add(time.Millisecond), second.Add(queue.CohortInterval), ""},
		} {
			list, err := d.e.Cohorts(d.ctx(), f.from, f.to)
			var got []string
			for _, c := range list {
				if c.Counts != (queue.Counts{}) {
					got = append(got, fmt.Sprintf("[%s %s %d %d]", c.Queue, c.Tier, c.Start-first, c.Counts.Abandoned()))
				}
			}
			if joined := strings.Join(got, " "); err != nil || joined != f.want {
				d.Errorf("from %d to %d: got %s and %v, want %s", f.from-first, f.to-first, joined, err, f.want)
			}
		}
	}},
	{says: "positions are those of every waiting call of one switch", run: func(d *desk) {
		d.arrive("c1")
		d.arrive("x1", ofSwitch("s2"))
		d.arrive("c2", tier(tiering.VIP))
		d.arrive("c3", inQueue("orders"))
		list, err := d.e.Positions(d.ctx(), "s1")
		if err != nil {
			d.Fatal(err)
		}
		got := map[string]int{}
		for _, p := range list {
			got[p.Call] = p.Position
		}
		want := map[string]int{"c2": 1, "c1": 2, "c3": 1}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			d.Errorf("got %v, want %v", got, want)
		}
	}},
}
