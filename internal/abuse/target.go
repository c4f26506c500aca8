package abuse

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Target is a daemon.
type Target struct {
	Addr, HTTP string
	PID        int    // 0: not known
	CA         []byte // PEM, of whom its certificate is; nil: it speaks in the clear
	// Clients is how many connections an attack opens that needs many.
	Clients int
	// Forged is how many forged calls a second arrive.
	Forged int
	// From is the last part of the address that an attack comes from; 0: any.
	From byte
}

// tls returns how to speak to the daemon; nil: in the clear.
func (t Target) tls(protocols ...string) *tls.Config {
	if t.CA == nil {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(t.CA)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS13, NextProtos: protocols}
}

func (t Target) scheme() string {
	if t.CA == nil {
		return "http"
	}
	return "https"
}

// dialer comes from another address of this machine than everybody else, where that
// is possible: what a daemon does to an address, it does to the hostile one.
func (t Target) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: time.Second}
	if runtime.GOOS == "linux" && t.From > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, t.From)}
	}
	return d
}

// client returns a client of a library.
func (t Target) client(opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()
	if t.CA != nil {
		creds = credentials.NewTLS(t.tls())
	}
	return grpc.NewClient(t.Addr, append(opts, grpc.WithTransportCredentials(creds))...)
}
