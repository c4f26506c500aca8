package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"greenlane/internal/cli"
)

var update = flag.Bool("update", false, "write docs/cli.md instead of comparing it")

const referenceFile = "../../docs/cli.md"

// TestReference: docs/cli.md says what the commands say of themselves.
func TestReference(t *testing.T) {
	want := reference(command())
	if *update {
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/cli.md is not what the commands say; write it with `make cli-docs`")
	}
}

func reference(root *cobra.Command) []byte {
	var b bytes.Buffer
	b.WriteString("<!-- Made by `make cli-docs` from the commands. Do not edit. -->\n# The operator's tool\n\n")
	fmt.Fprintf(&b, "%s\n\n", root.Long)
	b.WriteString(`Commands that ask a daemon take ` + "`--addr`, `--site` and `--timeout`, and `--output table` or `json`" + ` where they show an answer.
` + "`GREENLANE_ADDR` and `GREENLANE_SITE`" + ` stand in for the first two. JSON is that of the API: the field names of the proto files,
64-bit numbers as strings, times in UTC. Colours are for terminals only, and ` + "`NO_COLOR`" + ` turns them off. A change that the
daemon did not confirm is sent again, with the same ` + "`request_id`" + `, a few times.

` + "`greenlane completion bash|zsh|fish|powershell`" + ` prints the completion for a shell, queues of the daemon included.

## Exit codes

| code | meaning |
|---|---|
`)
	for _, row := range cli.ExitCodes {
		fmt.Fprintf(&b, "| %d | %s |\n", row.Code, row.Meaning)
	}
	fmt.Fprintf(&b, "\n## Who you are\n\nEvery command that asks a daemon takes these, too; [security.md](security.md) says what they are about.\n\n```\n%s```\n",
		root.PersistentFlags().FlagUsages())
	b.WriteString("\n## Commands\n\n")
	each(root, func(cmd *cobra.Command) {
		fmt.Fprintf(&b, "- [%s](#%s): %s\n", cmd.CommandPath(), strings.ReplaceAll(cmd.CommandPath(), " ", "-"), cmd.Short)
	})
	each(root, func(cmd *cobra.Command) { describe(&b, cmd) })
	return b.Bytes()
}

// each visits the tool's own commands, in the order of their names.
func each(cmd *cobra.Command, visit func(*cobra.Command)) {
	for _, child := range cmd.Commands() {
		if child.Name() == "completion" || child.Name() == "help" {
			continue // cobra's own, which come with the first execution
		}
		visit(child)
		each(child, visit)
	}
}

func describe(b *bytes.Buffer, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n### %s\n\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(b, "```\n%s\n```\n", text)
	if cmd.HasSubCommands() {
		return
	}
	use := cmd.UseLine()
	if !strings.HasSuffix(use, "[flags]") && cmd.HasAvailableLocalFlags() {
		use += " [flags]"
	}
	fmt.Fprintf(b, "\nUse: `%s`\n", use)
	if cmd.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(b, "\n```\n%s```\n", cmd.LocalFlags().FlagUsages())
	}
}
