package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"greenlane/internal/dial"
	"greenlane/internal/identity"
	"greenlane/internal/load/daemon"
	"greenlane/internal/pki"
)

// measureMTLS lets the same clients send the same durable requests to a daemon in
// the clear, to one by mutual TLS, each switch with a certificate of its own, and to
// that one by TLS and a token; in turns. The clients' half of the encryption runs
// on the same cores.
func measureMTLS(ctx context.Context, b *bench) (figures []Figure, err error) {
	rounds, span := 7, 3*time.Second
	if b.quick {
		rounds, span = 1, time.Second
	}
	plain, conn, err := b.start(ctx, bigConfig, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close(), b.end(plain)) }()
	s, err := b.startSecure(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(s.daemon)) }()
	var crowds [3]*crowd
	defer func() {
		for _, c := range crowds {
			if c != nil {
				err = errors.Join(err, c.close())
			}
		}
	}()
	for i, how := range []func(switchID string) ([]grpc.DialOption, error){
		func(string) ([]grpc.DialOption, error) { return nil, nil }, s.byCertificate, s.byToken,
	} {
		addr := s.daemon.Addr()
		if i == 0 {
			addr = plain.Addr()
		}
		c, err := newCrowd(addr, clients, how)
		if err != nil {
			return nil, err
		}
		c.apart(i)
		crowds[i] = c
	}
	var rates, ratios [3][]float64
	for round := range rounds + 1 {
		var now [3]float64
		for i, c := range crowds {
			if now[i], err = c.rate(ctx, span); err != nil {
				return nil, err
			}
		}
		b.log("  %.0f requests/s in the clear, %.0f by mutual TLS, %.0f by token", now[0], now[1], now[2])
		if round > 0 || rounds == 1 { // The first round warms all up.
			for i := range now {
				rates[i], ratios[i] = append(rates[i], now[i]), append(ratios[i], now[i]/now[0])
			}
		}
	}
	mutual := median(ratios[1])
	return []Figure{
		{What: "requests/s, durable, mutual TLS, 64 clients", Measured: fmt.Sprintf("%.0f", median(rates[1]))},
		{What: "mutual TLS against plaintext", Measured: fmt.Sprintf("%.2f", mutual), Needed: ">= 0.85", OK: reached(mutual >= 0.85)},
		{What: "TLS and tokens against plaintext", Measured: fmt.Sprintf("%.2f", median(ratios[2]))},
	}, nil
}

// secure is a daemon that asks who makes a request.
type secure struct {
	daemon *daemon.Daemon
	dir    pki.Dir
}

func (b *bench) startSecure(ctx context.Context) (*secure, error) {
	s := &secure{dir: pki.Dir{Path: filepath.Join(b.dir, "pki"), Now: time.Now}}
	if err := s.dir.Make(time.Hour, []string{"main"}, "127.0.0.1"); err != nil {
		return nil, err
	}
	opts, err := s.credentials("supervisor").Options("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.daemon, err = daemon.New(daemon.Options{Binary: b.daemon, Config: bigConfig + s.dir.Config(), Dial: opts})
	if err != nil {
		return nil, err
	}
	if _, err := s.daemon.Start(ctx); err != nil {
		return nil, errors.Join(err, s.daemon.Remove())
	}
	return s, nil
}

func (s *secure) file(name string) string { return filepath.Join(s.dir.Path, name) }

func (s *secure) credentials(client string) *dial.Credentials {
	return &dial.Credentials{CA: s.file("ca.crt"), Cert: s.file(client + ".crt"), Key: s.file(client + ".key")}
}

func (s *secure) byCertificate(id string) ([]grpc.DialOption, error) {
	if err := s.dir.Certificate(id, time.Hour, identity.Switch, id, []string{"main"}); err != nil {
		return nil, err
	}
	return s.credentials(id).Options(s.daemon.Addr())
}

func (s *secure) byToken(string) ([]grpc.DialOption, error) {
	return (&dial.Credentials{CA: s.file("ca.crt"), TokenFile: s.file("everything.token")}).Options(s.daemon.Addr())
}
