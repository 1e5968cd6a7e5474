package httpthrottle

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Key finds the key that a request is counted under. Requests without what the
// key looks for (no such header, no token) all share the empty key, so leaving it out
// wins nothing.
type Key func(*http.Request) string

// maxHops is how many forwarded addresses IP looks at.
const maxHops = 32

// IP is the client's address: IPv4 whole, IPv6 cut to /64, since a
// subscriber has at least one of those to itself.
//
// X-Forwarded-For is believed as far as trusted proxies wrote it, and no
// further: from the peer's address it is read from right to left, for as long
// as the addresses are those of trusted proxies; the first that is not is the
// client. Without trusted proxies the header means nothing.
func IP(trusted ...netip.Prefix) Key {
	return func(r *http.Request) string { return AddrKey(ClientAddr(r, trusted...)) }
}

// AddrKey is the key that an address has under [IP]; that of an address which is
// not valid is empty.
func AddrKey(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	if addr.Is6() {
		p, err := addr.Prefix(64)
		if err != nil {
			return ""
		}
		return p.String()
	}
	return addr.String()
}

// ClientAddr is the address behind IP, uncut. It is not valid when the peer's
// own address cannot be read.
func ClientAddr(r *http.Request, trusted ...netip.Prefix) netip.Addr {
	return Forwarded(r.RemoteAddr, r.Header.Values("X-Forwarded-For"), trusted...)
}

// Forwarded is ClientAddr for a request of another kind: peer is its address with
// or without a port, lines are the X-Forwarded-For fields in their order.
func Forwarded(peer string, lines []string, trusted ...netip.Prefix) netip.Addr {
	addr, ok := parseAddr(peer)
	if !ok {
		return netip.Addr{}
	}
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; ; {
			if hops++; hops > maxHops || !contains(trusted, addr) {
				return addr
			}
			comma := strings.LastIndexByte(rest, ',')
			next, ok := parseAddr(strings.TrimSpace(rest[comma+1:]))
			if !ok {
				return addr // the proxy said something that is no address: it counts itself
			}
			addr = next
			if comma < 0 {
				break
			}
			rest = rest[:comma]
		}
	}
	return addr
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// parseAddr reads an address with or without a port, brackets or a zone.
func parseAddr(s string) (netip.Addr, bool) {
	if len(s) > 100 {
		return netip.Addr{}, false
	}
	// A peer's has a port; looking for that first spares it an error.
	if colon := strings.LastIndexByte(s, ':'); colon > 0 && (s[colon-1] == ']' || strings.IndexByte(s, ':') == colon) {
		ap, err := netip.ParseAddrPort(s)
		return ap.Addr().Unmap().WithZone(""), err == nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}

// ParseTrusted reads proxies as addresses (192.0.2.1) and networks (10.0.0.0/8).
func ParseTrusted(list ...string) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
			continue
		}
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("httpthrottle: trusted: %q is neither an address nor a network such as 10.0.0.0/8", s)
		}
		addr = addr.Unmap()
		out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return out, nil
}

// Header is a header's first value.
func Header(name string) Key { return func(r *http.Request) string { return r.Header.Get(name) } }

// Token is the credentials in Authorization, without the scheme's name. Put it
// behind a check of the token: an unchecked one is a key of the client's
// choice.
func Token() Key {
	return func(r *http.Request) string {
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		return strings.TrimSpace(token)
	}
}

// Path is the URL's path.
func Path() Key { return func(r *http.Request) string { return r.URL.Path } }

// Method is the request's method.
func Method() Key { return func(r *http.Request) string { return r.Method } }

// Query is the first value of a query parameter.
func Query(name string) Key {
	return func(r *http.Request) string { return r.URL.Query().Get(name) }
}

// Everyone gives all requests one key.
func Everyone() Key { return func(*http.Request) string { return "" } }

// Join combines keys, so that requests share a limit if they agree in all.
// Parts carry their length: no two different lists make one key.
func Join(keys ...Key) Key {
	return func(r *http.Request) string {
		var b strings.Builder
		for _, k := range keys {
			part := k(r)
			b.WriteString(strconv.Itoa(len(part)))
			b.WriteByte(':')
			b.WriteString(part)
		}
		return b.String()
	}
}

// ParseKey reads keys as they are written in configuration: ip, token, path,
// method, everyone, header:NAME, query:NAME, joined by +, as in ip+path.
func ParseKey(text string, trusted ...netip.Prefix) (Key, error) {
	var keys []Key
	for part := range strings.SplitSeq(text, "+") {
		kind, name, named := strings.Cut(part, ":")
		var k Key
		switch {
		case named && name != "" && kind == "header":
			k = Header(name)
		case named && name != "" && kind == "query":
			k = Query(name)
		case named:
		case kind == "ip":
			k = IP(trusted...)
		case kind == "token":
			k = Token()
		case kind == "path":
			k = Path()
		case kind == "method":
			k = Method()
		case kind == "everyone":
			k = Everyone()
		}
		if k == nil {
			return nil, errors.New("httpthrottle: key: " + strconv.Quote(part) +
				" is none of ip, token, path, method, everyone, header:NAME, query:NAME")
		}
		keys = append(keys, k)
	}
	if len(keys) == 1 {
		return keys[0], nil
	}
	return Join(keys...), nil
}
