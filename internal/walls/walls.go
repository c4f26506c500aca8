// Package walls states which room of the house may import which, and reads the
// source to see whether it is so. It says the same as the linter's depguard
// section, and looks further: a core package may not reach what it must not
// know through another package of this module either. Nothing here is part of
// the product; the package's own test is its only user.
package walls

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// module is the module's path, the first element of every import of its own.
const module = "greenlane"

// A wall says what the files of some rooms must not import.
type wall struct {
	why string
	// rooms and except are patterns over paths below the top of the repository:
	// "queue" is the files of that one directory, "queue/..." those below it too,
	// "." everything, and a pattern ending in .go names files, with * as in path.Match.
	rooms, except []string
	// deny lists import paths, each with everything below it; a trailing slash
	// means only what is below, a trailing $ only the path itself. Paths of this
	// module are written without its name and begin with a slash.
	deny []string
	// tests says that the wall stands for test files too.
	tests bool
	// deep says that the rooms may not reach a denied path through other
	// packages of this module either.
	deep bool
}

// outside are the wire formats and the stores that the core must not know.
var outside = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto",
	"github.com/redis", "go.etcd.io/bbolt", "github.com/prometheus",
	"/proto", "/internal/rpc", "/internal/app", "/internal/config", "/queue/", "/tiering/",
}

// inputs are the packages of the standard library that do I/O or bring chance.
var inputs = []string{"database/sql", "net$", "net/http", "os", "syscall", "log", "math/rand", "crypto/rand"}

