package queue

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"greenlane/internal/instant"
)

// Calls answers as Engine.Calls does. A page of those who wait is read off
// their lines, one caller's off the list of them; any other costs a walk through
// all the calls kept.
func (m *Machine) Calls(f CallFilter) ([]Call, string, error) {
	from, err := parseRank(f.After)
	if err != nil {
		return nil, "", err
	}
	if f.Queue != "" {
		if _, err := m.queue(f.Queue); err != nil {
			return nil, "", err
		}
	}
	n := pageSize(f.Limit)
	list := callPage{from: from, most: n + 1}
	add := func(c *call) {
		if (f.Queue == "" || c.queueName() == f.Queue) && (f.Tier == 0 || c.Tier == f.Tier) &&
			(f.Caller == "" || c.Caller == f.Caller) && (len(f.States) == 0 || slices.Contains(f.States, c.State)) {
			list.add(c)
		}
	}
	waits := func(s CallState) bool { return s == CallWaiting || s == CallOffered }
	switch {
	case f.Caller != "":
		for c := range m.callsOf(f.Caller) {
			add(c)
		}
	case len(f.States) > 0 && !slices.ContainsFunc(f.States, func(s CallState) bool { return !waits(s) }):
		m.eachInLine(f.Queue, from, n+1, add)
	default:
		for c := range m.calls.all() {
			add(c)
		}
	}
	calls := list.sorted()
	next := ""
	if len(calls) > n {
		calls = calls[:n]
		next = calls[n-1].listRank().token()
	}
	page := make([]Call, 0, len(calls))
	for _, c := range calls {
		page = append(page, *m.copy(c))
	}
	return page, next, nil
}

// eachInLine visits the calls that wait or are offered, of one queue ("" = all):
// of each line at least the first most of those that rank after from.
func (m *Machine) eachInLine(queue string, from rank, most int, visit func(*call)) {
	for _, q := range m.queueList {
		if queue != "" && q.cfg.Name != queue {
			continue
		}
		for s := range q.lines {
			n := 0
			if slot(s) == slotCallback {
				continue
			}
			q.lines[s].each(from, func(e *entry) bool {
				if e.call != nil && from.before(e.rank()) {
					visit(e.call)
					n++
				}
				return n < most
			})
		}
	}
	m.eachHeld(visit)
	for s := range m.live {
		for o := m.live[s].head; o != nil; o = o.next {
			if o.e.call != nil {
				visit(o.e.call)
			}
		}
	}
}

// callPage collects the calls that come first after a rank, up to a number.
type callPage struct {
	from rank
	most int
	list []*call
}

func (p *callPage) add(c *call) {
	if !p.from.before(c.listRank()) {
		return
	}
	p.list = append(p.list, c)
	if len(p.list) >= 4*p.most {
		p.list = p.sorted()
	}
}

// sorted returns the page in its order.
func (p *callPage) sorted() []*call {
	slices.SortFunc(p.list, func(a, b *call) int { return a.listRank().compare(b.listRank()) })
	return p.list[:min(len(p.list), p.most)]
}

func (c *call) listRank() rank { return rank{c.JoinedAt, c.Seq} }

func (r rank) compare(o rank) int { return cmp.Or(cmp.Compare(r.at, o.at), cmp.Compare(r.seq, o.seq)) }

func (r rank) token() string {
	return strconv.FormatInt(int64(r.at), 36) + "." + strconv.FormatUint(r.seq, 36)
}

func parseRank(token string) (rank, error) {
	if token == "" {
		return rank{at: -1}, nil
	}
	at, seq, ok := strings.Cut(token, ".")
	a, err1 := strconv.ParseInt(at, 36, 64)
	s, err2 := strconv.ParseUint(seq, 36, 64)
	if !ok || err1 != nil || err2 != nil {
		return rank{}, refuse(ErrInvalid, "page_token", "%q is not the token of a page before", token)
	}
	return rank{instant.Instant(a), s}, nil
}
