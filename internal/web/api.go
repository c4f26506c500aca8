package web

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

// route sends the API's paths to the API, and the others to the pages.
func (s *Server) route(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.opts.APIPrefix == "" || !strings.HasPrefix(r.URL.Path, s.opts.APIPrefix) {
			pages.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		p := &patient{ResponseWriter: w, rc: http.NewResponseController(w)}
		// A copy: the server goes by its own request's body when it decides whether the
		// connection can be used again. What is left of a body is no request.
		r = r.WithContext(r.Context())
		r.Body = &upload{ReadCloser: r.Body, rc: p.rc}
		s.opts.API.ServeHTTP(p, r)
	})
}

// patient lets an answer last for as long as its client reads it: the server's
// own deadline, meant for pages, would end streams and long polls. A client that
// leaves a write waiting for stallLimit is given up.
type patient struct {
	http.ResponseWriter
	rc *http.ResponseController
}

// Unwrap lets http.ResponseController find what is below.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *patient) Write(b []byte) (int, error) {
	if err := p.extend(); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Flush implements http.Flusher.
func (p *patient) Flush() {
	if p.extend() == nil {
		_ = p.rc.Flush() // A client that has gone is noticed by its context.
	}
}

func (p *patient) extend() error { return p.rc.SetWriteDeadline(time.Now().Add(stallLimit)) }

// upload is a request's body. The server's deadline stands until it was read, and
// would otherwise end the wait for what the client does next: go away.
type upload struct {
	io.ReadCloser
	rc *http.ResponseController
}

func (u *upload) Read(b []byte) (int, error) {
	n, err := u.ReadCloser.Read(b)
	if errors.Is(err, io.EOF) {
		_ = u.rc.SetReadDeadline(time.Time{}) // A connection that has gone needs none.
	}
	return n, err
}
