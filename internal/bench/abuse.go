package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"greenlane/internal/abuse"
)

// measureAbuse attacks a daemon in every way there is, and lets a legitimate switch
// say what it notices: the time that 99 of 100 of its arrivals take at most, under
// attack against before, and against the same attackers attacking somebody else.
func measureAbuse(ctx context.Context, b *bench) (figures []Figure, err error) {
	span, clients := 10*time.Second, 1000
	if b.quick {
		span, clients = 2*time.Second, 100
	}
	d, err := abuse.Start(ctx, b.daemon, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Remove()) }()
	for _, a := range abuse.Attacks {
		if b.attacks != nil && !slices.Contains(b.attacks, a.Name) {
			continue
		}
		r, err := abuse.Measure(ctx, a, d.Target(a, clients), span)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		grown := float64(r.Grown) / (1 << 20)
		b.log("  %s (%s): p99 %v in peace, %v beside it, %v under it; %d calls", a.Name, r.Priority, r.Quiet, r.Control, r.During, r.Calls)
		figures = append(figures,
			Figure{What: "p99 under " + a.Name + ", against peace", Measured: fmt.Sprintf("%.1f times", r.OverQuiet()), Needed: "<= 2 times", OK: reached(r.OverQuiet() <= 2)},
			Figure{What: "p99 under " + a.Name + ", against an attack on somebody else", Measured: fmt.Sprintf("%.1f times", r.OverControl())},
			Figure{What: "memory grown under " + a.Name, Measured: fmt.Sprintf("%.0f MB", grown), Needed: "< 100 MB", OK: reached(grown < 100)},
		)
	}
	return figures, nil
}

// attacksOf reads -attacks.
func attacksOf(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	var names, out []string
	for _, a := range abuse.Attacks {
		names = append(names, a.Name)
	}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); !slices.Contains(names, name) {
			return nil, fmt.Errorf("-attacks: %q is unknown: %s are allowed", name, strings.Join(names, ", "))
		}
		out = append(out, name)
	}
	return out, nil
}
