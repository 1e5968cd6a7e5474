package websocket

import (
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/parleyhq/parley"
)

// agreement is what a handshake settled.
type agreement struct {
	accept      string // Sec-WebSocket-Accept
	subprotocol string // "" = none
	extension   string // Sec-WebSocket-Extensions of the answer; "" = none
}

// refusal is why there is no agreement, and the HTTP status that says so.
type refusal struct {
	status int
	header [2]string // one header of the answer: name, value
	err    *parley.Error
}

func refuse(status int, code parley.Code, field, detail, fix string) *refusal {
	return &refusal{status: status, err: &parley.Error{Code: code, Field: field, Detail: detail, Fix: fix}}
}

func badRequest(field, detail, fix string) *refusal {
	return refuse(http.StatusBadRequest, parley.Invalid, field, detail, fix)
}

// negotiate judges an opening handshake (RFC 6455 §4.2) and decides the answer.
// It reads the request and touches nothing else.
func negotiate(r *http.Request, o *Options) (agreement, *refusal) {
	var a agreement
	if no := checkRequest(r); no != nil {
		return a, no
	}
	key, no := handshakeKey(r.Header)
	if no != nil {
		return a, no
	}
	if !originAllowed(r, o.Origins) {
		return a, refuse(http.StatusForbidden, parley.Forbidden, "Origin",
			"pages of this origin may not connect", "add the origin to the server's list")
	}
	offered, ok := subprotocols(r.Header)
	if !ok {
		return a, badRequest("Sec-WebSocket-Protocol", "is not a list of different tokens", "separate tokens by commas")
	}
	offers, ok := parseExtensions(r.Header["Sec-Websocket-Extensions"])
	if !ok {
		return a, badRequest("Sec-WebSocket-Extensions", "does not follow RFC 6455 §9.1", "leave the header out")
	}
	a.accept = acceptKey(key)
	for _, p := range o.Subprotocols {
		if slices.Contains(offered, p) {
			a.subprotocol = p
			break
		}
	}
	if o.Compression {
		a.extension = agreeDeflate(offers)
	}
	return a, nil
}

// checkRequest holds the request line and the hop-by-hop headers against RFC 6455
// §4.2.1.
func checkRequest(r *http.Request) *refusal {
	if r.Method != http.MethodGet {
		no := refuse(http.StatusMethodNotAllowed, parley.MethodNotAllowed, "method",
			"a WebSocket begins with GET", "send GET")
		no.header = [2]string{"Allow", http.MethodGet}
		return no
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return badRequest("protocol", r.Proto+" cannot be upgraded", "connect with HTTP/1.1")
	}
	if r.Host == "" {
		return badRequest("Host", "is missing", "send it")
	}
	if !hasToken(r.Header["Upgrade"], "websocket") || !hasToken(r.Header["Connection"], "upgrade") {
		no := refuse(http.StatusUpgradeRequired, parley.Unsupported, "Upgrade",
			"this address speaks WebSocket", "send Connection: Upgrade and Upgrade: websocket")
		no.header = [2]string{"Upgrade", "websocket"}
		return no
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || v[0] != "13" {
		no := refuse(http.StatusUpgradeRequired, parley.Unsupported, "Sec-WebSocket-Version",
			"only version 13 is spoken", "send Sec-WebSocket-Version: 13")
		no.header = [2]string{"Sec-Websocket-Version", "13"}
		return no
	}
	// What follows the head belongs to the new protocol; a body would be taken
	// for frames.
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return badRequest("Content-Length", "a handshake has no body", "send none")
	}
	return nil
}

// handshakeKey gives the one Sec-WebSocket-Key, 16 bytes in base64.
func handshakeKey(h http.Header) (string, *refusal) {
	keys := h["Sec-Websocket-Key"]
	if len(keys) == 1 {
		if raw, err := base64.StdEncoding.Strict().DecodeString(keys[0]); err == nil && len(raw) == 16 && len(keys[0]) == 24 {
			return keys[0], nil
		}
	}
	return "", badRequest("Sec-WebSocket-Key", "is not 16 bytes in base64", "send 16 random bytes in base64, once")
}

// acceptKey answers a key (RFC 6455 §4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// originAllowed applies Options.Origins (RFC 6455 §10.2).
func originAllowed(r *http.Request, allowed []string) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 || slices.Contains(allowed, "*") {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	u, err := url.Parse(origins[0])
	if err != nil || u.Scheme == "" || u.Host == "" {
		return false // among them "null", the origin of sandboxed pages and files
	}
	host := withPort(u.Scheme, u.Host)
	if len(allowed) == 0 {
		return host == withPort(u.Scheme, r.Host)
	}
	for _, a := range allowed {
		scheme, name, full := strings.Cut(a, "://")
		if !full {
			scheme, name = u.Scheme, a
		}
		if !strings.EqualFold(scheme, u.Scheme) {
			continue
		}
		name = withPort(u.Scheme, name)
		if below, wild := strings.CutPrefix(name, "*."); wild {
			if strings.HasSuffix(host, "."+below) {
				return true
			}
		} else if host == name {
			return true
		}
	}
	return false
}

// withPort brings host[:port] into the form in which two can be compared.
func withPort(scheme, host string) string {
	host = strings.ToLower(host)
	if _, port, err := net.SplitHostPort(host); err == nil && port != "" {
		return host
	}
	port := ":80"
	if s := strings.ToLower(scheme); s == "https" || s == "wss" {
		port = ":443"
	}
	return strings.TrimSuffix(host, ":") + port
}

// hasToken reports whether one of the comma-separated header lines holds token,
// which is lower case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(trim(item), token) {
				return true
			}
		}
	}
	return false
}

// subprotocols gives the client's list; its elements must differ (RFC 6455 §4.1).
func subprotocols(h http.Header) ([]string, bool) {
	var list []string
	for _, line := range h["Sec-Websocket-Protocol"] {
		for item := range strings.SplitSeq(line, ",") {
			item = trim(item)
			if item == "" {
				continue // an empty element is allowed in a list (RFC 9110 §5.6.1.2)
			}
			if !isToken(item) || slices.Contains(list, item) || len(list) == maxOffers {
				return nil, false
			}
			list = append(list, item)
		}
	}
	return list, true
}

// trim removes optional white space (RFC 9110 §5.6.3).
func trim(s string) string { return strings.Trim(s, " \t") }

// isToken reports whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
