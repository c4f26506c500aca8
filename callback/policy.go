package callback

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"greenlane/internal/instant"
	"greenlane/tiering"
)

// Policy says who earns a callback and when it happens. It is a plain value:
// copy it freely, change it only before it is in use. Durations count in whole
// milliseconds. Every method is total: a policy that Validate refuses gives
// useless answers, but no panic and no endless loop.
type Policy struct {
	// Tiers lists whose abandons earn a callback; empty means nobody's.
	Tiers []tiering.Tier
	// Delay is the time from hanging up until the callback is first due.
	Delay time.Duration
	// WindowFrom and WindowTo bound the part of the day in which callers are
	// rung, as the wall clock of Zone reads: from WindowFrom (included) to
	// WindowTo (excluded), 0 to 24h.
	WindowFrom, WindowTo time.Duration
	// Zone is the site's time zone.
	Zone *time.Location
	// MaxAttempts is the number of unanswered attempts after which a callback
	// has failed.
	MaxAttempts int
	// Deadline is the time from hanging up until an unfinished callback is missed.
	Deadline time.Duration
	// RetryDelay is the time from the first unanswered attempt to the second;
	// it doubles for every further attempt.
	RetryDelay time.Duration
	// EscalateBefore is how long before its deadline a due callback begins to
	// rank as a mid-tier call.
	EscalateBefore time.Duration
	// ShortAbandon is the wait below which an abandon earns nothing.
	ShortAbandon time.Duration
	// ClaimLease is how long a claim stands without a report.
	ClaimLease time.Duration
}

// Why an abandon earns no callback, as Earns says it.
const (
	NotTier         = "tier"          // the tier is not in Policy.Tiers
	NotWithheld     = "withheld"      // there is no number to ring
	NotShortAbandon = "short_abandon" // the caller waited less than Policy.ShortAbandon
)

// maxSpan bounds every duration of a policy: longer ones are typing errors,
// and sums of shorter ones cannot overflow.
const maxSpan = 90 * 24 * time.Hour

// DefaultPolicy returns the policy of DESIGN section 9. Its zone is
// Asia/Shanghai from the time zone database, or a fixed UTC+8 on a machine
// without one; the two agree for every instant since 1991.
func DefaultPolicy() Policy {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		zone = time.FixedZone("UTC+8", 8*60*60)
	}
	return Policy{
		Tiers:          []tiering.Tier{tiering.Mid},
		Delay:          15 * time.Minute,
		WindowFrom:     9 * time.Hour,
		WindowTo:       21 * time.Hour,
		Zone:           zone,
		MaxAttempts:    3,
		Deadline:       24 * time.Hour,
		RetryDelay:     30 * time.Minute,
		EscalateBefore: 2 * time.Hour,
		ShortAbandon:   5 * time.Second,
		ClaimLease:     30 * time.Minute,
	}
}

// Validate returns every fault of the policy, joined; each names the key of
// the configuration and what is allowed. It returns nil for a sound policy.
func (p Policy) Validate() error {
	faults := p.tierFaults()
	add := func(ok bool, key string, got any, allowed string) {
		if !ok {
			faults = append(faults, fmt.Errorf("callback.%s: %v is not allowed: %s", key, got, allowed))
		}
	}
	between := func(key string, d, least, most time.Duration) {
		add(d >= least && d <= most, key, d, fmt.Sprintf("%v to %v", least, most))
	}
	between("deadline", p.Deadline, time.Second, maxSpan)
	between("retry_delay", p.RetryDelay, time.Second, maxSpan)
	between("short_abandon", p.ShortAbandon, 0, maxSpan)
	between("claim_lease", p.ClaimLease, time.Second, maxSpan)
	add(p.Delay >= 0 && p.Delay < p.Deadline, "delay", p.Delay, "0s or more, and less than callback.deadline")
	add(p.EscalateBefore >= 0 && p.EscalateBefore <= p.Deadline, "escalate_before", p.EscalateBefore,
		"0s or more, and no more than callback.deadline")
	add(p.MaxAttempts >= 1 && p.MaxAttempts <= 100, "max_attempts", p.MaxAttempts, "1 to 100")
	add(p.WindowFrom >= 0 && p.WindowFrom < day, "window_from", p.WindowFrom,
		"00:00 or later, and before 24:00")
	add(p.WindowTo > 0 && p.WindowTo <= day, "window_to", p.WindowTo, "after 00:00, and 24:00 at the latest")
	add(p.WindowTo-p.WindowFrom >= time.Second, "window_to", p.WindowTo,
		"later than callback.window_from: a window does not cross midnight, use 24:00 for the end of the day")
	switch p.Zone {
	case nil:
		add(false, "zone", "nothing", "the name of a time zone, such as Asia/Shanghai")
	case time.Local:
		add(false, "zone", "Local", "the name of a time zone, such as Asia/Shanghai, so that every machine decides alike")
	}
	return errors.Join(faults...)
}

