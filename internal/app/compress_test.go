package app

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCompressed(t *testing.T) {
	h := compressed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/error" {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "figures")
	}))
	for _, c := range []struct {
		path, accept string
		code         int
		gzip         bool
		body         string
	}{
		{"/", "gzip", 200, true, "figures"},
		{"/", "br, GZIP;q=0.5", 200, true, "figures"},
		{"/", "gzip; q=0", 200, false, "figures"},
		{"/", "", 200, false, "figures"},
		{"/error", "gzip", 503, false, "busy\n"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, http.NoBody)
		r.Header.Set("Accept-Encoding", c.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		var body io.Reader = w.Body
		if encoded := w.Header().Get("Content-Encoding") == "gzip"; encoded != c.gzip || w.Code != c.code || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s for %q: %d, %v", c.path, c.accept, w.Code, w.Header())
			continue
		}
		if c.gzip {
			plain, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = plain
		}
		if text, err := io.ReadAll(body); err != nil || string(text) != c.body {
			t.Errorf("%s for %q: %q, %v", c.path, c.accept, text, err)
		}
	}
}
