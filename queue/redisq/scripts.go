package redisq

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A script is put together from one file of lua/, which says what the command
// does, and those functions of lua/lib that it can reach:
//
//   - it begins with lib/head.lua, which opens the table m; key_<name> stands for
//     the key of that name;
//   - a file of lib holds nothing but functions of m, which become fields of the
//     table. Lua makes them anew each time the script runs, so those that it does
//     not need as a rule (usual.txt says which it does) are made when one of them
//     is called. They share the one variable m: Lua would search a list of shared
//     variables for each function;
//   - words in capitals are replaced by the values of package queue, so that the
//     two cannot differ;
//   - the fields of records are replaced by their short names in Redis, where each
//     of a million calls carries them;
//   - comments are left out.

//go:embed lua
var sources embed.FS

// script is a command ready for Redis.
type script struct {
	name   string
	source string
	hash   string
	batch  *script // decides it together with others; nil when it stands alone
}

// turn sorts scripts: those that stand alone, which a tick does, come first, then
// each batch's.
func (s *script) turn() string {
	if s.batch == nil {
		return ""
	}
	return s.batch.name
}

// The commands of every call's life wait for Redis together, and a run of a
// script costs as much before and after the decision as the decision itself. So
// those that wait together are decided by one run: one after the other, each with
// its own answer, and written once, as the embedded engine commits a group. Those
// that a full Redis refuses stand in another batch than those that empty it.
var batches = map[string][]string{
	"batch_in":  {"arrive"},
	"batch_out": {"attach", "accept", "complete", "decline", "hang_up", "acknowledge", "detach", "renew_owner", "set_state"},
}

// decision is the body of a command's file: its kind and its function.
var decision = regexp.MustCompile(`(?m)^return m\.run\((.*?), function\(\)([\s\S]*)\bend\)\s*$`)

// batchOf puts the decisions of several commands into one script.
func batchOf(files fs.FS, commands []string) (string, error) {
	flags, body := "", "return m.run_all({\n"
	for _, c := range commands {
		text, err := fs.ReadFile(files, "lua/"+c+".lua")
		if err != nil {
			return "", err
		}
		flags, _, _ = strings.Cut(string(text), "\n")
		found := decision.FindStringSubmatch(string(text))
		if found == nil {
			return "", fmt.Errorf("lua/%s.lua is not of one decision", c)
		}
		body += c + " = function() return m.decide_one(" + found[1] + ", function()" + found[2] + "end) end,\n"
	}
	return flags + "\n" + body + "})\n", nil
}

// scripts are all of them, by the name of their file. They are put together when
// an engine is opened: a daemon without Redis starts the sooner.
var scripts = sync.OnceValue(func() map[string]*script {
	all, err := assembleAll(sources)
	if err != nil {
		panic(err) // a mistake in the sources, which every test finds
	}
	return all
})

func assembleAll(files fs.FS) (map[string]*script, error) {
	lib, err := readLibrary(files)
	if err != nil {
		return nil, err
	}
	return assembleWith(files, lib)
}

