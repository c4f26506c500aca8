package prom

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Daemon counts what this process does. Its methods are safe for concurrent
// use, and cheap enough for every request.
type Daemon struct {
	reg      prometheus.Registerer
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	decide   *prometheus.HistogramVec
	commit   *prometheus.HistogramVec
	batch    *prometheus.HistogramVec
	trips    *prometheus.HistogramVec
	lookups  *prometheus.CounterVec
	lookup   prometheus.Histogram
	limits   limits

	// The children by their labels: finding one by its labels costs more than
	// counting with it.
	byRequest sync.Map // requestKey -> *request
	byTrip    sync.Map // tripKey -> prometheus.Observer
	byResult  map[string]prometheus.Counter
}

type requestKey struct{ method, code string }

// request counts the requests of one method and code.
type request struct {
	ended prometheus.Counter
	took  prometheus.Observer // nil for what lasts as long as it is wanted
}

type tripKey struct{ site, command, result string }

// spans are the bounds of the durations, in seconds: from what memory takes to
// what a disk or a network in trouble takes.
var spans = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}

// Results of a lookup of an arriving caller's tier.
var lookupResults = [...]string{"known", "unknown", "provisional"}

// NewDaemon registers the daemon's own figures, with those of the Go runtime
// and the process.
func NewDaemon(reg prometheus.Registerer, version string) (*Daemon, error) {
	vec := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "greenlaned_" + name, Help: help, Buckets: buckets}, labels)
	}
	d := &Daemon{
		reg: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greenlaned_requests_total", Help: "Requests that ended, streams included, by method and gRPC code.",
		}, []string{"method", "code"}),
		latency: vec("request_duration_seconds", "Duration of requests, by method and gRPC code; streams and long polls are left out.", spans, "method", "code"),
		decide:  vec("decide_duration_seconds", "Time to decide a batch of commands and to encode what it changed.", spans, "site"),
		commit:  vec("commit_duration_seconds", "Time to make a batch of commands durable.", spans, "site"),
		batch:   vec("commit_batch_commands", "Commands and questions that shared a commit.", prometheus.ExponentialBuckets(1, 2, 11), "site"),
		trips:   vec("store_round_trip_duration_seconds", "Time of round trips to the store's server, by command and result: ok, or error.", spans, "site", "command", "result"),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greenlaned_tier_lookups_total", Help: "Lookups of a caller's tier, for arriving calls: known, unknown, or provisional (not answered in time).",
		}, []string{"result"}),
		lookup: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "greenlaned_tier_lookup_duration_seconds", Help: "Time that a call waited to know its caller's tier.", Buckets: spans,
		}),
		byResult: map[string]prometheus.Counter{},
		limits:   newLimits(),
	}
	for _, result := range lookupResults {
		d.byResult[result] = d.lookups.WithLabelValues(result)
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "greenlaned_build_info", Help: "Always 1; the version is in the label.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	for _, c := range append(d.limits.collectors(),
		d.requests, d.latency, d.decide, d.commit, d.batch, d.trips, d.lookups, d.lookup, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	) {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Request counts a request that ended. A negative duration is not observed.
func (d *Daemon) Request(method, code string, took time.Duration) {
	key := requestKey{method, code}
	found, ok := d.byRequest.Load(key)
	if !ok {
		r := &request{ended: d.requests.WithLabelValues(method, code)}
		if took >= 0 {
			r.took = d.latency.WithLabelValues(method, code)
		}
		found, _ = d.byRequest.LoadOrStore(key, r)
	}
	r := found.(*request)
	r.ended.Inc()
	if took >= 0 && r.took != nil {
		r.took.Observe(took.Seconds())
	}
}

// Commits returns the observer of one site's batches.
func (d *Daemon) Commits(site string) func(batch int, decide, commit time.Duration) {
	b, de, co := d.batch.WithLabelValues(site), d.decide.WithLabelValues(site), d.commit.WithLabelValues(site)
	return func(batch int, decide, commit time.Duration) {
		b.Observe(float64(batch))
		de.Observe(decide.Seconds())
		co.Observe(commit.Seconds())
	}
}

// RoundTrips returns the observer of one site's round trips to the store's
// server, for an engine that has one. command names the script or the command,
// one of a bounded set; err is how it ended.
func (d *Daemon) RoundTrips(site string) func(command string, took time.Duration, err error) {
	return func(command string, took time.Duration, err error) {
		key := tripKey{site, command, "ok"}
		if err != nil {
			key.result = "error"
		}
		o, ok := d.byTrip.Load(key)
		if !ok {
			o, _ = d.byTrip.LoadOrStore(key, d.trips.WithLabelValues(key.site, key.command, key.result))
		}
		o.(prometheus.Observer).Observe(took.Seconds())
	}
}

// Lookup counts a lookup of an arriving caller's tier: known, unknown or
// provisional.
func (d *Daemon) Lookup(result string, took time.Duration) {
	if c := d.byResult[result]; c != nil {
		c.Inc()
	}
	d.lookup.Observe(took.Seconds())
}
