package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"greenlane/internal/discreet"
	"greenlane/tiering/redisdir"
)

func tiersReindexCommand() *cobra.Command {
	var f redisFlags
	var drop bool
	cmd := &cobra.Command{
		Use:   "reindex",
		Short: "Bring the tiers in Redis from an old index key to a new one",
		Long: `reindex moves every caller's tier, of all sites, from where the old index key puts it
to where the new one does: privacy.old_index_key_file and privacy.index_key_file of the
daemon's configuration. Stop all daemons first; none starts before it is done.

It copies everything, compares, deletes what it copied, and gives the copy its names. So
Redis needs as much memory again as the tiers take. Broken off while it copies, it has
changed nothing; whenever it was broken off, run it again.

The daemon's Redis user may not do this: use one who may SCAN, UNLINK and PUBSUB as
well, such as admin in deploy/redis/users.acl.`,
		Example: "  greenlane tiers reindex --config greenlane.yaml --redis-username admin --redis-password-file admin-password",
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&drop, "drop-damaged", false, "leave behind what can't be read; else it ends the reindexing")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return interruptible(func(ctx context.Context, _ func(func())) error {
			return reindexTiers(ctx, cmd, &f, drop)
		})
	}
	return cmd
}

func reindexTiers(ctx context.Context, cmd *cobra.Command, f *redisFlags, drop bool) error {
	c, client, err := f.connect(cmd)
	if err != nil {
		return err
	}
	defer client.Close() //nolint:errcheck // it holds nothing that could be lost
	keys, err := c.Privacy.Secrets()
	if err != nil {
		return usageError{err}
	}
	if keys == nil || keys.Old() == nil {
		return usageErrorf("--config FILE must name privacy.index_key_file and privacy.old_index_key_file")
	}
	done, err := redisdir.Reindex(ctx, client, keys, redisdir.ReindexOptions{
		Log:         slog.New(discreet.Handler(slog.NewTextHandler(cmd.ErrOrStderr(), nil))),
		MinReplicas: c.Redis.MinReplicas, DropDamaged: drop,
		Begins: func(phase string) { fmt.Fprintln(cmd.ErrOrStderr(), phase) },
	})
	switch {
	case err != nil:
		return fmt.Errorf("the tiers are not indexed anew: %w", err)
	case done.Done:
		fmt.Fprintln(cmd.OutOrStdout(), "the tiers are indexed with the new index key already")
	default:
		fmt.Fprintf(cmd.OutOrStdout(), "%s callers and the ratings of %s are indexed with the new index key\n", grouped(done.Callers), grouped(done.Ratings))
	}
	return nil
}
