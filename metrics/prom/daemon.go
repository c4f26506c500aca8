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
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	decide   *prometheus.HistogramVec
	commit   *prometheus.HistogramVec
	batch    *prometheus.HistogramVec
	lookups  *prometheus.CounterVec
	lookup   prometheus.Histogram

	// The children by their labels: finding one by its labels costs more than
	// counting with it.
	byRequest sync.Map // requestKey -> prometheus.Counter
	byMethod  sync.Map // string -> prometheus.Observer
	byResult  map[string]prometheus.Counter
}

type requestKey struct{ method, code string }

// NewDaemon registers the daemon's own figures, with those of the Go runtime
// and the process.
func NewDaemon(reg prometheus.Registerer, version string) (*Daemon, error) {
	name := func(s string) string { return "greenlane_daemon_" + s }
	fast := prometheus.ExponentialBuckets(50e-6, 2, 16) // 50 us to 1.6 s
	d := &Daemon{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("requests_total"), Help: "Requests that ended, streams included, by method and gRPC code.",
		}, []string{"method", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("request_duration_seconds"), Help: "Duration of requests; streams and long polls are left out.", Buckets: fast,
		}, []string{"method"}),
		decide: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("decide_duration_seconds"), Help: "Time to decide a batch of commands and to encode what it changed.", Buckets: fast,
		}, []string{"site"}),
		commit: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("commit_duration_seconds"), Help: "Time to make a batch of commands durable.", Buckets: fast,
		}, []string{"site"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("commit_batch_commands"), Help: "Commands and questions that shared a commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}, []string{"site"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("tier_lookups_total"), Help: "Lookups of a caller's tier, for arriving calls: known, unknown, or provisional (not answered in time).",
		}, []string{"result"}),
		lookup: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name("tier_lookup_duration_seconds"), Help: "Time that a call waited to know its caller's tier.", Buckets: fast,
		}),
	}
	d.byResult = map[string]prometheus.Counter{}
	for _, result := range []string{"known", "unknown", "provisional"} {
		d.byResult[result] = d.lookups.WithLabelValues(result)
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: name("build_info"), Help: "Always 1; the version is in the label.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	for _, c := range []prometheus.Collector{
		d.requests, d.latency, d.decide, d.commit, d.batch, d.lookups, d.lookup, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Open registers a gauge of what is open now: streams or long polls of one kind.
func (d *Daemon) Open(reg prometheus.Registerer, kind string, n func() int64) error {
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "greenlane_daemon_open_streams", Help: "Streams and long polls that are open now, by kind.",
		ConstLabels: prometheus.Labels{"kind": kind},
	}, func() float64 { return float64(n()) }))
}

// Request counts a request that ended. A negative duration is not observed.
func (d *Daemon) Request(method, code string, took time.Duration) {
	key := requestKey{method, code}
	c, ok := d.byRequest.Load(key)
	if !ok {
		c, _ = d.byRequest.LoadOrStore(key, d.requests.WithLabelValues(method, code))
	}
	c.(prometheus.Counter).Inc()
	if took < 0 {
		return
	}
	h, ok := d.byMethod.Load(method)
	if !ok {
		h, _ = d.byMethod.LoadOrStore(method, d.latency.WithLabelValues(method))
	}
	h.(prometheus.Observer).Observe(took.Seconds())
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

// Lookup counts a lookup of an arriving caller's tier: known, unknown or
// provisional.
func (d *Daemon) Lookup(result string, took time.Duration) {
	if c := d.byResult[result]; c != nil {
		c.Inc()
	}
	d.lookup.Observe(took.Seconds())
}
