// Package prometheus holds the rules and alerts for Prometheus, and an example
// configuration. It has no code; this test keeps them true, with Prometheus's own
// promtool.
package prometheus_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here: .ci/need prometheus/promtool")
	}
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestConfigAndRulesAreValid(t *testing.T) {
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", "greenlane.rules.yml", "greenlane.alerts.yml")
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	return files
}

func TestRules(t *testing.T) {
	for _, file := range cases(t) {
		t.Run(filepath.Base(file), func(t *testing.T) { promtool(t, "test", "rules", file) })
	}
}

type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// TestEveryAlert has a severity, a summary without jargon, a page that names it,
// and a case in which it fires and one in which it does not.
func TestEveryAlert(t *testing.T) {
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range cases(t) {
		var c struct {
			Tests []struct {
				Alerts []struct {
					Name string `yaml:"alertname"`
					Want []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		load(t, file, &c)
		for _, test := range c.Tests {
			for _, a := range test.Alerts {
				fires[a.Name] = fires[a.Name] || len(a.Want) > 0
				silent[a.Name] = silent[a.Name] || len(a.Want) == 0
			}
		}
	}
	index, err := os.ReadFile("../../docs/runbooks/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var r rules
	load(t, "greenlane.alerts.yml", &r)
	n := 0
	for _, g := range r.Groups {
		for _, a := range g.Rules {
			n++
			if !fires[a.Alert] || !silent[a.Alert] {
				t.Errorf("%s: a case where it fires: %v, where it is silent: %v", a.Alert, fires[a.Alert], silent[a.Alert])
			}
			if !slices.Contains([]string{"critical", "warning"}, a.Labels["severity"]) {
				t.Errorf("%s: severity %q", a.Alert, a.Labels["severity"])
			}
			if s := a.Annotations["summary"]; s == "" || strings.Contains(s, "greenlane") || strings.Contains(s, "_total") {
				t.Errorf("%s: %q is no summary for a supervisor", a.Alert, s)
			}
			page, err := os.ReadFile(filepath.Join("../..", a.Annotations["runbook_url"]))
			if err != nil {
				t.Errorf("%s: %v", a.Alert, err)
				continue
			}
			for _, want := range []string{"**" + a.Alert + "**", "## What it means", "## What to look at", "## What to do"} {
				if !strings.Contains(string(page), want) {
					t.Errorf("%s: its page lacks %q", a.Alert, want)
				}
			}
			if !strings.Contains(string(index), a.Alert) {
				t.Errorf("%s is not in docs/runbooks/README.md", a.Alert)
			}
		}
	}
	if n == 0 {
		t.Error("no alerts")
	}
}

// TestEveryGroupHasItsPlaceInTheCases: promtool evaluates groups in a random
// order unless it is told one.
func TestEveryGroupHasItsPlaceInTheCases(t *testing.T) {
	var groups []string
	for _, file := range []string{"greenlane.rules.yml", "greenlane.alerts.yml"} {
		var r rules
		load(t, file, &r)
		for _, g := range r.Groups {
			groups = append(groups, g.Name)
		}
	}
	for _, file := range cases(t) {
		var c struct {
			Order []string `yaml:"group_eval_order"`
		}
		load(t, file, &c)
		if !slices.Equal(c.Order, groups) {
			t.Errorf("%s: group_eval_order is %q; want %q", file, c.Order, groups)
		}
	}
}
