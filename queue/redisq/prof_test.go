package redisq_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

func BenchmarkProf(b *testing.B) {
	server := redistest.Start(b, redistest.Options{AOF: true})
	client := server.Client()
	ctx := context.Background()
	e := openBench(b, client, benchSite(4), redisq.Options{NoTimers: true})
	for i := range 4 {
		must(b, e, &queue.SignIn{Agent: fmt.Sprint("a", i), Services: []queue.Service{{Queue: fmt.Sprint("queue", i), Level: 1}}})
	}
	client.ConfigSet(ctx, "slowlog-log-slower-than", "0")
	client.ConfigSet(ctx, "slowlog-max-len", "100000")
	var calls atomic.Int64
	names := []string{"arrive", "attach", "accept", "complete"}
	client.Do(ctx, "slowlog", "reset")
	for range 500 {
		oneCall(b, e, 0, 4, &calls)
	}
	entries, _ := client.SlowLogGet(ctx, -1).Result()
	by := map[string][]time.Duration{}
	for _, en := range entries {
		if len(en.Args) > 1 && en.Args[0] == "evalsha" {
			by[en.Args[1]] = append(by[en.Args[1]], en.Duration)
		}
	}
	for _, n := range append(names, "tick") {
		d := by[redisq.Hash(n)]
		if len(d) == 0 {
			continue
		}
		slices.Sort(d)
		fmt.Println(n, len(d), "p50", d[len(d)/2], "p99", d[len(d)*99/100], "min", d[0])
	}
}
