package auth

import (
	"net/http"
	"time"
)

// A browser keeps its token in a cookie that no script can read and that is sent
// to nobody but this daemon. Over TLS its name binds it to this very host (the
// __Host- prefix of RFC 6265bis, section 4.1.3).
const (
	secureCookie = "__Host-greenlane"
	plainCookie  = "greenlane"
)

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return secureCookie
	}
	return plainCookie
}

// FromCookie returns the token that a browser sends; empty: none.
func FromCookie(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// SetCookie lets a browser keep a token until it expires.
func SetCookie(w http.ResponseWriter, r *http.Request, token string, until time.Time) {
	http.SetCookie(w, cookie(r, token, until))
}

// DropCookie lets a browser forget its token.
func DropCookie(w http.ResponseWriter, r *http.Request) {
	c := cookie(r, "", time.Unix(1, 0))
	c.MaxAge = -1
	http.SetCookie(w, c)
}

func cookie(r *http.Request, value string, until time.Time) *http.Cookie {
	return &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", Expires: until,
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}
