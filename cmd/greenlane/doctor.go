package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"greenlane/internal/config"
	"greenlane/internal/redischeck"
)

// doctorTimeout is how long an examination may take.
const doctorTimeout = 30 * time.Second

func doctorCommand() *cobra.Command {
	var f redisFlags
	var output string
	var minReplicas int
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether a Redis will do, and what to change",
		Long: `doctor looks at a Redis with the rights of the user it logs in as: version,
persistence, eviction, memory, replicas, clock, ACL rights, the layout of what is there,
and how fast it answers. It changes nothing. As a user who may do everything it also sees
whether a restarted Redis would read all of its append-only file.

Exit codes: 0 nothing keeps a daemon from starting (warnings or not), 1 something
does or would lose data, or Redis could not be asked, 2 the command line is wrong.`,
		Example: `  greenlane doctor --redis 127.0.0.1:6379
  greenlane doctor --config greenlane.yaml`,
		Args: cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().StringVar(&output, "output", "table", "`form`: table or json")
	cmd.Flags().IntVar(&minReplicas, "min-replicas", 0, "`number` of replicas that shall confirm each change (default redis.min_replicas)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if output != "table" && output != "json" {
			return usageErrorf("--output: %q is unknown: table or json is allowed", output)
		}
		c, client, err := f.connect(cmd)
		if err != nil {
			return err
		}
		defer client.Close() //nolint:errcheck // nothing is lost with it
		if !cmd.Flags().Changed("min-replicas") {
			minReplicas = c.Redis.MinReplicas
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), doctorTimeout)
		defer cancel()
		needs := redischeck.Needs{MinReplicas: minReplicas, Engine: c.Engine == config.EngineRedis}
		for _, site := range c.Sites {
			needs.Sites = append(needs.Sites, site.Name)
		}
		findings, err := redischeck.Examine(ctx, client, needs)
		if err != nil {
			return fmt.Errorf("redis can't be asked: %w", err)
		}
		if err := printFindings(cmd.OutOrStdout(), findings, output); err != nil {
			return err
		}
		if slices.ContainsFunc(findings, func(f redischeck.Finding) bool { return f.Level == redischeck.Fail }) {
			return errDifferences
		}
		return nil
	}
	return cmd
}

func printFindings(w io.Writer, findings []redischeck.Finding, output string) error {
	if output == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(findings)
	}
	colours := map[redischeck.Level]string{redischeck.OK: "\x1b[32m", redischeck.Warn: "\x1b[33m", redischeck.Fail: "\x1b[31m"}
	file, ok := w.(*os.File)
	coloured := ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == ""
	for _, f := range findings {
		level := fmt.Sprintf("%-4s", f.Name)
		if coloured {
			level = colours[f.Level] + level + "\x1b[0m"
		}
		what := f.What
		if f.Where != "" {
			what += " at " + f.Where
		}
		fmt.Fprintf(w, "%s  %s: %s\n", level, what, f.Found)
		if f.Do != "" {
			fmt.Fprintf(w, "      %s\n", f.Do)
		}
	}
	return nil
}
