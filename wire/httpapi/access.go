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
	if c.Local && !isLocal(r.Host) {
		return &parley.Error{Code: parley.Forbidden, Field: "Host", Detail: "this server listens on loopback and is not called " + r.Host, Fix: "use 127.0.0.1 or localhost, or start it with --listen on another address"}
	}
	origin := r.Header.Get("Origin")
	if origin == "" || sameHost(origin, r.Host) {
		return nil
	}
	if !c.allows(origin) {
		return &parley.Error{Code: parley.Forbidden, Field: "Origin", Detail: "pages of " + origin + " may not use this server", Fix: "add the origin to `http.origins` in the configuration"}
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "ETag, Retry-After, Preference-Applied, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy")
	return nil
}

func (c Access) check(w http.ResponseWriter, r *http.Request) error { return c.Check(w, r) }

func (c Access) allows(origin string) bool {
	return slices.Contains(c.Origins, "*") || slices.Contains(c.Origins, origin)
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

func isLocal(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
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
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Match, Prefer, Last-Event-ID, Parley-Key, Parley-Type, Parley-Subject, Traceparent, ce-specversion, ce-id, ce-source, ce-type, ce-subject, ce-time, ce-dataschema")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
