// Command licenses fails when something that Greenlane is built or tested with
// has a licence that is not allowed, or none that can be told.
//
//	go run -C internal/tools/licenses . [-list]
//
// The Go modules are those of the product's go.mod, the npm packages those of the
// browser tests' lock file. A text that is not recognised, or wrongly, is in
// `read` by its digest: when it changes, a person has to read it again.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-enry/go-license-detector/v4/licensedb"
	"github.com/go-enry/go-license-detector/v4/licensedb/filer"
)

// top is the product's directory, seen from this program's.
const top = "../../.."

// allowed are the licences, by their SPDX names. MPL-2.0 asks for changes to its
// own files to be published, and nothing of ours.
var allowed = []string{"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0"}

// read are texts that a person has read, by the SHA-256 of the file LICENSE.
var read = map[string]string{
	"911f8f5782931320f5b8d1160a76365b83aea6447ee6c04fa6d5591467db9dad": "BSD-3-Clause", // the Go Authors', of golang.org/x
	"144307e5049646f9bcfba8ef92095d0a8e223fc88d0e339106877071341898ee": "MIT",          // github.com/tidwall/btree, without its title
}

// dependency is one thing that is built or tested with.
type dependency struct{ name, version, licence string }

func main() {
	list := flag.Bool("list", false, "print every dependency with its licence")
	flag.Parse()
	if err := run(*list); err != nil {
		fmt.Fprintf(os.Stderr, "licenses: %v\n", err)
		os.Exit(1)
	}
}

func run(list bool) error {
	modules, err := goModules()
	if err != nil {
		return err
	}
	packages, err := npmPackages(filepath.Join(top, "internal/web/e2e/package-lock.json"))
	if err != nil {
		return err
	}
	var faults []error
	for _, d := range append(modules, packages...) {
		if list {
			fmt.Printf("%s %s %s\n", d.name, d.version, d.licence)
		}
		if !slices.Contains(allowed, d.licence) {
			faults = append(faults, fmt.Errorf("%s %s: licence %s is not among those allowed: %s", d.name, d.version, d.licence, strings.Join(allowed, ", ")))
		}
	}
	return errors.Join(faults...)
}

// goModules reads the licences of the product's modules, fetching those that are
// not here.
func goModules() ([]dependency, error) {
	cmd := exec.Command("go", "mod", "download", "-json")
	cmd.Dir, cmd.Stderr = top, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	var all []dependency
	for in := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := in.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		licence, err := licenceOf(m.Path, m.Dir)
		if err != nil {
			return nil, err
		}
		all = append(all, dependency{m.Path, m.Version, licence})
	}
	if len(all) < 20 {
		return nil, fmt.Errorf("only %d modules were found: that can't be all", len(all))
	}
	return all, nil
}

// licenceOf is the licence of a module in a directory: the one that was read, or
// else the one whose text its files are nearest to, if they are near enough.
func licenceOf(module, dir string) (string, error) {
	if text, err := os.ReadFile(filepath.Join(dir, "LICENSE")); err == nil {
		sum := sha256.Sum256(text)
		if licence, ok := read[hex.EncodeToString(sum[:])]; ok {
			return licence, nil
		}
	}
	files, err := filer.FromDirectory(dir)
	if err != nil {
		return "", err
	}
	found, err := licensedb.Detect(files)
	if errors.Is(err, licensedb.ErrNoLicenseFound) {
		return "unknown", nil
	} else if err != nil {
		return "", fmt.Errorf("%s: %w", module, err)
	}
	best, sure := "unknown", float32(0.85)
	for name, match := range found {
		if match.Confidence > sure || match.Confidence == sure && name < best {
			best, sure = strings.TrimPrefix(name, "deprecated_"), match.Confidence
		}
	}
	return best, nil
}

// npmPackages reads the licences that a lock file names.
func npmPackages(lock string) ([]dependency, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var parsed struct {
		Packages map[string]struct{ Version, License string }
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	var all []dependency
	for path, p := range parsed.Packages {
		if path == "" {
			continue // our own
		}
		if p.License == "" {
			p.License = "unknown"
		}
		all = append(all, dependency{"npm " + strings.TrimPrefix(path, "node_modules/"), p.Version, p.License})
	}
	slices.SortFunc(all, func(a, b dependency) int { return strings.Compare(a.name, b.name) })
	return all, nil
}
