package main

import (
	"github.com/spf13/cobra"

	"greenlane/internal/cli"
)

func tiersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tiers",
		Short: "Look up, set and grade callers' tiers",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cli.TierVerbs()...)
	return cmd
}
