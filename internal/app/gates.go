package app

import (
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"greenlane/internal/h2limit"
)

// gates count the connections of the two ports.
type gates struct{ grpc, http *h2limit.Gate }

func (a *App) newGate(port string, each h2limit.Allowance) *h2limit.Gate {
	return h2limit.NewGate(h2limit.Options{
		Allowance: each, All: a.cfg.Limits.Connects.All, PerAddress: a.cfg.Limits.Connects.PerAddress, Log: a.log,
		Ended: func(why string) { a.daemon.ConnectionEnded(port, why) },
	})
}

func (a *App) guardGRPC(l net.Listener) net.Listener {
	a.gates.grpc = a.newGate("grpc", h2limit.ForGateways)
	return a.gates.grpc.Listen(l)
}

func (a *App) guardHTTP(l net.Listener) net.Listener {
	a.gates.http = a.newGate("http", h2limit.ForBrowsers)
	web := &webListener{Listener: a.gates.http.Listen(l), gate: a.gates.http}
	if a.cfg.TLS.On() {
		// Browsers open few connections to one server, and a page's stream takes one of
		// them: over HTTP/2 they share it.
		web.tls = a.authority.TLS(false, "h2", "http/1.1")
	}
	return web
}

// metered returns how the API's connections are made secure, or not, with their
// frames counted.
func (a *App) metered() credentials.TransportCredentials {
	if !a.cfg.TLS.On() {
		return a.gates.grpc.Credentials(insecure.NewCredentials())
	}
	return a.gates.grpc.Credentials(credentials.NewTLS(a.authority.TLS(a.cfg.TLS.RequireClientCert, "h2")))
}

// http2Limits are for browsers, and for proxies that share one connection between
// many of them.
func http2Limits() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams: 1000, MaxReadFrameSize: 16 << 10,
		MaxReceiveBufferPerConnection: 1 << 20, MaxReceiveBufferPerStream: 256 << 10,
		SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: 20 * time.Second,
	}
}
