package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"google.golang.org/grpc"

	"greenlane/internal/load"
	"greenlane/internal/load/daemon"
	pb "greenlane/proto/greenlane/v1"
)

// bigConfig lets a daemon hold what is measured.
const bigConfig = "sites: [{name: main, max_waiting: 2000000, queues: [{name: default}]}]\n"

// start starts a daemon of its own and connects to it.
func (b *bench) start(ctx context.Context, config string, env []string, log io.Writer) (*daemon.Daemon, *grpc.ClientConn, error) {
	var args []string
	if b.profiles != nil {
		file := filepath.Join(b.dir, fmt.Sprintf("%d.pprof", len(b.profiles)))
		b.profiles = append(b.profiles, file)
		args = []string{"--cpuprofile", file}
	}
	d, err := daemon.New(daemon.Options{Binary: b.daemon, Config: config, Args: args, Env: env, Log: log})
	if err != nil {
		return nil, nil, err
	}
	if _, err := d.Start(ctx); err != nil {
		return nil, nil, errors.Join(err, d.Remove())
	}
	conn, err := load.Dial(d.Addr())
	return d, conn, err
}

// end ends a daemon. One that writes a profile is asked, so that it finishes it.
func (b *bench) end(d *daemon.Daemon) error {
	if b.profiles == nil {
		return d.Remove()
	}
	return errors.Join(d.Stop(), d.Remove())
}

// mergeProfiles makes one profile of several.
func mergeProfiles(ctx context.Context, from []string, to string) error {
	merged, err := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto"}, from...)...).Output()
	if err != nil {
		return fmt.Errorf("merging the profiles: %w", err)
	}
	return os.WriteFile(to, merged, 0o644)
}

// perReconcile is how many calls one Reconcile adds.
const perReconcile = 20_000

// fill lets n calls wait, by Reconcile: many switches that come back after an
// outage of the daemon.
func fill(ctx context.Context, conn *grpc.ClientConn, n int) error {
	api := pb.NewSwitchServiceClient(conn)
	for from := 0; from < n; from += perReconcile {
		id := "switch-" + strconv.Itoa(from/perReconcile)
		req := &pb.ReconcileRequest{SwitchId: id}
		for i := from; i < min(from+perReconcile, n); i++ {
			req.Calls = append(req.Calls, &pb.LiveCall{
				CallId: id + "-" + strconv.Itoa(i), Caller: "+86138" + strconv.Itoa(10_000_000+i), Dialed: "+8610010",
			})
		}
		res, err := api.Reconcile(ctx, req)
		if err != nil {
			return err
		}
		if int(res.GetAdded()) != len(req.GetCalls()) {
			return fmt.Errorf("reconcile added %d of %d calls", res.GetAdded(), len(req.GetCalls()))
		}
	}
	return nil
}

// waiting returns how many calls wait.
func waiting(ctx context.Context, conn *grpc.ClientConn) (int, error) {
	res, err := pb.NewSupervisorServiceClient(conn).GetSnapshot(ctx, &pb.GetSnapshotRequest{OmitAgents: true})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, q := range res.GetQueues() {
		n += int(q.GetWaiting())
	}
	return n, nil
}
