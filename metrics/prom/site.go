package prom

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"greenlane/queue"
)

// Source is a site and what it is read from; queue.Engine has the method.
type Source struct {
	Site   string
	Engine interface {
		Statistics(ctx context.Context) (*queue.Snapshot, error)
	}
}

// Sites gathers the figures of sites, from one question to each per scrape. It
// is a prometheus.Gatherer, and safe for concurrent use.
//
// It is no Collector: a registry checks every series of every scrape anew for
// doubles and order, which for the 20,000 of a large site takes longer than all
// else. Here both follow from the tables in rows.go, and a test checks them.
type Sites struct {
	sources []Source
	failed  []atomic.Int64 // scrapes, by source
	timeout time.Duration
	log     *slog.Logger
	labels  labels
}

// NewSites returns a gatherer that waits at most timeout for the sites' answers.
// A site that does not answer is left out of that scrape, and
// greenlaned_scrape_errors_total says so.
func NewSites(timeout time.Duration, log *slog.Logger, sources ...Source) *Sites {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Sites{sources: sources, failed: make([]atomic.Int64, len(sources)), timeout: timeout, log: log}
}

// Gather implements prometheus.Gatherer.
func (s *Sites) Gather() ([]*dto.MetricFamily, error) {
	shots := make([]*queue.Snapshot, len(s.sources))
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout)
	defer cancel()
	var asked sync.WaitGroup
	for i, src := range s.sources {
		asked.Go(func() {
			shot, err := src.Engine.Statistics(ctx)
			if err != nil {
				s.failed[i].Add(1)
				s.log.Warn("a site could not be scraped", "site", src.Site, "error", err)
				return
			}
			shots[i] = shot
		})
	}
	asked.Wait()
	p := newPage(&s.labels)
	for i, src := range s.sources {
		if shots[i] != nil {
			p.site(src.Site, shots[i])
		}
		p.add(scrapeErrors, float64(s.failed[i].Load()), p.labels.of(src.Site, "", "", scrapeErrors.extra))
	}
	return p.families, nil
}

// page is what one scrape says, family by family in the order of the tables.
type page struct {
	labels   *labels
	families []*dto.MetricFamily
	byName   map[string]*dto.MetricFamily
}

func newPage(l *labels) *page { return &page{labels: l, byName: map[string]*dto.MetricFamily{}} }

func (p *page) site(site string, s *queue.Snapshot) {
	for i := range s.Queues {
		q := &s.Queues[i]
		for j := range q.Tiers {
			t := &q.Tiers[j]
			write(p, perTier, t, site, q.Name, t.Tier.String())
			p.family(&answeredWait).Metric = append(p.family(&answeredWait).Metric,
				histogram(&t.Totals, p.labels.of(site, q.Name, t.Tier.String(), extra{})))
		}
		write(p, perQueue, q, site, q.Name, "")
	}
	write(p, perSite, s, site, "", "")
}

// write writes the rows of one kind of thing.
func write[T any](p *page, rows []row[T], of T, site, queueName, tier string) {
	for i := range rows {
		r := &rows[i]
		if v, ok := r.read(of); ok {
			p.add(&r.def, v, p.labels.of(site, queueName, tier, r.extra))
		}
	}
}

func (p *page) add(d *def, v float64, labels []*dto.LabelPair) {
	f := p.family(d)
	m := &dto.Metric{Label: labels}
	if d.kind == counter {
		m.Counter = &dto.Counter{Value: &v}
	} else {
		m.Gauge = &dto.Gauge{Value: &v}
	}
	f.Metric = append(f.Metric, m)
}

func (p *page) family(d *def) *dto.MetricFamily {
	f := p.byName[d.name]
	if f == nil {
		f = &dto.MetricFamily{Name: &d.name, Help: &d.help, Type: d.kind.Enum()}
		p.byName[d.name] = f
		p.families = append(p.families, f)
	}
	return f
}

// labels keeps the label pairs of every series: they are the same in every
// scrape, and bounded as the series are.
type labels struct {
	mu   sync.Mutex
	sets map[labelKey][]*dto.LabelPair
}

type labelKey struct {
	site, queue, tier string
	extra             extra
}

// of returns the labels of a series, by name; an empty value leaves its label
// out.
func (l *labels) of(site, queueName, tier string, x extra) []*dto.LabelPair {
	key := labelKey{site, queueName, tier, x}
	l.mu.Lock()
	defer l.mu.Unlock()
	if set, ok := l.sets[key]; ok {
		return set
	}
	var set []*dto.LabelPair
	add := func(name, value string) {
		if value != "" {
			set = append(set, &dto.LabelPair{Name: &name, Value: &value})
		}
	}
	// The names in order: kind and outcome come first, state before tier.
	if x.name < "queue" {
		add(x.name, x.value)
	}
	add("queue", queueName)
	add("site", site)
	if x.name > "queue" {
		add(x.name, x.value)
	}
	add("tier", tier)
	if l.sets == nil {
		l.sets = map[labelKey][]*dto.LabelPair{}
	}
	l.sets[key] = set
	return set
}
