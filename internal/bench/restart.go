package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const restartWaiting = 100_000

// measureRestart kills a daemon with many calls waiting, and measures the time
// from starting the process until it serves.
func measureRestart(ctx context.Context, b *bench) (figures []Figure, err error) {
	d, conn, err := b.start(ctx, bigConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), d.Remove()) }()
	if err := fill(ctx, conn, restartWaiting); err != nil {
		return nil, err
	}
	rounds := 5
	if b.quick {
		rounds = 1
	}
	var took []int64
	for range rounds {
		if err := d.Kill(); err != nil {
			return nil, err
		}
		t, err := d.Start(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, int64(t))
		if n, err := waiting(ctx, conn); err != nil || n != restartWaiting {
			return nil, fmt.Errorf("%d calls wait after the restart, %d before: %w", n, restartWaiting, err)
		}
	}
	t := time.Duration(median(took))
	return []Figure{{
		What: "restart with 100,000 waiting after kill -9, until it serves", Measured: t.Round(time.Millisecond).String(),
		Needed: "<= 2s", OK: reached(t <= 2*time.Second),
	}}, nil
}
