// Package demo plays a synthetic day to a daemon of its own, with one live
// screen: what `greenlane demo` and `make demo` do.
package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"greenlane/internal/load"
)

// configText returns the configuration of a daemon whose times are the usual ones,
// divided by the speed of the day.
func configText(speed float64) string {
	var b strings.Builder
	span := func(d, least time.Duration) time.Duration {
		return max(time.Duration(float64(d)/speed).Round(time.Millisecond), least)
	}
	ms := time.Millisecond
	fmt.Fprintf(&b, "# The demo's daemon: every time divided by %g, as fast as the day runs.\n", speed)
	fmt.Fprintf(&b, "sites:\n  - name: main\n    short_abandon: %v\n", shortAbandon(speed))
	fmt.Fprintf(&b, "    callback:\n      window_from: \"00:00\"\n      window_to: \"24:00\"\n")
	fmt.Fprintf(&b, "      delay: %v\n      retry_delay: %v\n      deadline: %v\n      escalate_before: %v\n      claim_lease: %v\n",
		span(15*time.Minute, ms), span(30*time.Minute, time.Second), span(24*time.Hour, 2*time.Second),
		span(2*time.Hour, ms), span(30*time.Minute, 10*time.Second))
	fmt.Fprintf(&b, "    queues:\n")
	for _, q := range queues() {
		// An offer lives at least 200 ms: a machine that is busy with other things
		// for a moment must not send the agents home. An account manager is waited
		// for, but less long than the threshold.
		fmt.Fprintf(&b, "      - name: %s\n        threshold: %v\n        offer_timeout: %v\n        preferred_wait: %v\n        handle_time: %v\n",
			q, span(20*time.Second, ms), span(20*time.Second, 200*ms), span(8*time.Second, ms), span(3*time.Minute, ms))
	}
	return b.String()
}

// shortAbandon is the limit of a short abandon at a speed.
func shortAbandon(speed float64) time.Duration {
	return max(time.Duration(float64(5*time.Second)/speed).Round(time.Millisecond), time.Millisecond)
}

// queues returns the names of the queues that the call types go to.
func queues() []string {
	return slices.Compact(slices.Sorted(maps.Values(load.DefaultQueues())))
}
