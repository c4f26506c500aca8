package abuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Report is what an attack did: the 99th percentile of what a legitimate caller
// waits while nothing else happens, while the same attackers busy the same machine
// and leave the daemon alone, and under attack.
type Report struct {
	Attack, Priority       string // Priority is the hostile processes'
	Quiet, Control, During time.Duration
	Calls                  int   // of the legitimate switch, during the attack
	Grown                  int64 // bytes of resident memory, at their highest, over those before
}

// OverQuiet is by how much the legitimate caller waits longer under attack.
func (r Report) OverQuiet() float64 { return ratio(r.During, r.Quiet) }

// OverControl is by how much of that the daemon is to blame, and not the machine
// that it shares with its attackers.
func (r Report) OverControl() float64 { return ratio(r.During, r.Control) }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(1, b)) }

// Measure has a legitimate switch work in peace, beside attackers that attack somebody
// else, under their attack, and in peace again: a span each, the two in peace half of
// one. Attackers are processes of the lowest priority; the program that runs must call
// Child. An error is a promise that the daemon broke.
func Measure(ctx context.Context, a Attack, t Target, span time.Duration) (Report, error) {
	out := Report{Attack: a.Name}
	t.From = addressOf(a)
	l, err := newLegitimate(ctx, t)
	if err != nil {
		return out, err
	}
	defer l.close()
	if err := l.warm(ctx); err != nil {
		return out, err
	}
	quiet, err := l.work(ctx, span/2)
	if err != nil {
		return out, fmt.Errorf("before the attack: %w", err)
	}
	control, err := beside(ctx, l, a, t, span)
	if err != nil {
		return out, fmt.Errorf("beside an attack on somebody else: %w", err)
	}
	during, err := out.under(ctx, l, a, t, span)
	if err != nil {
		return out, err
	}
	after, err := l.work(ctx, span/2)
	if err != nil {
		return out, fmt.Errorf("after the attack: %w", err)
	}
	out.Quiet, out.Control, out.During, out.Calls = p99(append(quiet, after...)), p99(control), p99(during), len(during)
	return out, l.check(ctx)
}

// under has the legitimate switch work while the daemon is attacked.
func (r *Report) under(ctx context.Context, l *legitimate, a Attack, t Target, span time.Duration) ([]time.Duration, error) {
	before, err := t.resident(ctx)
	if err != nil {
		return nil, err
	}
	attacker, err := startHostile(ctx, order{Attack: a.Name, Target: t, Low: true})
	if err != nil {
		return nil, err
	}
	watch, over := context.WithCancel(ctx)
	defer over()
	watched := make(chan int64, 1)
	go func() { watched <- t.highest(watch) }()
	during, err := l.work(ctx, span)
	over()
	err = errors.Join(err, attacker.stop())
	r.Grown, r.Priority = <-watched-before, attacker.How
	return during, err
}

// addressOf returns the last part of an address of an attack's own, that no earlier
// attack has had turned away.
func addressOf(a Attack) byte {
	return byte(1 + slices.IndexFunc(Attacks, func(other Attack) bool { return other.Name == a.Name }))
}

// beside has the legitimate switch work while the attackers attack a sink.
func beside(ctx context.Context, l *legitimate, a Attack, t Target, span time.Duration) (took []time.Duration, err error) {
	sink, err := startHostile(ctx, order{Attack: a.Name, Sink: true, Low: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	t.Addr, t.HTTP, t.CA = sink.At.Addr, sink.At.HTTP, sink.At.CA
	attacker, err := startHostile(ctx, order{Attack: a.Name, Target: t, Low: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, attacker.stop()) }()
	return l.work(ctx, span)
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*99/100)]
}
