package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"golang.org/x/text/language"
)

//go:embed ui
var files embed.FS

// languages are those that the pages speak, the first for everybody else.
var languages = []language.Tag{language.English, language.MustParse("zh-CN")}

var matcher = language.NewMatcher(languages)

// types are the media types of the files, so that no machine's own table decides.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".webmanifest": "application/manifest+json",
}

// asset is a file, ready to be sent.
type asset struct {
	kind, tag     string
	plain, packed []byte
}

func newAsset(name string, text []byte) (*asset, error) {
	kind := types[path.Ext(name)]
	if kind == "" {
		return nil, fmt.Errorf("web: %s: no media type is known", name)
	}
	sum := sha256.Sum256(text)
	a := &asset{kind: kind, tag: `"` + hex.EncodeToString(sum[:12]) + `"`, plain: text}
	var buf bytes.Buffer
	w, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	a.packed = buf.Bytes()
	return a, nil
}

// assets are the files below ui by name, and the pages once per language.
type assets struct {
	files map[string]*asset
	pages map[string][]*asset // by name, in the order of languages
}

func loadAssets() (*assets, error) {
	out := &assets{files: map[string]*asset{}, pages: map[string][]*asset{}}
	err := fs.WalkDir(files, "ui", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "ui/")
		if path.Ext(name) != ".html" {
			out.files[name], err = newAsset(name, text)
			return err
		}
		for _, tag := range languages {
			page, err := newAsset(name, bytes.Replace(text, []byte(`<html lang="en"`), []byte(`<html lang="`+tag.String()+`"`), 1))
			if err != nil {
				return err
			}
			out.pages[name] = append(out.pages[name], page)
		}
		return nil
	})
	return out, err
}

// page serves a page in the language that the browser prefers.
func (a *assets) page(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
		w.Header().Add("Vary", "Accept-Language")
		a.pages[name][i].serve(w, r)
	}
}

// refusal serves a page in place of what was asked for. It is never kept.
func (a *assets) refusal(name string, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
		page := a.pages[name][i]
		w.Header().Add("Vary", "Accept-Language")
		w.Header().Set("Content-Type", page.kind)
		w.WriteHeader(code)
		w.Write(page.plain) //nolint:errcheck // the client may have gone
	}
}

func (a *assets) file(w http.ResponseWriter, r *http.Request) {
	if f := a.files[r.PathValue("name")]; f != nil {
		f.serve(w, r)
		return
	}
	http.NotFound(w, r)
}

// serve sends the file. A browser asks every time whether it has changed, so that
// pages and daemon are always of one version; mostly it is told that it has not.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", a.tag)
	h.Add("Vary", "Accept-Encoding")
	text := a.plain
	if acceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("ETag", strings.TrimSuffix(a.tag, `"`)+`-gzip"`)
		text = a.packed
	}
	if matches(r.Header.Get("If-None-Match"), h.Get("ETag")) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(text)))
	if r.Method != http.MethodHead {
		w.Write(text) //nolint:errcheck // the client may have gone
	}
}

func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == tag || one == "*" {
			return true
		}
	}
	return false
}

// acceptsGzip reports whether the client takes gzip: every browser does. One that
// is named with a quality of 0 is not taken.
func acceptsGzip(r *http.Request) bool {
	for one := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(one), ";")
		if strings.TrimSpace(name) == "gzip" {
			q := strings.TrimRight(strings.ReplaceAll(quality, " ", ""), "0.")
			return q != "q="
		}
	}
	return false
}
