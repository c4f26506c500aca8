package rpc_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"greenlane/internal/identity"
	"greenlane/internal/rpc"
)

var update = flag.Bool("update", false, "write the table of docs/security.md instead of comparing it")

const securityFile = "../../docs/security.md"

// TestDocumentedRoles: docs/security.md shows the table that is in force.
func TestDocumentedRoles(t *testing.T) {
	text, err := os.ReadFile(securityFile)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "-update` -->\n", "<!-- end of roles -->"
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, more := strings.Cut(rest, end)
	if !ok || !more {
		t.Fatal("the marks of the table are gone")
	}
	want := head + begin + table() + end + tail
	if *update {
		if err := os.WriteFile(securityFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Error("docs/security.md does not show the table of roles.go: write it with go test ./internal/rpc -run TestDocumentedRoles -update")
	}
}

func table() string {
	roles := []identity.Role{identity.Switch, identity.Agent, identity.Supervisor, identity.BackOffice, identity.Metrics}
	var b strings.Builder
	b.WriteString("| rpc or path |")
	for _, r := range roles {
		fmt.Fprintf(&b, " %s |", r)
	}
	b.WriteString(" and |\n|---|" + strings.Repeat(":-:|", len(roles)) + "---|\n")
	for _, rule := range rpc.Rules() {
		path := strings.TrimPrefix(rule.Path, "/greenlane.v1.")
		fmt.Fprintf(&b, "| `%s` |", path)
		for _, r := range roles {
			cell := ""
			switch {
			case rule.Open:
				cell = "open"
			case rule.Roles.Has(r) && rule.Self.Has(r):
				cell = "self"
			case rule.Roles.Has(r):
				cell = "✓"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		note := rule.Note
		if rule.Every {
			note = "only with every site of the daemon"
		}
		fmt.Fprintf(&b, " %s |\n", note)
	}
	return b.String()
}
