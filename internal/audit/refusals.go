package audit

import (
	"strconv"
	"sync"
	"time"

	"greenlane/internal/discreet"
)

// ActionLoginRefused is a login that was refused.
const ActionLoginRefused = "login.refused"

// Refusal is a login that was refused. It holds no token and no key.
type Refusal struct {
	Reason string // one of a few words, such as "expired"
	Name   string // who it claimed to be, when that was proved by somebody known; else empty
	Host   string // the address it came from, without the port
}

// refusalKinds bounds how many kinds of refusals are kept apart within a minute:
// whoever tries from many addresses must not fill memory or the disk. Those with a
// name and those without have as many each: a stranger must not hide what somebody
// known was refused.
const refusalKinds = 200

// The reasons of the records that count what is beyond refusalKinds.
const (
	otherRefusals      = "others"
	otherNamedRefusals = "others with a name"
)

// refusalEvery is how often refusals of one kind are written.
const refusalEvery = time.Minute

// Refusals writes refused logins. The first of a kind is written at once; those
// that follow within a minute share one record, with their count. It never
// holds a login up.
type Refusals struct {
	log   *Log
	stop  chan struct{}
	ended chan struct{}
	wake  chan struct{}

	mu             sync.Mutex
	fresh          []Refusal // to be written now
	named, unnamed kinds
}

// kinds are the refusals of a minute.
type kinds struct {
	counts map[Refusal]int // since the last time they were written; 0: just written
	others int             // those beyond refusalKinds
}

// NewRefusals begins to write to a record.
func NewRefusals(log *Log) *Refusals {
	r := &Refusals{
		log: log, stop: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1),
		named: kinds{counts: map[Refusal]int{}}, unnamed: kinds{counts: map[Refusal]int{}},
	}
	go r.run()
	return r
}

// Refused takes one in. It does not wait.
func (r *Refusals) Refused(one Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.unnamed
	if one.Name != "" {
		k = &r.named
	}
	n, known := k.counts[one]
	switch {
	case known:
		k.counts[one] = n + 1
	case len(k.counts) >= refusalKinds:
		k.others++
	default:
		k.counts[one] = 0
		r.fresh = append(r.fresh, one)
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Close writes what is left. It is called once, before the Log is closed.
func (r *Refusals) Close() {
	close(r.stop)
	<-r.ended
}

func (r *Refusals) run() {
	defer close(r.ended)
	t := time.NewTicker(refusalEvery)
	defer t.Stop()
	for {
		select {
		case <-r.wake:
			r.write(r.take())
		case <-t.C:
			r.write(r.take())
			r.write(r.sum())
		case <-r.stop:
			r.write(r.take())
			r.write(r.sum())
			return
		}
	}
}

// take returns the records of those that are new.
func (r *Refusals) take() (out []Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.fresh {
		out = append(out, one.record(1))
	}
	r.fresh = nil
	return out
}

// sum returns the records of those that were counted, and begins anew.
func (r *Refusals) sum() (out []Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(r.named.sum(otherNamedRefusals), r.unnamed.sum(otherRefusals)...)
}

func (k *kinds) sum(others string) (out []Record) {
	for one, n := range k.counts {
		if n > 0 {
			out = append(out, one.record(n))
		}
	}
	if k.others > 0 {
		out = append(out, Refusal{Reason: others}.record(k.others))
	}
	k.counts, k.others = map[Refusal]int{}, 0
	return out
}

func (one Refusal) record(n int) Record {
	return Record{
		Action: ActionLoginRefused, Who: &Who{Name: discreet.Text(one.Name), Peer: one.Host},
		Detail: map[string]string{"reason": one.Reason, "times": strconv.Itoa(n)},
	}
}

// write hands in all records before it waits for any. A record that can't be
// written has been counted and logged by the Log, and the total stands.
func (r *Refusals) write(recs []Record) {
	var under []*entry
	for _, rec := range recs {
		rec.Kind = Fact
		under = append(under, r.log.put(rec))
	}
	for _, e := range under {
		<-e.done //nolint:errcheck // the Log has dealt with it
	}
}
