package redisq_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"greenlane/internal/redistest"
	"greenlane/queue"
	"greenlane/queue/redisq"
)

func BenchmarkProf2(b *testing.B) {
	server := redistest.Start(b, redistest.Options{AOF: true})
	_ = os.WriteFile("/tmp/gl/pidf2", []byte(fmt.Sprint(server.PID())), 0o600)
	e := openBench(b, server.Client(), benchSite(benchClients), redisq.Options{})
	for i := range benchClients {
		must(b, e, &queue.SignIn{Agent: fmt.Sprint("a", i), Services: []queue.Service{{Queue: fmt.Sprint("queue", i), Level: 1}}})
	}
	var calls atomic.Int64
	fmt.Println(rate(14*time.Second, func(i int) int { return oneCall(b, e, i, benchClients, &calls) }))
}
