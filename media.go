package parley

import (
	"mime"
	"strings"
)

// IsJSON tells whether a media type holds JSON (RFC 6839 §3.1: also +json).
func IsJSON(contentType string) bool {
	if contentType == "application/json" { // nearly always
		return true
	}
	media := mediaTypeOf(contentType)
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

// IsText tells whether a media type holds text that is shown as it is.
func IsText(contentType string) bool {
	if isBareMediaType(contentType) {
		return len(contentType) > 5 && strings.EqualFold(contentType[:5], "text/")
	}
	media, params, err := mime.ParseMediaType(contentType)
	charset := strings.ToLower(params["charset"])
	return err == nil && strings.HasPrefix(media, "text/") && (charset == "" || charset == "utf-8" || charset == "us-ascii")
}

// mediaTypeOf gives type/subtype in lower case, "" if it is none.
func mediaTypeOf(contentType string) string {
	if isBareMediaType(contentType) {
		return strings.ToLower(contentType)
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil || !isBareMediaType(media) {
		return ""
	}
	return media
}

// isMediaType keeps RFC 2046: type/subtype and parameters, in printable ASCII,
// since it travels as a header as it is.
func isMediaType(s string) bool {
	if isBareMediaType(s) {
		return true
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return mediaTypeOf(s) != "" && s[0] != ' ' && s[len(s)-1] != ' '
}

// What a byte may be part of.
const (
	inToken = 1 << iota // RFC 9110 §5.6.2
	inURI               // RFC 3986 §2, without the percent sign
)

var classes = func() (table [256]byte) {
	const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, c := range []byte(alphanumeric + "!#$%&'*+-.^_`|~") {
		table[c] |= inToken
	}
	for _, c := range []byte(alphanumeric + "-._~:/?#[]@!$&'()*+,;=") {
		table[c] |= inURI
	}
	return table
}()

// isBareMediaType is the common case, without an allocation: two tokens (RFC
// 9110 §5.6.2) and a slash.
func isBareMediaType(s string) bool {
	slash := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '/' && slash == 0 && i > 0:
			slash = i
		case classes[c]&inToken == 0:
			return false
		}
	}
	return slash > 0 && slash < len(s)-1
}

// isURIReference keeps the characters of RFC 3986 §2 and its percent-encoding;
// it does not judge the structure.
func isURIReference(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
				return false
			}
			i += 2
		case classes[c]&inURI == 0:
			return false
		}
	}
	return true
}

// hasScheme tells a URI from a relative reference (RFC 3986 §3.1).
func hasScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return i > 0 && c == ':' && i+1 < len(s)
		}
	}
	return false
}
