package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	pb "greenlane/proto/greenlane/v1"
)

// complete offers words for a flag to the shell.
func complete(cmd *cobra.Command, flag string, words ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist: an error in this package
	}
}

// completeQueues offers the daemon's queues for --queue to the shell.
func completeQueues(cmd *cobra.Command) { completeQueuesFor(cmd, "queue") }

func completeQueuesFor(cmd *cobra.Command, flag string) {
	err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		f := flags{output: "table", timeout: time.Second}
		f.addr, _ = cmd.Flags().GetString("addr")
		f.site, _ = cmd.Flags().GetString("site")
		s, err := f.open(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer s.conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
		defer cancel()
		snap, err := pb.NewSupervisorServiceClient(s.conn).GetSnapshot(ctx, &pb.GetSnapshotRequest{Site: s.site, OmitAgents: true})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []string
		for _, q := range snap.GetQueues() {
			names = append(names, q.GetQueue())
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the command has no such flag: an error in this package
	}
}