// walls is the table, room by room in the order of CONTRIBUTING.md.
var walls = []wall{
	{
		why:   "the core decides; it knows no wire, no store and no adapter",
		rooms: []string{"queue", "tiering", "callback"},
		deny:  outside, deep: true,
	},
	{
		why:   "the service-level arithmetic is pure; metrics/prom*.go and metrics/prom export it",
		rooms: []string{"metrics"}, except: []string{"metrics/prom*.go"},
		deny: outside,
	},
	{
		why:   "the core does no I/O and brings no chance",
		rooms: []string{"queue", "tiering", "callback", "metrics"}, except: []string{"metrics/prom*.go"},
		deny: inputs,
	},
	{
		why:   "the collector reads the engine's statistics through the port",
		rooms: []string{"metrics/prom*.go", "metrics/prom/..."},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/redis", "go.etcd.io/bbolt",
			"/queue/", "/tiering/",
		},
	},
	{
		why:   "adapters store; the wire, the export and the wiring are others' affairs",
		rooms: []string{"queue/...", "tiering/..."}, except: []string{"queue", "tiering"},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/genproto", "github.com/prometheus",
			"/internal/app", "/internal/config",
		},
	},
	{
		why:   "an engine imports its core and no other adapter",
		rooms: []string{"queue/..."}, except: []string{"queue"},
		deny: []string{"/tiering/"},
	},
	{
		why:   "the embedded engine knows no Redis, no other engine and, outside its tests, no suite",
		rooms: []string{"queue/embedded/..."},
		deny:  []string{"github.com/redis", "/queue/redisq", "/queue/queuetest"},
	},
	{
		why:   "the Redis engine knows no bbolt, no other engine and, outside its tests, no suite",
		rooms: []string{"queue/redisq/..."},
		deny:  []string{"go.etcd.io/bbolt", "/queue/embedded", "/queue/queuetest"},
	},
	{
		why:   "what both engines share knows neither store and neither engine",
		rooms: []string{"queue/record/...", "queue/decider/..."},
		deny:  []string{"github.com/redis", "go.etcd.io/bbolt", "/queue/embedded", "/queue/redisq", "/queue/queuetest"},
	},
	{
		why:   "the suite knows the port only; an engine's own tests call it",
		rooms: []string{"queue/queuetest/..."},
		deny:  []string{"github.com/redis", "go.etcd.io/bbolt", "/queue/embedded", "/queue/redisq"},
		tests: true,
	},
	{
		why:   "a directory imports its core and no other adapter",
		rooms: []string{"tiering/..."}, except: []string{"tiering"},
		deny: []string{"/queue"},
	},
	{
		why:   "the Redis directory knows no other store",
		rooms: []string{"tiering/redisdir/..."},
		deny:  []string{"go.etcd.io/bbolt", "/tiering/filedir"},
	},
	{
		why:   "the embedded directory knows no other store",
		rooms: []string{"tiering/filedir/..."},
		deny:  []string{"github.com/redis", "/tiering/redisdir"},
	},
	{
		why:   "whoever reads files of tiers knows no store",
		rooms: []string{"tiering/bulk/..."},
		deny:  []string{"github.com/redis", "go.etcd.io/bbolt", "/tiering/", "os"},
	},
	{
		why:   "servers for tests are for tests and measurements",
		rooms: []string{"."}, except: []string{"internal/redistest/...", "internal/bench/..."},
		deny: []string{"/internal/redistest"},
	},
	{
		why:   "what runs a daemon, makes keys or keeps logs for tests is for tests",
		rooms: []string{"."},
		deny:  []string{"/internal/apptest", "/internal/logtest", "/internal/seal/sealtest"},
	},
	{
		why:   "how to connect to Redis knows nothing of what is asked there",
		rooms: []string{"internal/redisconn/..."},
		deny:  []string{"/queue", "/tiering", "/callback", "/internal/config", "/internal/app"},
	},
	{
		why:   "the handlers know the ports; the wiring picks what stands behind them",
		rooms: []string{"internal/rpc/..."},
		deny:  []string{"github.com/redis", "go.etcd.io/bbolt", "/queue/", "/tiering/", "/internal/app"},
	},
	{
		why:   "who proves identities knows no wire, no store and no call",
		rooms: []string{"internal/auth/...", "internal/identity/...", "internal/pki/..."},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/redis", "go.etcd.io/bbolt", "github.com/prometheus",
			"/queue", "/tiering", "/callback", "/internal/config", "/internal/app", "/internal/rpc", "/internal/web",
		},
	},
	{
		why:   "certificates and tokens for trying are for the tool, measurements and tests",
		rooms: []string{"."}, except: []string{"cmd/...", "internal/abuse/...", "internal/bench/...", "internal/pki/..."},
		deny: []string{"/internal/pki"},
	},
	{
		why:   "who encrypts and who masks know no store, no wire and no call",
		rooms: []string{"internal/seal/...", "internal/discreet/..."},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/redis", "go.etcd.io/bbolt", "github.com/prometheus",
			"/queue", "/tiering", "/callback", "/internal/config", "/internal/app", "/internal/rpc", "/internal/web", "os",
		},
	},
	{
		why:   "the pages read the port, and are handed the API; the wiring knows who is behind them",
		rooms: []string{"internal/web/..."},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto", "connectrpc.com",
			"github.com/redis", "go.etcd.io/bbolt", "github.com/prometheus", "/queue/", "/tiering/", "/internal/app", "/internal/config",
		},
	},
	{
		why:   "who bounds connections knows nothing of what they are for",
		rooms: []string{"internal/h2limit/..."},
		deny:  []string{"/queue", "/tiering", "/callback", "/proto", "/internal", "google.golang.org/protobuf"},
	},
	{
		why:   "hostile clients are for tests and measurements",
		rooms: []string{"."}, except: []string{"internal/abuse/...", "internal/bench/..."},
		deny: []string{"/internal/abuse"},
	},
	{
		why:   "only the wiring and the commands know the handlers",
		rooms: []string{"."}, except: []string{"cmd/...", "internal/app/...", "internal/rpc/..."},
		deny: []string{"/internal/rpc"}, tests: true,
	},
	{
		why:   "the generated API stays at the edge: the handlers, the wiring, the clients and tests",
		rooms: []string{"."},
		except: []string{
			"cmd/...", "internal/app/...", "internal/rpc/...", "proto/...",
			"internal/bench/...", "internal/cli/...", "internal/load/...", "internal/report/...", "internal/tui/...", // clients, as cmd is
			"internal/abuse/...",
		},
		deny: []string{"/proto"},
	},
	{
		why:   "a full-screen program knows the public API alone; the tool's commands start it",
		rooms: []string{"internal/tui/..."},
		deny: []string{
			"/queue", "/tiering", "/callback", "/metrics",
			"/internal/app", "/internal/cli", "/internal/config", "/internal/load", "/internal/rpc", "/internal/web",
		},
	},
	{
		why:   "the audit record is handed what it holds; it knows no wire, no store and nobody who writes to it",
		rooms: []string{"internal/audit/..."},
		deny: []string{
			"google.golang.org/grpc", "google.golang.org/protobuf", "github.com/redis", "go.etcd.io/bbolt", "github.com/prometheus",
			"/proto", "/queue", "/tiering/", "/internal/rpc", "/internal/app", "/internal/config", "/internal/identity",
		},
	},
	{
		why:   "nothing imports a command",
		rooms: []string{"."}, except: []string{"cmd/..."},
		deny: []string{"/cmd"}, tests: true,
	},
}