func (p Policy) tierFaults() []error {
	var faults []error
	for i, t := range p.Tiers {
		switch {
		case !t.Valid():
			faults = append(faults, fmt.Errorf("callback.tiers[%d]: %v is not allowed: vip, mid, ordinary or blacklist", i, t))
		case slices.Contains(p.Tiers[:i], t):
			faults = append(faults, fmt.Errorf("callback.tiers[%d]: %v is there twice: each tier once", i, t))
		}
	}
	return faults
}

// Earns reports whether a caller who hung up after waiting for waited earns a
// callback. If not, the string says why: NotTier, NotWithheld or
// NotShortAbandon, the first that holds. A wait of exactly ShortAbandon earns one.
func (p Policy) Earns(tier tiering.Tier, caller tiering.Number, waited time.Duration) (bool, string) {
	switch {
	case !slices.Contains(p.Tiers, tier):
		return false, NotTier
	case caller == "":
		return false, NotWithheld
	case waited < p.ShortAbandon:
		return false, NotShortAbandon
	}
	return true, ""
}

// maxDelay keeps doubling delays far away from overflow.
const maxDelay = 2 * maxSpan

// retryDelay is the natural pause after the given number of attempts.
func (p Policy) retryDelay(attempts int) time.Duration {
	d := p.RetryDelay
	for range attempts - 1 {
		if d >= maxDelay || d <= 0 {
			break
		}
		d *= 2
	}
	return min(max(d, 0), maxDelay)
}

// FirstDue returns when a caller who hung up at hungUp is first due: Delay
// later, or at the next moment inside the window when that is not inside.
func (p Policy) FirstDue(hungUp instant.Instant) instant.Instant {
	return p.nextInside(hungUp.Add(p.Delay))
}

// NextDue returns when the next attempt is due, after an unanswered one at now
// that was number attempts (1 or more), for a callback with that deadline. ok
// is false when there is no moment left, and due then means nothing.
//
// The natural time is RetryDelay after the first attempt, twice that after the
// second and so on, moved to the next moment inside the window. Near the
// deadline it gives way, because a callback that becomes due at the last
// moment finds no agent in time. Let margin be 5 minutes, or RetryDelay, or the
// length of the window, whichever is shortest:
//
//  1. a natural time at least margin before the deadline is used as it is;
//  2. else the latest useful moment: the latest one inside the window with at
//     least margin to the window's close and to the deadline, provided that
//     it is at least margin after now, since an instant redial is of no use;
//  3. else the natural time, if it is before the deadline at all;
//  4. else none.
func (p Policy) NextDue(now instant.Instant, attempts int, deadline instant.Instant) (due instant.Instant, ok bool) {
	natural := p.nextInside(now.Add(p.retryDelay(attempts)))
	return p.beforeDeadline(now, natural, deadline)
}

// lastCall is how much time a callback moved forward because of its deadline
// leaves an agent to take it.
const lastCall = 5 * time.Minute

// beforeDeadline applies the four rules of NextDue to a natural time that is
// inside the window.
func (p Policy) beforeDeadline(now, natural, deadline instant.Instant) (instant.Instant, bool) {
	margin := max(0, min(lastCall, p.RetryDelay, p.WindowTo-p.WindowFrom))
	if natural.Add(margin) <= deadline {
		return natural, true
	}
	latest, ok := p.latestInside(now.Add(margin), deadline.Add(-margin), margin)
	if ok && latest < deadline {
		return latest, true
	}
	return natural, natural < deadline
}

// CheckDue returns nil when somebody may ask, at now, for a callback with that
// deadline to be due at due: after now, before the deadline and inside the
// window. The error wraps ErrDue (and ErrWindow) and names what is allowed.
func (p Policy) CheckDue(now, due, deadline instant.Instant) error {
	if due <= now || due >= deadline {
		return fmt.Errorf("%w: %s: after %s and before the deadline %s is allowed",
			ErrDue, p.local(due), p.local(now), p.local(deadline))
	}
	if !p.Inside(due) {
		return fmt.Errorf("%w: %s: %s is allowed", ErrWindow, p.local(due), p.window())
	}
	return nil
}
