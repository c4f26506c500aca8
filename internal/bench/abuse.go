package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"greenlane/internal/abuse"
	"greenlane/internal/load/daemon"
)

// measureAbuse attacks a daemon in every way there is, and lets a legitimate switch
// say what it notices: the time that 99 of 100 of its arrivals take at most, under
// attack against before, in one run.
func measureAbuse(ctx context.Context, b *bench) (figures []Figure, err error) {
	span, clients := 10*time.Second, 1000
	if b.quick {
		span, clients = 2*time.Second, 100
	}
	d, err := daemon.New(daemon.Options{Binary: b.daemon, Config: abuse.Config, Env: abuse.Env()})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Remove()) }()
	if _, err := d.Start(ctx); err != nil {
		return nil, err
	}
	target := abuse.Target{Addr: d.Addr(), HTTP: d.HTTP(), Clients: clients, Forged: 4000}
	for _, a := range abuse.Attacks {
		r, err := abuse.Run(ctx, a, target, span)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		}
		grown := float64(r.Grown) / (1 << 20)
		b.log("  %s: p99 %v before, %v during; %d calls", a.Name, r.Before, r.During, r.Calls)
		figures = append(figures,
			Figure{What: "p99 under " + a.Name + ", against before", Measured: fmt.Sprintf("%.1f times", r.Ratio()), Needed: "<= 2 times", OK: reached(r.Ratio() <= 2)},
			Figure{What: "memory grown under " + a.Name, Measured: fmt.Sprintf("%.0f MB", grown), Needed: "< 100 MB", OK: reached(grown < 100)},
		)
	}
	return figures, nil
}
