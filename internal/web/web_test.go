package web

import (
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, h http.Handler, path string, header ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://127.0.0.1:7317"+path, nil)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec.Result()
}

func body(t *testing.T, r io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPagesComeInTheLanguageOfTheBrowser(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct{ accept, want string }{
		{"", "en"}, {"de-DE,de;q=0.9", "en"}, {"en-GB,zh;q=0.5", "en"}, {"zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"}, {"zh", "zh-CN"}, {"zh-TW", "zh-CN"},
		{"fr;q=0.9,zh-Hans;q=0.8", "zh-CN"}, {"nonsense;;;", "en"},
	} {
		for _, page := range []string{"/", "/agent"} {
			res := get(t, r.server, page, "Accept-Language", c.accept)
			if text := body(t, res.Body); res.StatusCode != http.StatusOK || !strings.Contains(text, `<html lang="`+c.want+`"`) {
				t.Errorf("%s for %q: %s, %.80s", page, c.accept, res.Status, text)
			}
			if !slices.Contains(res.Header.Values("Vary"), "Accept-Language") {
				t.Errorf("%s: a cache would mix the languages up", page)
			}
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"/", "/agent", "/ui/base.css", "/ui/none.js", "/nothing", "/test.Service/Call"} {
		h := get(t, r.server, path).Header
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY",
		} {
			if !strings.Contains(h.Get(name), want) {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		for _, word := range []string{"unsafe-", "http:", "https:", "*"} {
			if strings.Contains(h.Get("Content-Security-Policy"), word) {
				t.Errorf("the policy allows %s", word)
			}
		}
	}
}

func TestFilesArePackedAndNotSentTwice(t *testing.T) {
	r := newRig(t)
	plain := get(t, r.server, "/ui/base.css")
	want := body(t, plain.Body)
	packed := get(t, r.server, "/ui/base.css", "Accept-Encoding", "br, gzip")
	if packed.Header.Get("Content-Encoding") != "gzip" || packed.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Fatalf("%v", packed.Header)
	}
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, z); got != want || !strings.Contains(want, ":root") {
		t.Errorf("packed and plain differ, %d and %d bytes", len(got), len(want))
	}
	again := get(t, r.server, "/ui/base.css", "Accept-Encoding", "gzip", "If-None-Match", packed.Header.Get("ETag"))
	if text := body(t, again.Body); again.StatusCode != http.StatusNotModified || text != "" {
		t.Errorf("%s, %d bytes", again.Status, len(text))
	}
	if other := get(t, r.server, "/ui/base.css", "Accept-Encoding", "gzip", "If-None-Match", `"another"`); other.StatusCode != http.StatusOK {
		t.Errorf("another version: %s", other.Status)
	}
	if none := get(t, r.server, "/ui/base.css", "Accept-Encoding", "gzip;q=0"); none.Header.Get("Content-Encoding") != "" {
		t.Error("gzip was refused, and sent")
	}
	for _, path := range []string{"/ui/", "/ui/wallboard.html", "/ui/..%2fweb.go", "/ui/none.js"} {
		if res := get(t, r.server, path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

var (
	imports   = regexp.MustCompile(`(?m)^import .* from '\./([a-z0-9]+\.js)';$`)
	links     = regexp.MustCompile(`(?:href|src)="/ui/([^"]+)"`)
	inline    = regexp.MustCompile(`(?i)<script(?:\s+type="module")?>|<style|\sstyle=|\son[a-z]+=|javascript:`)
	elsewhere = regexp.MustCompile(`(?i)["'(](?:https?:)?//[a-z]`)
)

func source(t *testing.T, name string) string {
	t.Helper()
	text, err := files.ReadFile("ui/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPagesAskForAllTheyNeedAtOnce: a page names every module that it uses, so
// that none waits for another to be read; and it names no file that is not there.
func TestPagesAskForAllTheyNeedAtOnce(t *testing.T) {
	used := map[string]bool{}
	for _, page := range []string{"wallboard", "agent", "login"} {
		html := source(t, page+".html")
		named := map[string]bool{}
		for _, m := range links.FindAllStringSubmatch(html, -1) {
			source(t, m[1])
			named[m[1]], used[m[1]] = true, true
		}
		needed := map[string]bool{}
		var follow func(string)
		follow = func(module string) {
			if needed[module] {
				return
			}
			needed[module] = true
			if !named[module] {
				t.Errorf("%s.html does not name %s", page, module)
			}
			for _, m := range imports.FindAllStringSubmatch(source(t, module), -1) {
				follow(m[1])
			}
		}
		follow(page + ".js")
		for name := range named {
			if strings.HasSuffix(name, ".js") && !needed[name] && name != "prefs.js" {
				t.Errorf("%s.html names %s and does not use it", page, name)
			}
		}
		if m := inline.FindString(html); m != "" {
			t.Errorf("%s.html has %q, which the policy forbids", page, m)
		}
	}
	err := fs.WalkDir(files, "ui", func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, "ui/")
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.HasSuffix(name, ".html") && !used[name] {
			t.Errorf("no page uses %s", name)
		}
		text := strings.ReplaceAll(source(t, name), "http://www.w3.org/2000/svg", "")
		if m := elsewhere.FindString(text); m != "" {
			t.Errorf("%s names another host: %s", name, m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	textKeys = regexp.MustCompile(`'([A-Za-z][A-Za-z0-9_.]*)': (?:'|\(|\x60)`)
	textUses = regexp.MustCompile(`\bt\('([a-z][A-Za-z0-9_.]*)'[,)]|data-t(?:-label)?="([^"]+)"|button\('[a-z ]*', '([a-z.]+)'`)
)

// TestEveryTextIsThereInBothLanguages also finds texts that nothing shows.
func TestEveryTextIsThereInBothLanguages(t *testing.T) {
	text := source(t, "i18n.js")
	english, rest, ok := strings.Cut(text, "const zh = {")
	chinese, _, ok2 := strings.Cut(rest, "const texts = ")
	if !ok || !ok2 {
		t.Fatal("i18n.js is not as this test knows it")
	}
	keys := func(s string) []string {
		var out []string
		for _, m := range textKeys.FindAllStringSubmatch(s, -1) {
			out = append(out, m[1])
		}
		slices.Sort(out)
		return out
	}
	en, zh := keys(english), keys(chinese)
	if len(en) < 100 || !slices.Equal(en, zh) {
		t.Errorf("the languages have different texts:\n%v\n%v", en, zh)
	}
	if len(slices.Compact(slices.Clone(en))) != len(en) {
		t.Error("a text stands there twice")
	}
	entries, err := fs.ReadDir(files, "ui")
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, e := range entries {
		if e.Name() == "i18n.js" {
			continue
		}
		code := source(t, e.Name())
		all += code
		for _, m := range textUses.FindAllStringSubmatch(code, -1) {
			if key := m[1] + m[2] + m[3]; !slices.Contains(en, key) && !strings.HasSuffix(key, ".") {
				t.Errorf("%s shows %q, which has no text", e.Name(), key)
			}
		}
	}
	families := regexp.MustCompile(`^(tier|st|r|w|x|e|ev|h|cbs|res|theme)\.`)
	for _, key := range en {
		if !families.MatchString(key) && !strings.Contains(all, `'`+key+`'`) && !strings.Contains(all, `"`+key+`"`) {
			t.Errorf("nothing shows the text %q", key)
		}
	}
}
