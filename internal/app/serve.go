package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"greenlane/metrics/prom"
	pb "greenlane/proto/greenlane/v1"
	"greenlane/queue"
)

// services are those whose health is told, beside the daemon's as a whole ("").
var services = []string{
	"",
	pb.SwitchService_ServiceDesc.ServiceName, pb.AgentService_ServiceDesc.ServiceName,
	pb.SupervisorService_ServiceDesc.ServiceName, pb.CallbackService_ServiceDesc.ServiceName,
	pb.TierService_ServiceDesc.ServiceName,
}

func (a *App) newGRPC() (*grpc.Server, *health.Server) {
	observe := func(method string, code codes.Code, took time.Duration) {
		a.daemon.Request(method, code.String(), took)
	}
	srv := grpc.NewServer(append(a.server.ServerOptions(nil, observe), grpc.Creds(a.metered()))...)
	a.server.Register(srv)
	hs := health.NewServer()
	for _, name := range services {
		hs.SetServingStatus(name, healthpb.HealthCheckResponse_NOT_SERVING)
	}
	healthpb.RegisterHealthServer(srv, hs)
	if a.cfg.Reflection {
		reflection.Register(srv)
	}
	a.server.Knows(srv)
	a.later(srv.Stop)
	return srv, hs
}

// setServing says whether the daemon serves. Once it is said that it does not,
// that stands.
func (a *App) setServing(serving bool) {
	if !serving {
		a.health.Shutdown()
		return
	}
	a.setReachable(true)
}

// setReachable says whether the daemon could serve now, as long as it is not
// stopping.
func (a *App) setReachable(ok bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if ok {
		status = healthpb.HealthCheckResponse_SERVING
	}
	for _, name := range services {
		a.health.SetServingStatus(name, status)
	}
}

func (a *App) register(sites []queue.Site) error {
	var sources []prom.Source
	for i := range sites {
		sources = append(sources, prom.Source{Site: sites[i].Name, Engine: a.engines[i]})
	}
	a.scrape = prom.Gatherers{a.metrics, prom.NewSites(5*time.Second, a.log, sources...)}
	for i, site := range sites {
		if err := a.daemon.Feed(site.Name, a.feedStats(i)); err != nil {
			return err
		}
		if e, ok := a.engines[i].(interface{ ClockOffset() time.Duration }); ok {
			if err := a.daemon.Clock(site.Name, e.ClockOffset); err != nil {
				return err
			}
		}
	}
	n := a.server.Counts()
	for _, open := range []struct {
		kind string
		n    func() int64
	}{{"session", n.Sessions.Load}, {"poll", n.Polls.Load}, {"switch", n.Switches.Load}, {"watch", n.Watchers.Load}} {
		if err := a.daemon.Open(open.kind, open.n); err != nil {
			return err
		}
	}
	if a.pages != nil {
		if err := a.daemon.Open("wallboard", a.pages.Readers); err != nil {
			return err
		}
	}
	return a.daemon.Tiers(func() prom.Tiers {
		s := a.resolve.Stats()
		return prom.Tiers{Failed: s.Failed, Skipped: s.Skipped, Delivered: s.Delivered, GaveUp: s.GaveUp, Pending: s.Pending, Down: s.Down}
	})
}

// feedStats reads how far one site's subscribers are behind its log.
func (a *App) feedStats(i int) func() prom.Feed {
	return func() prom.Feed {
		s := a.feeds[i].Stats()
		out := prom.Feed{Subscribers: s.Subscribers, CutOff: s.CutOff}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// Without an answer there is no lag to tell: scrape_errors says that the
		// engine does not answer.
		if last, err := a.engines[i].LastEvent(ctx); err == nil && last > s.Position {
			out.Lag = last - s.Position
		}
		return out
	}
}

// newWeb serves what people, Prometheus and whoever supervises the process ask
// for.
func (a *App) newWeb() *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", compressed(promhttp.HandlerFor(a.scrape, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, EnableOpenMetrics: true, DisableCompression: true,
	})))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		res, err := a.health.Check(r.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || res.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			answer(w, http.StatusServiceUnavailable, "not serving")
			return
		}
		answer(w, http.StatusOK, "serving")
	})
	if a.pages != nil {
		mux.Handle("/", a.pages)
	}
	return a.webServer(overTLS(a.guarded(mux)))
}

// webServer bounds what a client may cost whatever the handler is.
func (a *App) webServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ConnContext: webContext, Protocols: webProtocols(a.cfg.TLS.On()),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, HTTP2: http2Limits(),
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // failed handshakes, mostly
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	io.WriteString(w, text+"\n") //nolint:errcheck // the client may have gone
}
