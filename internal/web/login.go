package web

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"greenlane/internal/auth"
	"greenlane/internal/identity"
)

// maxLogin bounds what a browser sends to sign in.
const maxLogin = 32 << 10

// SignIn proves a token that a browser wants to keep; the error's text is for the
// person who brought it.
type SignIn func(ctx context.Context, token, from string) (auth.Known, error)

// person is who a page's user is, as the page is told.
type person struct {
	Asked bool     `json:"asked"` // whether the daemon asks who somebody is
	Name  string   `json:"name,omitempty"`
	Roles []string `json:"roles,omitempty"`
	Sites []string `json:"sites,omitempty"`
	By    string   `json:"by,omitempty"`
}

func personOf(id identity.Identity) person {
	return person{Asked: true, Name: id.Name, Roles: strings.Split(id.Roles.String(), ","), Sites: id.Sites, By: id.By}
}

// serveLogin keeps a token in the browser's cookie, when it is good.
func (s *Server) serveLogin(w http.ResponseWriter, r *http.Request) {
	var in struct{ Token string }
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLogin))
	if err != nil || json.Unmarshal(text, &in) != nil || strings.TrimSpace(in.Token) == "" {
		http.Error(w, `{"token": "..."} is asked for`, http.StatusBadRequest)
		return
	}
	token := strings.TrimSpace(in.Token)
	known, err := s.opts.SignIn(r.Context(), token, r.RemoteAddr)
	if err != nil {
		http.Error(w, "the token is not accepted, or has expired", http.StatusUnauthorized)
		return
	}
	auth.SetCookie(w, r, token, known.Until)
	tell(w, personOf(known.Identity))
}

func (s *Server) serveLogout(w http.ResponseWriter, r *http.Request) {
	auth.DropCookie(w, r)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) serveWhoami(w http.ResponseWriter, r *http.Request) {
	if s.opts.SignIn == nil {
		tell(w, person{})
		return
	}
	tell(w, personOf(identity.From(r.Context())))
}

func tell(w http.ResponseWriter, who person) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(who) // the client may have gone
}

// Refuse answers a request that was turned away for who made it: a person gets the
// page to sign in, with the reason, and everybody else the reason alone.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, code int, why string) {
	protect(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	page := r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html")
	if !page || s.opts.SignIn == nil {
		http.Error(w, why, code)
		return
	}
	s.files.refusal("login.html", code)(w, r)
}
