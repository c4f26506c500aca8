// Package deploy holds what operators start from. It has no code; this test
// keeps what it shows true.
package deploy_test

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"greenlane/internal/config"
)

func TestExampleIsAccepted(t *testing.T) {
	c, err := config.Load("greenlane.example.yaml", config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sites) != 1 || len(c.Sites[0].Queues) != 2 {
		t.Fatalf("the example has sites %+v; want one with two queues", c.Sites)
	}
}

// TestEveryKeyIsDocumented walks the default configuration: each key stands in
// docs/configuration.md.
func TestEveryKeyIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load("", config.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	collect(&root, keys)
	if len(keys) < 50 {
		t.Fatalf("only %d keys found in the default configuration", len(keys))
	}
	tiers := map[string]bool{"vip": true, "mid": true, "ordinary": true, "blacklist": true, "sites": true, "queues": true}
	for key := range keys {
		if !tiers[key] && !strings.Contains(string(page), key) {
			t.Errorf("docs/configuration.md does not speak of %q", key)
		}
	}
}

func collect(n *yaml.Node, keys map[string]bool) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			keys[n.Content[i].Value] = true
		}
	}
	for _, child := range n.Content {
		collect(child, keys)
	}
}
