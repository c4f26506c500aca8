package redisq

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A script is put together from one file of lua/, which says what the command
// does, and those functions of lua/lib that it can reach:
//
//   - it begins with lib/head.lua, which opens the table m; key_<name> stands for
//     the key of that name;
//   - a file of lib holds nothing but functions of m, which become fields of the
//     table. They share this one variable: Lua searches the list of shared
//     variables for every function it makes, and a script makes a hundred of them
//     each time it runs;
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
}

// scripts are all of them, by the name of their file.
var scripts = func() map[string]*script {
	all, err := assembleAll(sources)
	if err != nil {
		panic(err) // a mistake in the sources, which every test finds
	}
	return all
}()

func assembleAll(files fs.FS) (map[string]*script, error) {
	lib, err := readLibrary(files)
	if err != nil {
		return nil, err
	}
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
		source, err := lib.assemble(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		name := strings.TrimSuffix(path.Base(file), ".lua")
		all[name] = &script{name: name, source: source, hash: redis.NewScript(source).Hash()}
	}
	return all, nil
}

// library is lua/lib.
type library struct {
	head  string
	order []string          // of the functions
	funcs map[string]string // by name, as fields of the table m
	uses  map[string][]string
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
	return lib, nil
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
		lib.order = append(lib.order, found[1])
		code := append([]string{found[1] + " = function" + found[2]}, lines[first+1:i+1]...)
		lib.funcs[found[1]] = strings.Join(code, "\n") + ","
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
func (lib *library) assemble(text string) (string, error) {
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
	var code []string
	for _, f := range lib.order {
		if needed[f] {
			code = append(code, lib.funcs[f])
		}
	}
	whole := lib.head + strings.Join(code, "\n") + "\n}\n" + body
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
