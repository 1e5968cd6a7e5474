package websocket

import "strings"

// maxOffers bounds the extensions and the subprotocols that one handshake lists;
// browsers send one.
const maxOffers = 32

// offer is one element of Sec-WebSocket-Extensions.
type offer struct {
	name   string
	params []param
}

type param struct {
	name, value string
	valued      bool
}

// parseExtensions reads the header lines by the grammar of RFC 6455 §9.1. ok is
// false when they do not follow it, which must end the handshake.
func parseExtensions(lines []string) (offers []offer, ok bool) {
	for _, line := range lines {
		// Empty elements are allowed in a list (RFC 9110 §5.6.1.2).
		for line = strings.TrimLeft(line, " \t,"); line != ""; line = strings.TrimLeft(line, " \t,") {
			var o offer
			o, line, ok = parseOffer(line)
			if !ok || len(offers) == maxOffers {
				return nil, false
			}
			offers = append(offers, o)
		}
	}
	return offers, true
}

// parseOffer reads one element up to the comma after it.
func parseOffer(s string) (o offer, rest string, ok bool) {
	if o.name, s = takeToken(s); o.name == "" {
		return o, s, false
	}
	for {
		s = trim(s)
		switch {
		case s == "" || s[0] == ',':
			return o, s, true
		case s[0] != ';' || len(o.params) == maxOffers:
			return o, s, false
		}
		var p param
		if p.name, s = takeToken(trim(s[1:])); p.name == "" {
			return o, s, false
		}
		if s = trim(s); strings.HasPrefix(s, "=") {
			p.valued = true
			if p.value, s = takeValue(trim(s[1:])); p.value == "" {
				return o, s, false
			}
		}
		o.params = append(o.params, p)
	}
}

// takeToken cuts a token from the front of s; "" if there is none.
func takeToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isToken(s[i:i+1]) {
		i++
	}
	return s[:i], s[i:]
}

// takeValue cuts a parameter's value: a token, or a quoted string that is one
// once its quotes and back-slashes are taken off.
func takeValue(s string) (value, rest string) {
	if !strings.HasPrefix(s, `"`) {
		return takeToken(s)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			if !isToken(b.String()) {
				return "", s
			}
			return b.String(), s[i+1:]
		case '\\':
			if i++; i == len(s) {
				return "", s
			}
		}
		b.WriteByte(s[i])
	}
	return "", s
}

// agreeDeflate answers the first offer of permessage-deflate that can be kept
// (RFC 7692 §5, §7.1); "" declines them all.
//
// Both sides always start each message afresh: that is what lets one compressed
// frame be shared by all connections, and what keeps an idle one from holding a
// window. client_max_window_bits is never sent: any window of the client can be
// read here.
func agreeDeflate(offers []offer) string {
	for _, o := range offers {
		if !strings.EqualFold(o.name, "permessage-deflate") {
			continue
		}
		bits, ok := deflateParams(o.params)
		if !ok {
			continue
		}
		answer := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if bits {
			answer += "; server_max_window_bits=15"
		}
		return answer
	}
	return ""
}

// deflateParams reports whether the parameters of an offer are valid and can be
// kept, and whether the answer must name the server's window.
func deflateParams(params []param) (serverBits, ok bool) {
	seen := make(map[string]bool, len(params))
	for _, p := range params {
		name := strings.ToLower(p.name)
		if seen[name] {
			return false, false
		}
		seen[name] = true
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if p.valued {
				return false, false
			}
		case "client_max_window_bits":
			if p.valued && !windowBits(p.value) {
				return false, false
			}
		case "server_max_window_bits":
			// compress/flate always uses 32 KiB, so a smaller window could not
			// be kept and the offer is declined.
			if !p.valued || p.value != "15" {
				return false, false
			}
			serverBits = true
		default:
			return false, false
		}
	}
	return serverBits, true
}

// windowBits reports whether v is 8 to 15 without leading zeros.
func windowBits(v string) bool {
	switch v {
	case "8", "9", "10", "11", "12", "13", "14", "15":
		return true
	}
	return false
}
