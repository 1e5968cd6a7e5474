package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/httpthrottle"
)

// key is what a limit counts requests by.
type key struct {
	text    string
	parts   []func(r *Request, topic string) string
	topic   bool     // the topic is part of it
	headers []string // fields that it looks at
}

// of gives the key of a request. Parts carry their length, so that no two
// different lists make one key.
func (k key) of(r *Request, topic string) string {
	if len(k.parts) == 1 {
		return k.parts[0](r, topic)
	}
	var b strings.Builder
	for _, part := range k.parts {
		text := part(r, topic)
		b.WriteString(strconv.Itoa(len(text)))
		b.WriteByte(':')
		b.WriteString(text)
	}
	return b.String()
}

const forwardedFor = "X-Forwarded-For"

func parseKey(text string, trusted []netip.Prefix) (key, error) {
	if text == "" {
		text = "ip"
	}
	k := key{text: text}
	if len(text) > maxKey {
		return k, parley.BadField("key", "is "+strconv.Itoa(len(text))+" bytes long", "use at most "+strconv.Itoa(maxKey))
	}
	for word := range strings.SplitSeq(text, "+") {
		part, err := k.part(word, trusted)
		if err != nil {
			return k, err
		}
		k.parts = append(k.parts, part)
	}
	return k, nil
}

func (k *key) part(word string, trusted []netip.Prefix) (func(*Request, string) string, error) {
	if name, ok := strings.CutPrefix(word, "header:"); ok && isToken(name) {
		k.headers = append(k.headers, name)
		return func(r *Request, _ string) string { return strings.Join(r.values(name), ", ") }, nil
	}
	switch word {
	case "ip":
		if len(trusted) == 0 {
			return func(r *Request, _ string) string { return httpthrottle.AddrKey(httpthrottle.Forwarded(r.Remote, nil)) }, nil
		}
		k.headers = append(k.headers, forwardedFor)
		trusted = slices.Clone(trusted)
		return func(r *Request, _ string) string {
			return httpthrottle.AddrKey(httpthrottle.Forwarded(r.Remote, r.values(forwardedFor), trusted...))
		}, nil
	case "token":
		return func(r *Request, _ string) string { return r.Who }, nil
	case "path":
		return func(r *Request, _ string) string { return r.Path }, nil
	case "route":
		return func(r *Request, _ string) string { return r.Route }, nil
	case "topic":
		k.topic = true
		return func(_ *Request, topic string) string { return strings.TrimPrefix(topic, "~") }, nil
	case "everyone":
		return func(*Request, string) string { return "" }, nil
	}
	return nil, parley.BadField("key", strconv.Quote(word)+" is nothing to count by", "use ip, token, topic, path, route, everyone or header:NAME, joined by + as in ip+topic")
}

// isToken says whether a header field can be called so (RFC 9110 §5.6.2).
func isToken(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*-.^_`|~") == ""
}
