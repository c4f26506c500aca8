// Package dial says how a client reaches a daemon: in the clear or over TLS, and
// how it proves who it is. It reads the tool's flags for that, or the environment.
//
// What does not live here: what is said over the connection.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// Credentials are how a client proves who it is, and whom it trusts. The files are
// read again when a connection is made, a token's now and then.
type Credentials struct {
	TLS               bool   // speak TLS, and trust whom the system trusts
	CA                string // PEM file of whom to trust instead
	Cert, Key         string // PEM files of the client
	TokenFile, Server string // the token's file; the name in the daemon's certificate
}

// Register adds the flags.
func (c *Credentials) Register(fl *pflag.FlagSet) {
	fl.BoolVar(&c.TLS, "tls", false, "speak TLS, trusting whom this machine trusts; else GREENLANE_TLS=1")
	fl.StringVar(&c.CA, "tls-ca", "", "speak TLS, trusting this PEM `file`; else GREENLANE_TLS_CA")
	fl.StringVar(&c.Cert, "tls-cert", "", "PEM `file` of the certificate that says who you are; else GREENLANE_TLS_CERT")
	fl.StringVar(&c.Key, "tls-key", "", "PEM `file` of its key; else GREENLANE_TLS_KEY")
	fl.StringVar(&c.Server, "tls-server-name", "", "`name` in the daemon's certificate, when it is another than --addr's; else GREENLANE_TLS_SERVER_NAME")
	fl.StringVar(&c.TokenFile, "token-file", "", "`file` of the token that says who you are; else GREENLANE_TOKEN_FILE")
}

// Environment fills in from the environment what the flags do not say.
func (c *Credentials) Environment() {
	if os.Getenv("GREENLANE_TLS") == "1" {
		c.TLS = true
	}
	for name, to := range map[string]*string{
		"GREENLANE_TLS_CA": &c.CA, "GREENLANE_TLS_CERT": &c.Cert, "GREENLANE_TLS_KEY": &c.Key,
		"GREENLANE_TLS_SERVER_NAME": &c.Server, "GREENLANE_TOKEN_FILE": &c.TokenFile,
	} {
		if *to == "" {
			*to = os.Getenv(name)
		}
	}
}

// Secure reports whether TLS is spoken.
func (c *Credentials) Secure() bool { return c.TLS || c.CA != "" || c.Cert != "" || c.Server != "" }

type key struct{}

// With returns a context of a command that dials with c.
func With(ctx context.Context, c *Credentials) context.Context {
	if ctx == nil {
		ctx = context.Background()
	}
	return context.WithValue(ctx, key{}, c)
}

// Options returns how the command of ctx dials an address; without credentials in
// it, in the clear.
func Options(ctx context.Context, addr string) ([]grpc.DialOption, error) {
	c, ok := ctx.Value(key{}).(*Credentials)
	if !ok {
		return nil, nil
	}
	return c.Options(addr)
}

// Options returns how to dial an address. Without credentials there are none: the
// connection is in the clear.
func (c *Credentials) Options(addr string) ([]grpc.DialOption, error) {
	var out []grpc.DialOption
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("--tls-cert and --tls-key: both or none must be given")
	}
	if c.Secure() {
		cfg, err := c.config()
		if err != nil {
			return nil, err
		}
		out = append(out, grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	}
	if c.TokenFile == "" {
		return out, nil
	}
	if !c.Secure() && !loopback(addr) {
		return nil, errors.New("--token-file: needs --tls or --tls-ca: a token must not travel in the clear")
	}
	t := &token{file: c.TokenFile, secure: c.Secure()}
	if _, err := t.read(); err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return append(out, grpc.WithPerRPCCredentials(t)), nil
}

func (c *Credentials) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: c.Server}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--tls-ca: no certificate is in %s", c.CA)
		}
	}
	if c.Cert == "" {
		return cfg, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		return &pair, err
	}
	if _, err := load(); err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return cfg, nil
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// token is a bearer token in a file, which somebody may replace.
type token struct {
	file   string
	secure bool

	mu   sync.Mutex
	text string
	at   time.Time // when it was read
}

// fresh is how long a token is used before its file is read again.
const fresh = 10 * time.Second

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (t *token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	text, err := t.read()
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + text}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (t *token) RequireTransportSecurity() bool { return t.secure }

func (t *token) read() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text != "" && time.Since(t.at) < fresh {
		return t.text, nil
	}
	text, err := os.ReadFile(t.file)
	if err != nil {
		if t.text != "" {
			return t.text, nil // it is being replaced
		}
		return "", err
	}
	got := strings.TrimSpace(string(text))
	if got == "" || strings.ContainsAny(got, " \t\r\n") {
		return "", fmt.Errorf("%s: one token is expected, and nothing else", t.file)
	}
	t.text, t.at = got, time.Now()
	return got, nil
}
