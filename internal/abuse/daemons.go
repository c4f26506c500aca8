package abuse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"greenlane/internal/load/daemon"
	"greenlane/internal/pki"
)

// VIP is the number of the one VIP of these daemons.
const VIP = "+8613800138000"

// config is how a daemon that is attacked is set up: it trusts the switch "trunk",
// and no other.
const config = `vip_requires_attestation: true
switches:
  - {id: trunk, trust: full}
  - {id: "*", trust: none, arrivals: 600}
limits:
  arrivals: {per_number: 100000}
`

// Daemons are two daemons to attack, one in the clear and one that speaks TLS. Both
// ask nobody who they are: whoever attacks gets as far as there is to get. env is more
// environment of theirs.
type Daemons struct {
	dir           string
	plain, secure *daemon.Daemon
	ca            []byte
}

// Start starts them. log, when not nil, gets what they write.
func Start(ctx context.Context, binary string, log io.Writer, env ...string) (_ *Daemons, err error) {
	d := &Daemons{}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Remove())
		}
	}()
	if d.dir, err = os.MkdirTemp("", "greenlane-abuse-"); err != nil {
		return nil, err
	}
	opts := daemon.Options{Binary: binary, Config: config, Log: log, Env: env}
	if d.plain, err = daemon.New(opts); err != nil {
		return nil, err
	}
	cert, key, err := d.certificate()
	if err != nil {
		return nil, err
	}
	opts.Config += fmt.Sprintf("tls: {cert: %q, key: %q}\n", cert, key)
	opts.Dial = []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(Target{CA: d.ca}.tls()))}
	if d.secure, err = daemon.New(opts); err != nil {
		return nil, err
	}
	for _, one := range []*daemon.Daemon{d.plain, d.secure} {
		if _, err := one.Start(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// certificate makes an authority, and a certificate for the daemon that speaks TLS.
func (d *Daemons) certificate() (cert, key string, err error) {
	ca, server, err := newPair()
	if err != nil {
		return "", "", err
	}
	d.ca = ca
	cert, key = filepath.Join(d.dir, "server.crt"), filepath.Join(d.dir, "server.key")
	return cert, key, errors.Join(os.WriteFile(cert, server.Cert, 0o600), os.WriteFile(key, server.Key, 0o600))
}

// newPair makes an authority and a server's certificate.
func newPair() (authority []byte, server pki.Pair, err error) {
	now := time.Now()
	ca, err := pki.NewCA("abuse", now, time.Hour)
	if err != nil {
		return nil, pki.Pair{}, err
	}
	own, err := ca.PEM()
	if err != nil {
		return nil, pki.Pair{}, err
	}
	server, err = ca.Server(now.Add(-time.Minute), now.Add(time.Hour), "localhost", "127.0.0.1")
	return own.Cert, server, err
}

// Target is the daemon for an attack.
func (d *Daemons) Target(a Attack, clients int) Target {
	t := Target{Addr: d.plain.Addr(), HTTP: d.plain.HTTP(), PID: d.plain.PID(), Clients: clients, Forged: 4000}
	if a.secure {
		t.Addr, t.HTTP, t.PID, t.CA = d.secure.Addr(), d.secure.HTTP(), d.secure.PID(), d.ca
	}
	return t
}

// Stop asks them to end, and waits; Remove leaves nothing of them.
func (d *Daemons) Stop() error { return errors.Join(d.plain.Stop(), d.secure.Stop()) }

// Remove ends what still runs and removes what they stored.
func (d *Daemons) Remove() error {
	var err error
	for _, one := range []*daemon.Daemon{d.plain, d.secure} {
		if one != nil {
			err = errors.Join(err, one.Remove())
		}
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