func assembleWith(files fs.FS, lib *library) (map[string]*script, error) {
	names, err := fs.Glob(files, "lua/*.lua")
	if err != nil {
		return nil, err
	}
	all := map[string]*script{}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(path.Base(file), ".lua")
		source, err := lib.assemble(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[name] = &script{name: name, source: source, hash: redis.NewScript(source).Hash()}
	}
	for name, commands := range batches {
		text, err := batchOf(files, commands)
		if err != nil {
			return nil, err
		}
		for _, c := range commands {
			for _, f := range lib.usual[c] {
				if !slices.Contains(lib.usual[name], f) {
					lib.usual[name] = append(lib.usual[name], f)
				}
			}
		}
		lib.usual[name] = append(lib.usual[name], "run_all", "clock")
		source, err := lib.assemble(name, text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		together := &script{name: name, source: source, hash: redis.NewScript(source).Hash()}
		for _, c := range commands {
			all[c].batch = together
		}
	}
	return all, nil
}

// library is lua/lib.
type library struct {
	head  string
	order []string          // of the functions
	funcs map[string]string // by name
	uses  map[string][]string
	usual map[string][]string // by script: what it calls as a rule
}

var (
	functionStart = regexp.MustCompile(`^function m\.(\w+)(\(.*)$`)
	method        = regexp.MustCompile(`\bm\.(\w+)`)
	// token is a comment, a string, a name or anything else, one after the other.
	token = regexp.MustCompile(`--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_]\w*|[\s\S]`)
	name  = regexp.MustCompile(`^[A-Za-z_]\w*$`)
	loud  = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	blank = regexp.MustCompile(`(?m)^[ \t]+|[ \t]+$|^\s*\n`)
)

func readLibrary(files fs.FS) (*library, error) {
	lib := &library{funcs: map[string]string{}, uses: map[string][]string{}}
	names, err := fs.Glob(files, "lua/lib/*.lua")
	if err != nil {
		return nil, err
	}
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		if path.Base(file) == "head.lua" {
			lib.head = string(text)
			continue
		}
		if err := lib.add(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, f := range lib.order {
		lib.uses[f] = lib.named(lib.funcs[f])
	}
	lib.usual, err = readUsual(files)
	return lib, err
}

// usualFile lists, for each script, the functions that it calls as a rule. A test
// finds them out, and writes the file anew when it is told to.
const usualFile = "lua/usual.txt"

func readUsual(files fs.FS) (map[string][]string, error) {
	text, err := fs.ReadFile(files, usualFile)
	if err != nil {
		return nil, err
	}
	usual := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		script, names, _ := strings.Cut(line, ":")
		usual[script] = strings.Fields(names)
	}
	return usual, nil
}

// add takes up the functions of a file: each begins at the start of a line and
// ends with it, or with the next line that is "end".
func (lib *library) add(text string) error {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		found := functionStart.FindStringSubmatch(line)
		if found == nil {
			if line != "" && !strings.HasPrefix(line, "--") {
				return fmt.Errorf("line %d: only functions can stand here: %s", i+1, line)
			}
			continue
		}
		if lib.funcs[found[1]] != "" {
			return fmt.Errorf("line %d: %s is there twice", i+1, found[1])
		}
		first := i
		for !strings.HasSuffix(line, " end") && line != "end" {
			if i++; i == len(lines) {
				return fmt.Errorf("line %d: %s has no end", first+1, found[1])
			}
			if line = lines[i]; line != "end" {
				line = "" // an inner line may end with "end"
			}
		}
		f := found[1]
		lib.order = append(lib.order, f)
		lib.funcs[f] = strings.Join(append([]string{"function" + found[2]}, lines[first+1:i+1]...), "\n")
	}
	return nil
}

// named lists the library's functions that a text names.
func (lib *library) named(text string) []string {
	var out []string
	for _, found := range method.FindAllStringSubmatch(text, -1) {
		if f := found[1]; lib.funcs[f] != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// assemble makes a script of a command's file.
func (lib *library) assemble(name, text string) (string, error) {
	flags, body, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(flags, "#!lua") {
		return "", fmt.Errorf("the first line must be #!lua with the script's flags")
	}
	needed := map[string]bool{}
	for next := lib.named(body); len(next) > 0; {
		f := next[0]
		next = next[1:]
		if !needed[f] {
			needed[f] = true
			next = append(next, lib.uses[f]...)
		}
	}
	var usual, rare []string
	for _, f := range lib.order {
		switch {
		case !needed[f]:
		case slices.Contains(lib.usual[name], f):
			usual = append(usual, f+" = "+lib.funcs[f]+",")
		default:
			rare = append(rare, "m."+f+" = "+lib.funcs[f])
		}
	}
	whole := lib.head + strings.Join(usual, "\n") + "\n}\n"
	if len(rare) > 0 {
		whole += "setmetatable(m, { __index = function(_, name)\nsetmetatable(m, nil)\n" + strings.Join(rare, "\n") + "\nreturn m[name]\nend })\n"
	}
	whole += body
	whole, err := translate(whole)
	return flags + "\n" + whole, err
}

// translate puts values and short names in their places and leaves comments out.
func translate(text string) (string, error) {
	var b strings.Builder
	for _, t := range token.FindAllString(text, -1) {
		switch {
		case strings.HasPrefix(t, "--"):
		case !name.MatchString(t):
			b.WriteString(t)
		case keyPlaces[t] != "":
			b.WriteString(keyPlaces[t])
		case fieldNames[t] != "":
			b.WriteString(fieldNames[t])
		case constants[t] != "":
			b.WriteString(constants[t])
		case loud.MatchString(t) && t != "KEYS" && t != "ARGV":
			return "", fmt.Errorf("%s has no value", t)
		default:
			b.WriteString(t)
		}
	}
	return blank.ReplaceAllString(b.String(), ""), nil
}
