package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/wire/door"
)

// Access says which web pages may use the server. A page of the server's own
// origin always may.
type Access struct {
	// Origins are further origins, such as "https://shop.example"; "*" is every
	// one, and then cookies and other ambient credentials play no part.
	Origins []string
	// Local refuses Host headers that do not name this machine: a page of the
	// outside whose name was made to resolve to 127.0.0.1 would otherwise count as
	// the server's own.
	Local bool
}

// Check refuses requests that a foreign page makes in its visitor's browser, and
// sets the CORS fields for those that are allowed (Fetch §3.2).
func (c Access) Check(w http.ResponseWriter, r *http.Request) error {
	// An HTTP/1.0 request without a Host comes from no browser.
	if c.Local && r.Host != "" && !isLocal(r.Host) {
		return &parley.Error{Code: parley.Forbidden, Field: "Host", Detail: "this server listens on loopback and is not called " + r.Host, Fix: "use 127.0.0.1 or localhost, or start it with --listen on another address"}
	}
	if len(c.Origins) > 0 {
		w.Header().Add("Vary", "Origin") // also without one: a cache must not mix them up
	}
	origin := strings.Join(r.Header["Origin"], " ") // two are none that is allowed
	if origin == "" || sameOrigin(origin, r) {
		return nil
	}
	if !c.allows(origin) {
		return &parley.Error{Code: parley.Forbidden, Field: "Origin", Detail: "pages of " + origin + " may not use this server", Fix: "add the origin to `http.origins` in the configuration"}
	}
	allowOrigin(w.Header(), origin)
	return nil
}

const (
	corsAllow  = "Access-Control-Allow-Origin"
	corsExpose = "Access-Control-Expose-Headers"
)

// allowOrigin lets a page of another origin read the answer.
func allowOrigin(h http.Header, origin string) {
	h.Set(corsAllow, origin)
	h.Set(corsExpose, "ETag, Retry-After, Preference-Applied, Idempotent-Replayed, RateLimit, RateLimit-Policy, WWW-Authenticate")
}

func (c Access) allows(origin string) bool {
	return slices.Contains(c.Origins, "*") || slices.Contains(c.Origins, origin)
}

// sameOrigin compares with where the request was sent. Behind a proxy that ends
// TLS the scheme is not known here, but a page of plain HTTP is never that of a
// server over TLS.
func sameOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || r.TLS != nil && u.Scheme != "https" {
		return false
	}
	return strings.EqualFold(u.Host, r.Host)
}

func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	name = strings.TrimSuffix(name, ".")
	if strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.IsLoopback()
}

func preflight(w http.ResponseWriter, routes []*door.Route) {
	h := w.Header()
	h.Set("Allow", strings.Join(methods(routes), ", "))
	h.Set("Access-Control-Allow-Methods", strings.Join(methods(routes), ", "))
	// The wildcard takes in ce- extensions of any name; Authorization it never
	// covers (Fetch §4.9), and cookies play no part here.
	h.Set("Access-Control-Allow-Headers", "Authorization, *")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
