//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"greenlane/internal/redistest"
	"greenlane/tiering"
	"greenlane/tiering/redisdir"
)

const (
	tierCallers     = 10_000_000
	tierCallersFast = 500_000

	needTierBytes  = 24
	needImportRate = 300_000
	needLookup     = 0.7
	needLookupP99  = time.Millisecond

	lookupWorkers = 16
)

// stand stands in for a test where redistest wants one.
type stand struct {
	dir     string
	cleanup []func()
}

func (*stand) Helper()            {}
func (s *stand) Cleanup(f func()) { s.cleanup = append(s.cleanup, f) }
func (s *stand) TempDir() string {
	dir, err := os.MkdirTemp(s.dir, "redis-")
	if err != nil {
		s.Fatalf("%v", err)
	}
	return dir
}

// standFault is what Fatalf panics with; stood turns it into an error.
type standFault struct{ error }

// Fatalf ends the measurement.
func (*stand) Fatalf(format string, args ...any) { panic(standFault{fmt.Errorf(format, args...)}) }

func (s *stand) end() {
	for _, f := range slices.Backward(s.cleanup) {
		f()
	}
}

// measureTiers imports ten million callers with the tool as its users do, weighs
// them, and looks them up.
func measureTiers(ctx context.Context, b *bench) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "greenlane-tiers-")
	if err != nil {
		return nil, err
	}
	s := &stand{dir: dir}
	defer func() {
		if fault, ok := recover().(standFault); ok {
			err = fault.error
		}
		s.end()
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	callers := tierCallers
	if b.quick {
		callers = tierCallersFast
	}
	server := redistest.Start(s, redistest.Options{})
	client := server.Client()
	before, err := usedMemory(ctx, client)
	if err != nil {
		return nil, err
	}
	took, err := importCallers(ctx, dir, server.Addr(), callers)
	if err != nil {
		return nil, err
	}
	after, err := usedMemory(ctx, client)
	if err != nil {
		return nil, err
	}
	each := (after - before) / float64(callers)
	rate := float64(callers) / took.Seconds()
	figures = append(figures, Figure{
		What: fmt.Sprintf("tiers: used_memory per caller, %d callers in Redis", callers), Measured: fmt.Sprintf("%.1f B", each),
		Needed: fmt.Sprintf("<= %d B", needTierBytes), OK: reached(each <= needTierBytes),
	}, Figure{
		What: "tiers: import of a CSV file into Redis, callers/s", Measured: fmt.Sprintf("%.0f", rate),
		Needed: fmt.Sprintf(">= %d", needImportRate), OK: reached(rate >= needImportRate),
	})
	more, err := measureLookups(ctx, b, client, callers)
	return append(figures, more...), err
}

func usedMemory(ctx context.Context, client redis.UniversalClient) (float64, error) {
	text, err := client.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "used_memory:"); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, errors.New("INFO does not tell used_memory")
}

// benchCaller is the i-th caller: numbers of China's mobile prefixes, in no order.
func benchCaller(i int) tiering.Number {
	prefixes := [...]string{"136", "137", "138", "139", "150", "151", "158", "159", "187", "188"}
	v := uint64(i) * 2654435761 % 1_000_000_000
	return tiering.Number(fmt.Sprintf("+86%s%08d", prefixes[v/100_000_000], v%100_000_000))
}

// importCallers builds the tool, writes a file and has it imported.
func importCallers(ctx context.Context, dir, addr string, callers int) (time.Duration, error) {
	tool := filepath.Join(dir, "greenlane")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", tool, "greenlane/cmd/greenlane").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the tool: %w\n%s", err, out)
	}
	path := filepath.Join(dir, "callers.csv")
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	fmt.Fprintln(w, "number,tier")
	for i := range callers {
		fmt.Fprintf(w, "%s,%s\n", benchCaller(i), tiering.Tiers[i%3])
	}
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		return 0, err
	}
	began := time.Now()
	out, err := exec.CommandContext(ctx, tool, "tiers", "import", path, "--redis", addr).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("import: %w\n%s", err, out)
	}
	return time.Since(began), nil
}

// measureLookups compares uncached lookups with bare HGETs of the same buckets by
// the same client, in turns; and takes the times of lookups at an eighth of the load.
func measureLookups(ctx context.Context, b *bench, client redis.UniversalClient, callers int) ([]Figure, error) {
	d, err := redisdir.Open(ctx, client, redisdir.Options{Cache: -1})
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // it holds nothing that could be lost
	lookup := func(n tiering.Number) error {
		_, known, err := d.Lookup(ctx, "main", n)
		if err == nil && !known {
			err = fmt.Errorf("%s is unknown", n)
		}
		return err
	}
	// Any bucket will do for the bare command, as long as it is another each time.
	keys := make([]string, 1<<14)
	for i := range keys {
		keys[i] = fmt.Sprintf("tiers:{main:%02x}:%03x", i&255, i>>4)
	}
	bare := func(tiering.Number) error {
		err := client.HGet(ctx, keys[rand.IntN(len(keys))], "none").Err()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	}
	rounds, span := 5, 2*time.Second
	if b.quick {
		rounds, span = 1, 300*time.Millisecond
	}
	var ratios, rates []float64
	for range rounds {
		ours, _, err := hammer(lookupWorkers, span, callers, lookup)
		if err != nil {
			return nil, err
		}
		theirs, _, err := hammer(lookupWorkers, span, callers, bare)
		if err != nil {
			return nil, err
		}
		ratios, rates = append(ratios, ours/theirs), append(rates, ours)
	}
	_, times, err := hammer(lookupWorkers/8, span, callers, lookup)
	if err != nil {
		return nil, err
	}
	slices.Sort(times)
	p99 := times[len(times)*99/100]
	ratio := median(ratios)
	return []Figure{{
		What: "tiers: uncached lookups against bare HGETs, same client", Measured: fmt.Sprintf("%.2f (%.0f/s)", ratio, median(rates)),
		Needed: fmt.Sprintf(">= %.1f", needLookup), OK: reached(ratio >= needLookup),
	}, {
		What: "tiers: uncached lookup, p99", Measured: p99.Round(time.Microsecond).String(),
		Needed: "<= 1ms", OK: reached(p99 <= needLookupP99),
	}}, nil
}

// hammer calls do from some goroutines for a while, and returns the rate and times.
func hammer(workers int, span time.Duration, callers int, do func(tiering.Number) error) (rate float64, times []time.Duration, err error) {
	var all atomic.Int64
	var mu sync.Mutex
	var running sync.WaitGroup
	began := time.Now()
	for w := range workers {
		running.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(w), 1))
			var mine []time.Duration
			for time.Since(began) < span {
				n := benchCaller(chance.IntN(callers))
				start := time.Now()
				if fault := do(n); fault != nil {
					mu.Lock()
					err = fault
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(start))
			}
			all.Add(int64(len(mine)))
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
		})
	}
	running.Wait()
	return float64(all.Load()) / time.Since(began).Seconds(), times, err
}
