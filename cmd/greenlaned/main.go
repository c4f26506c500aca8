// Command greenlaned is the Greenlane daemon.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
	_ "time/tzdata" // zones must be known on machines without a zone database

	"github.com/spf13/cobra"

	"greenlane/internal/app"
	"greenlane/internal/config"
	"greenlane/internal/discreet"
)

func main() {
	app.TuneHeap()
	if err := command().Execute(); err != nil {
		fmt.Fprintf(os.Stderr, "greenlaned: %s\n", discreet.Text(err.Error()))
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var file, profile string
	var check bool
	var flags struct {
		listen, http, data, engine, redis string
		insecure                          bool
	}
	cmd := &cobra.Command{
		Use:           "greenlaned",
		Short:         "Route the calls of a call centre, VIPs first",
		Long:          "greenlaned decides who is served next in a call centre: switches tell it about calls, agents get them, VIPs ride the green channel.",
		Args:          cobra.NoArgs,
		Version:       app.VersionString(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration `file` (YAML); without one: site main, queue default")
	f.StringVar(&flags.listen, "listen", config.DefaultListen, "`address` of the gRPC API")
	f.StringVar(&flags.http, "http", config.DefaultHTTP, "`address` of /metrics, /healthz and /readyz; empty turns it off")
	f.StringVar(&flags.data, "data", config.DefaultData, "`directory` of the embedded engine and tier directory")
	f.StringVar(&flags.engine, "engine", config.EngineEmbedded, "`engine`: embedded or redis")
	f.StringVar(&flags.redis, "redis", "", "`address` of Redis, several separated by commas")
	f.BoolVar(&flags.insecure, "insecure", false, "listen without TLS where others can reach it")
	f.StringVar(&profile, "cpuprofile", "", "write a profile of the processor's time to `file` until the daemon stops, for go tool pprof")
	f.BoolVar(&check, "check", false, "check the configuration, print it as it takes effect, and exit")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		given := config.Flags{}
		for name, flag := range map[string]**string{"listen": &given.Listen, "http": &given.HTTP, "data": &given.Data, "engine": &given.Engine, "redis": &given.Redis} {
			if f.Changed(name) {
				value := f.Lookup(name).Value.String()
				*flag = &value
			}
		}
		if f.Changed("insecure") {
			given.Insecure = &flags.insecure
		}
		cfg, err := config.Load(file, given)
		if err != nil {
			return fmt.Errorf("the configuration has faults:\n%w", err)
		}
		if check {
			text, err := cfg.YAML()
			if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			return err
		}
		stopProfile, err := startProfile(profile)
		if err != nil {
			return err
		}
		return errors.Join(run(cfg), stopProfile())
	}
	return cmd
}

// startProfile writes a profile of the processor's time to a file, "" for none,
// until it is stopped.
func startProfile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("--cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("--cpuprofile: %w", err), f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// run serves until a signal or a failure. A second signal ends the process at
// once.
func run(cfg *config.Config) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ended, forget := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer forget()
	a, err := app.New(cfg, app.Options{Logger: log, GiveUp: ended.Done()})
	switch {
	case errors.Is(err, app.ErrNotAwaited):
		log.Info("stopping while Redis is waited for", "signal", (<-signals).String())
		return nil
	case err != nil:
		return err
	}
	if err := a.Start(); err != nil {
		return errors.Join(err, stop(a, cfg, signals))
	}
	if addr := a.HTTPAddr(); addr != nil {
		fmt.Printf("greenlaned %s serves gRPC on %s and HTTP on %s\n", app.VersionString(), a.Addr(), addr)
	} else {
		fmt.Printf("greenlaned %s serves gRPC on %s\n", app.VersionString(), a.Addr())
	}
	select {
	case s := <-signals:
		log.Info("stopping", "signal", s.String())
		return stop(a, cfg, signals)
	case <-a.Failed():
		return errors.Join(a.Err(), stop(a, cfg, signals))
	}
}

func stop(a *app.App, cfg *config.Config, signals <-chan os.Signal) error {
	go func() {
		s := <-signals
		fmt.Fprintf(os.Stderr, "greenlaned: %s again: stopping at once\n", s)
		os.Exit(1)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), cfg.StopTimeout.D())
	defer cancel()
	return a.Stop(ctx)
}
