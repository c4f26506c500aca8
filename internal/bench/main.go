// Command bench measures the figures that Greenlane promises, and prints
// them as a table: what, measured, needed, ok. `make bench` runs it.
//
// Every figure is taken on this machine, in this run. Ratios compare things
// measured in turns, as medians of several rounds, so that what else the machine
// does weighs on both alike; what one core can do is measured in processor time.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"greenlane/internal/abuse"
	"greenlane/internal/load/daemon"
)

// Figure is one line of the table.
type Figure struct {
	Name     string `json:"name"` // as -only takes it
	What     string `json:"what"`
	Measured string `json:"measured"`
	Needed   string `json:"needed,omitempty"`
	// OK says whether the figure reaches what is needed; nil when nothing is.
	OK *bool `json:"ok,omitempty"`
}

// measurement takes one or more figures.
type measurement struct {
	name string
	what string
	run  func(ctx context.Context, b *bench) ([]Figure, error)
}

var measurements = []measurement{
	{"core", "the core alone", measureCore},
	{"memory", "memory per waiting call", measureMemory},
	{"throughput", "requests against a bare echo service", measureThroughput},
	{"offer", "from arrival to the softphone", measureOffer},
	{"restart", "restart after kill -9", measureRestart},
	{"scrape", "a scrape of a large site", measureScrape},
	{"counting", "what metrics cost a request", measureCounting},
	{"wallboard", "200 wallboards", measureWallboard},
	{"tiers", "callers' tiers in Redis", measureTiers},
	{"redisq", "the Redis engine", measureRedisq},
	{"mtls", "what mutual TLS costs a request", measureMTLS},
	{"sealed", "what encryption at rest costs a request", measureSealed},
	{"abuse", "a legitimate caller under attack", measureAbuse},
}

// bench is what the measurements share.
type bench struct {
	daemon  string // path of the daemon's binary, built once
	self    string // path of this program, for processes of its own
	quick   bool
	attacks []string // of those of package abuse; nil: all
	log     func(format string, args ...any)

	profiles []string // one of each daemon that is measured; nil: none is wanted
	dir      string   // for what this run needs only
}

func main() {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "child-") {
		if err := child(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ok, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

func run() (ok bool, err error) {
	only := flag.String("only", "", "comma-separated names of what to measure: "+strings.Join(names(), ", "))
	asJSON := flag.Bool("json", false, "print JSON instead of a table")
	quick := flag.Bool("quick", false, "smaller and fewer rounds: to see that it works")
	profile := flag.String("profile", "", "write a profile of the daemon under these loads to a file, for the compiler")
	attacks := flag.String("attacks", "", "comma-separated names of attacks, for -only abuse: all when empty")
	binary := flag.String("daemon", "", "measure this greenlaned instead of building one")
	flag.Parse()
	chosen, err := choose(*only)
	if err != nil {
		return false, err
	}
	chosenAttacks, err := attacksOf(*attacks)
	if err != nil {
		return false, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "greenlane-bench-")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &bench{dir: dir, quick: *quick, attacks: chosenAttacks, log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	if b.self, err = os.Executable(); err != nil {
		return false, err
	}
	if b.daemon = *binary; b.daemon == "" {
		b.log("building the daemon")
		if b.daemon, err = daemon.Build(dir); err != nil {
			return false, err
		}
	}
	if *profile != "" {
		b.profiles = []string{}
	}
	figures, err := b.measure(ctx, chosen)
	if err == nil && *profile != "" {
		err = mergeProfiles(ctx, b.profiles, *profile)
	}
	if err != nil {
		return false, err
	}
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(struct {
			Machine string   `json:"machine"`
			Figures []Figure `json:"figures"`
		}{machine(), figures})
	} else {
		printTable(figures)
	}
	return !slices.ContainsFunc(figures, func(f Figure) bool { return f.OK != nil && !*f.OK }), err
}

func (b *bench) measure(ctx context.Context, chosen []measurement) ([]Figure, error) {
	var figures []Figure
	for _, m := range chosen {
		b.log("measuring: %s", m.what)
		f, err := m.run(ctx, b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.what, err)
		}
		for i := range f {
			f[i].Name = m.name
		}
		figures = append(figures, f...)
	}
	return figures, nil
}

func names() []string {
	var out []string
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return out
}

func choose(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	var out []measurement
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("-only: %q is unknown: %s are allowed", name, strings.Join(names(), ", "))
		}
		out = append(out, measurements[i])
	}
	return out, nil
}

// child runs a part of a measurement in a process of its own.
func child(what string, args []string) error {
	switch what {
	case "child-core":
		return coreChild(args)
	case "child-echo":
		return echoChild(args)
	case abuse.ChildArg:
		return abuse.Child(args)
	}
	return fmt.Errorf("%s is unknown", what)
}

// reached makes a figure's verdict.
func reached(ok bool) *bool { return &ok }

func printTable(figures []Figure) {
	fmt.Println(machine())
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "what\tmeasured\tneeded\tok")
	for _, f := range figures {
		verdict := ""
		if f.OK != nil {
			verdict = map[bool]string{true: "yes", false: "NO"}[*f.OK]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", f.What, f.Measured, f.Needed, verdict)
	}
	_ = t.Flush()
}

// machine says on what the figures were taken: the same figures on a busy
// machine are worth less.
func machine() string {
	s := fmt.Sprintf("%s/%s, %d cores, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if load, err := os.ReadFile(filepath.FromSlash("/proc/loadavg")); err == nil {
		if f := strings.Fields(string(load)); len(f) > 0 {
			s += ", load " + f[0]
		}
	}
	return s
}

// median returns the middle of some values.
func median[T int64 | float64](x []T) T {
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}
