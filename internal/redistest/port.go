//go:build unix

package redistest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Ports are drawn from below the range that systems take for outgoing
// connections, so that a server that was killed finds its port free again.
const (
	portsFrom  = 10_000
	portsTo    = 32_000
	portsTried = 1000
)

// A port is a TCP port held against everybody else who uses this package, also
// while no server listens on it, by a lock on a file.
type port struct {
	number int
	lock   *os.File
}

func (p port) String() string { return strconv.Itoa(p.number) }

// Addr is the port on the loopback address.
func (p port) Addr() string { return net.JoinHostPort("127.0.0.1", p.String()) }

func (p port) release() {
	if p.lock != nil {
		_ = p.lock.Close() // it was never written
	}
}

// takePort finds a port that nobody listens on or holds.
func takePort() (port, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("greenlane-redistest-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return port{}, err
	}
	for range portsTried {
		p := port{number: portsFrom + rand.IntN(portsTo-portsFrom)}
		l, err := net.Listen("tcp", p.Addr())
		if err != nil {
			continue
		}
		l.Close()
		// The file stays: removing it while another process locks it would let a
		// third one lock a new file of the same name.
		if p.lock, err = os.OpenFile(filepath.Join(dir, p.String()), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
			return port{}, err
		}
		if syscall.Flock(int(p.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return p, nil
		}
		p.release()
	}
	return port{}, errors.New("no free port was found")
}
