package app

import (
	"fmt"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/vanguard"
	"connectrpc.com/vanguard/vanguardgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"greenlane/internal/rpc"
	"greenlane/internal/web"
	"greenlane/queue"
)

// apiPrefix begins the path of every rpc.
const apiPrefix = "/greenlane.v1."

// newBrowser serves the pages, and the API to browsers: the same services, spoken
// as gRPC-web or Connect. They have a gRPC server of their own, whose only way in
// is HTTP, since one that is used by both ways cannot be stopped gracefully.
func (a *App) newBrowser(sites []queue.Site) (*web.Server, error) {
	observe := func(method string, code codes.Code, took time.Duration) {
		a.daemon.Request(method, code.String(), took)
	}
	opts := append(a.server.ServerOptions(nil, observe), grpc.NumStreamWorkers(0))
	a.browser = grpc.NewServer(opts...)
	a.later(a.browser.Stop)
	a.server.Register(a.browser)
	api, err := vanguardgrpc.NewTranscoder(a.browser, vanguard.WithCodec(newJSON), vanguard.WithCompression(vanguard.CompressionGzip, newPacker, newUnpacker), vanguard.WithDefaultServiceOptions(
		vanguard.WithTargetProtocols(vanguard.ProtocolGRPC), vanguard.WithTargetCodecs(vanguard.CodecProto),
		vanguard.WithMaxMessageBufferBytes(maxWebMessage), vanguard.WithNoTargetCompression(), // what comes packed is unpacked before
	))
	if err != nil {
		return nil, fmt.Errorf("the API for browsers: %w", err)
	}
	w := web.Options{
		API: newBodies(plain(api)), APIPrefix: apiPrefix, Hosts: a.cfg.HTTPHosts, Version: VersionString(), Stopping: a.stopped, Logger: a.log,
	}
	if a.authority != nil && a.authority.On() {
		w.SignIn = a.server.SignIn
	}
	for i, site := range sites {
		w.Sites = append(w.Sites, web.Site{Config: site, Engine: a.engines[i], Feed: a.feeds[i]})
		if site.Name == rpc.DefaultSite {
			w.DefaultSite = site.Name
		}
	}
	return web.New(w)
}

// plain takes a POST of JSON for what it is, an rpc by the Connect protocol, also
// when it does not name the protocol's version: curl and a page's own fetch need
// nothing else then.
func plain(api http.Handler) http.Handler {
	const version = "Connect-Protocol-Version"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.Header.Get(version) == "" {
			r.Header.Set(version, "1")
		}
		api.ServeHTTP(w, r)
	})
}

// jsonCodec is vanguard's, but for what it says of JSON that is none: that is the
// client's mistake.
type jsonCodec struct{ *vanguard.JSONCodec }

func newJSON(types vanguard.TypeResolver) vanguard.Codec {
	return jsonCodec{vanguard.NewJSONCodec(types)}
}

// Unmarshal implements vanguard.Codec.
func (c jsonCodec) Unmarshal(text []byte, m proto.Message) error {
	if err := c.JSONCodec.Unmarshal(text, m); err != nil {
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return nil
}