// clockless are the rooms that read no clock, and clock what reading one looks like.
var (
	clockless = []string{"queue", "tiering", "callback"}
	clock     = map[string][]string{
		"time":    {"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"},
		"context": {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
	}
)

// A file is what the walls need to know of one Go file.
type file struct {
	path    string   // below the top of the repository, with slashes
	imports []string // import paths, this module's own beginning with a slash
	clocks  []string // what it calls to read a clock, as "time.Now", with the line
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// read parses every Go file under top. Nested modules, testdata and dot
// directories are none of this module's packages.
func read(top fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(top, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p == "." {
				return nil
			}
			if _, err := fs.Stat(top, path.Join(p, "go.mod")); err == nil ||
				d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := fs.ReadFile(top, p)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(p), src)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	return files, err
}

// parse reads one file's imports and its uses of a clock.
func parse(name string, src []byte) (file, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	f := file{path: name}
	local := map[string]string{} // the name a clock's package has in this file
	for _, spec := range tree.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		if own, ok := strings.CutPrefix(p, module+"/"); ok {
			p = "/" + own
		}
		f.imports = append(f.imports, p)
		if _, ok := clock[p]; ok {
			if spec.Name != nil {
				local[spec.Name.Name] = p
			} else {
				local[p] = p
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok {
			if p := local[x.Name]; slices.Contains(clock[p], sel.Sel.Name) {
				f.clocks = append(f.clocks, fmt.Sprintf("%s.%s on line %d", p, sel.Sel.Name, fset.Position(sel.Pos()).Line))
			}
		}
		return true
	})
	return f, nil
}

// breaches returns one sentence for every place where a wall has fallen.
func breaches(files []file) []string {
	var out []string
	reach := reaches(files)
	for _, w := range walls {
		for _, f := range files {
			if f.test() && !w.tests || !within(f.path, w.rooms) || within(f.path, w.except) {
				continue
			}
			for _, imp := range f.imports {
				if denied(imp, w.deny) {
					out = append(out, fmt.Sprintf("%s imports %s: %s", f.path, spell(imp), w.why))
				}
				if !w.deep {
					continue
				}
				for _, far := range reach[imp] {
					if denied(far.imp, w.deny) {
						out = append(out, fmt.Sprintf("%s imports %s, and so reaches %s in %s: %s",
							f.path, spell(imp), spell(far.imp), far.file, w.why))
					}
				}
			}
		}
	}
	for _, f := range files {
		if f.test() || !within(f.path, clockless) {
			continue
		}
		for _, c := range f.clocks {
			out = append(out, fmt.Sprintf("%s uses %s: the core reads no clock; take the instant as an argument", f.path, c))
		}
	}
	return out
}

// A hop is one import that a package makes, itself or through others.
type hop struct{ imp, file string }

// reaches gives, for every package of this module, everything it imports
// directly or through other packages of this module.
func reaches(files []file) map[string][]hop {
	direct := map[string][]hop{}
	for _, f := range files {
		if f.test() {
			continue
		}
		pkg := "/" + path.Dir(f.path)
		for _, imp := range f.imports {
			direct[pkg] = append(direct[pkg], hop{imp, f.path})
		}
	}
	all := map[string][]hop{}
	for pkg := range direct {
		seen := map[string]bool{pkg: true}
		for todo := []string{pkg}; len(todo) > 0; {
			next := todo[0]
			todo = todo[1:]
			for _, h := range direct[next] {
				all[pkg] = append(all[pkg], h)
				if !seen[h.imp] {
					seen[h.imp] = true
					todo = append(todo, h.imp)
				}
			}
		}
	}
	return all
}

// within reports whether the file at p is in one of the rooms.
func within(p string, rooms []string) bool {
	dir := path.Dir(p)
	for _, room := range rooms {
		below, tree := strings.CutSuffix(room, "/...")
		switch {
		case room == ".":
			return true
		case strings.HasSuffix(room, ".go"):
			if ok, err := path.Match(room, p); err == nil && ok {
				return true
			}
		case dir == below || tree && strings.HasPrefix(dir, below+"/"):
			return true
		}
	}
	return false
}

// denied reports whether imp is covered by one of the paths, as wall.deny has it.
func denied(imp string, paths []string) bool {
	for _, p := range paths {
		if itself, ok := strings.CutSuffix(p, "$"); ok {
			if imp == itself {
				return true
			}
			continue
		}
		if imp == p || strings.HasPrefix(imp, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

// spell writes an import path as the source has it.
func spell(imp string) string {
	if strings.HasPrefix(imp, "/") {
		return module + imp
	}
	return imp
}
