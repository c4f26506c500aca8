package web

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// guard keeps other web sites out. A browser that is used for other things too
// can reach this daemon, on loopback as well, so that a hostile page could call
// the API from it in two ways: by its own requests from elsewhere, which the
// browser marks as such, and by giving its own name this daemon's address (DNS
// rebinding), which shows in the Host header.
type guard struct {
	hosts []string // names under which this daemon may be reached, lower case
	next  http.Handler
	cross *http.CrossOriginProtection
}

func newGuard(hosts []string, next http.Handler) *guard {
	g := &guard{next: next, cross: http.NewCrossOriginProtection()}
	for _, h := range hosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	return g
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	switch {
	case !g.known(r.Host):
		http.Error(w, "this daemon is not known by that name: add it to http_hosts in its configuration, or use its address", http.StatusMisdirectedRequest)
	case foreign(r), g.cross.Check(r) != nil:
		http.Error(w, "requests of other web sites are refused", http.StatusForbidden)
	default:
		g.next.ServeHTTP(w, r)
	}
}

// known reports whether a Host header names this daemon. An address always does:
// whoever rebinds a name needs a name.
func (g *guard) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	return name == "localhost" || net.ParseIP(name) != nil || slices.Contains(g.hosts, name)
}

// foreign reports whether a browser says that another site asks for this. A
// person who follows a link to a page is welcome.
func foreign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	return r.Method != http.MethodGet || r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
}

// policy is what a page may do: use this daemon's own files and API, and nothing
// else, not even a style or script of its own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// protect sets what every answer says to a browser.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()")
}
