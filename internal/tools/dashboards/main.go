// Command dashboards writes the Grafana dashboards in deploy/grafana, or checks
// with -check that they are what it would write. It is a module of its own: what
// it is built from is no part of the product.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	dir := flag.String("dir", "deploy/grafana", "where the dashboards are")
	check := flag.Bool("check", false, "write nothing; fail when a file differs")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "dashboards:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool) error {
	for name, b := range map[string]*dashboard.DashboardBuilder{
		"supervisor.json": supervisor(), "queue.json": queueDetail(), "operations.json": operations(),
	} {
		d, err := b.Build()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		number(&d)
		text, err := json.MarshalIndent(d, "", "  ")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text = append(text, '\n')
		file := filepath.Join(dir, name)
		if !check {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				return err
			}
			continue
		}
		committed, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if !bytes.Equal(text, committed) {
			return fmt.Errorf("%s is not what the program writes: run `make dashboards`", file)
		}
	}
	return nil
}

// number gives every panel and row an id: Grafana would make them up at each
// import, and links to a panel would break.
func number(d *dashboard.Dashboard) {
	for i := range d.Panels {
		id := uint32(i + 1)
		if p := d.Panels[i].Panel; p != nil {
			p.Id = &id
		}
		if r := d.Panels[i].RowPanel; r != nil {
			r.Id = id
		}
	}
}
