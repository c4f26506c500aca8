package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// measureSealed lets the same clients send the same durable requests to a daemon that
// stores what it knows as it is, to one that encrypts it, and to one that records
// who changes what; in turns.
func measureSealed(ctx context.Context, b *bench) (figures []Figure, err error) {
	rounds, span := 7, 3*time.Second
	if b.quick {
		rounds, span = 1, time.Second
	}
	privacy, err := b.keys()
	if err != nil {
		return nil, err
	}
	var crowds []*crowd
	var closing []func() error
	defer func() {
		for _, end := range slices.Backward(closing) {
			err = errors.Join(err, end())
		}
	}()
	for i, more := range []string{"audit: {enabled: false}\n", privacy + "audit: {enabled: false}\n", ""} {
		d, conn, err := b.start(ctx, bigConfig+more, nil, nil)
		if err != nil {
			return nil, err
		}
		closing = append(closing, func() error { return errors.Join(conn.Close(), b.end(d)) })
		c, err := newCrowd(d.Addr(), clients)
		if err != nil {
			return nil, err
		}
		closing = append(closing, c.close)
		c.apart(i)
		crowds = append(crowds, c)
	}
	var sealed, audited, rates []float64
	for round := range rounds + 1 {
		var now [3]float64
		for i, c := range crowds {
			if now[i], err = c.rate(ctx, span); err != nil {
				return nil, err
			}
		}
		b.log("  %.0f requests/s as it is, %.0f encrypted, %.0f with the audit record", now[0], now[1], now[2])
		if round > 0 || rounds == 1 { // The first round warms all up.
			rates, sealed, audited = append(rates, now[1]), append(sealed, now[1]/now[0]), append(audited, now[2]/now[0])
		}
	}
	return []Figure{
		{What: "requests/s, durable, encrypted at rest, 64 clients", Measured: fmt.Sprintf("%.0f", median(rates))},
		{What: "encrypted at rest against not", Measured: fmt.Sprintf("%.2f", median(sealed))},
		{What: "calls with the audit record against without", Measured: fmt.Sprintf("%.2f", median(audited))},
	}, nil
}

// keys makes the keys of what is at rest, and returns the configuration that names
// them.
func (b *bench) keys() (string, error) {
	for name, digit := range map[string]string{"index.key": "1", "k1.key": "2"} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(strings.Repeat(digit, 64)), 0o600); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("privacy: {index_key_file: %q, keys: [{id: k1, key_file: %q}]}\n",
		filepath.Join(b.dir, "index.key"), filepath.Join(b.dir, "k1.key")), nil
}
