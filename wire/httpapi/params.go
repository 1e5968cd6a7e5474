package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/parleyhq/parley"
)

// single gives the one value of a header field; there says whether it was sent.
// Of two values, which one counts would be anybody's guess.
func single(h http.Header, name string) (value string, there bool, err error) {
	switch values := h[http.CanonicalHeaderKey(name)]; len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, parley.BadField(name, "comes more than once", "send it once")
}

// param gives the one value of a query parameter, "" when it is absent.
func param(q url.Values, name string) (string, error) {
	if len(q[name]) > 1 {
		return "", parley.BadField(name, "it is given more than once", "give it once")
	}
	return q.Get(name), nil
}

// boolParam reads a parameter that is true or false; its name alone is true.
func boolParam(q url.Values, name string) (bool, error) {
	v, err := param(q, name)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(v) {
	case "":
		return q.Has(name), nil
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, parley.BadField(name, "is neither true nor false", "send true or false")
}

// idempotencyKey reads the field of the same name: a string of Structured Fields
// (RFC 8941 §3.3.3), whose parameters say nothing here, or, as many clients send
// it, the key as it is (draft-ietf-httpapi-idempotency-key-header §2.1).
func idempotencyKey(h http.Header) (string, error) {
	const name = "Idempotency-Key"
	const fix = `send a key of your own such as "8e03978e-40d5-43dd-bc93-6894a57f9324", or leave the header away`
	v, there, err := single(h, name)
	if err != nil || !there {
		return "", err
	}
	if v != "" && v[0] != '"' {
		return v, nil
	}
	key, ok := sfString(v)
	if !ok || key == "" {
		return "", parley.BadField(name, "is empty, or a string without its end", fix)
	}
	return key, nil
}

// sfString decodes a quoted string of Structured Fields and drops its parameters.
func sfString(s string) (string, bool) {
	if s == "" {
		return "", false
	}
	var out []byte
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			rest := strings.TrimLeft(s[i+1:], " ")
			return string(out), rest == "" || rest[0] == ';'
		case c == '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			out = append(out, s[i])
		case c < ' ' || c > '~':
			return "", false
		default:
			out = append(out, c)
		}
	}
	return "", false
}
