package server

import (
	"net/url"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/internal/suggest"
	"github.com/parleyhq/parley/wire/door"
)

// HTTP is what concerns the HTTP door alone.
type HTTP struct {
	Origins []string
}

func accessFields() []Field {
	tokens := Field{
		Path: "tokens", Type: "list of tokens",
		Doc:     "API tokens, as `parley token` prints them: `name`, `hash`, `scopes`, and if wanted `expires` and `scram`. Without any, everybody may do everything, and the server listens on loopback only. The command line sends the one in PARLEY_TOKEN, or `--token`. A scope is VERB or VERB:PATTERN with the verbs publish, read, manage, enqueue, work, consume, throttle, admin and *.",
		Example: "[{name: app, hash: \"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\", scopes: [\"publish:orders.>\", read]}]",
	}
	tokens.set = setTokens
	return []Field{
		tokens,
		list(Field{
			Path: "anonymous", Type: "list of scopes", Example: "[\"read:public.>\"]",
			Doc: "What callers without a token may do. By default nothing once there are tokens, and everything where there are none.",
		}, func(c *Config) *[]string { return &c.Anonymous }, func(text string) error {
			if _, err := door.ParseScope(text); err != nil {
				e := inside("", err)
				e.Field = "" // the list's own name says it
				return e
			}
			return nil
		}),
		list(Field{
			Path: "http.origins", Type: "list of origins", Flag: "origins", Usage: "ORIGIN[,ORIGIN]", Example: "[\"https://shop.example\"]",
			Doc: "Origins of web pages that may use the server from a browser, besides its own; `*` is every one.",
		}, func(c *Config) *[]string { return &c.HTTP.Origins }, checkOrigin),
	}
}

func checkOrigin(text string) error {
	u, err := url.Parse(text)
	if text == "*" || text == "null" || err == nil && u.Scheme != "" && u.Host != "" && u.Path == "" && u.RawQuery == "" {
		return nil
	}
	return parley.BadField("", strconv.Quote(text)+" is not an origin", "write it like https://shop.example, without a path")
}

// setTokens reads the list of tokens; what is in them is checked all together.
func setTokens(c *Config, n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return invalid("", "is not a list", "write what `parley token` prints")
	}
	var tokens []door.Token
	for i, item := range n.Content {
		t, err := tokenOf(item)
		if err == nil {
			_, err = door.NewTokens([]door.Token{t}, nil)
			err = unindexed(err)
		}
		if err != nil {
			return at(item, below("["+strconv.Itoa(i)+"]", err))
		}
		tokens = append(tokens, t)
	}
	if _, err := door.NewTokens(tokens, nil); err != nil { // two of one name
		return at(n, unindexed(err))
	}
	c.Tokens = tokens
	return nil
}

// unindexed takes the path of the list off the field of an error about tokens.
func unindexed(err error) error {
	if err == nil {
		return nil
	}
	e := inside("", err)
	for i := range len(e.Field) {
		if e.Field[i] == '.' {
			e.Field = e.Field[i+1:]
			break
		}
	}
	return e
}

func tokenOf(n *yaml.Node) (t door.Token, err error) {
	members := []string{"name", "hash", "scopes", "expires", "scram"}
	if n.Kind != yaml.MappingNode {
		return t, invalid("", "is not a token", "write its name, hash and scopes")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		switch key {
		case "name":
			t.Name, err = textOf(value)
		case "hash":
			t.Hash, err = textOf(value)
		case "scopes":
			t.Scopes, err = texts(value)
		case "expires":
			t.Expires, err = timeOf(value)
		case "scram":
			err = value.Decode(&t.SCRAM)
		default:
			return t, at(n.Content[i], unknownMember(key, members))
		}
		if err != nil {
			return t, at(value, below(key, err))
		}
	}
	return t, nil
}

func unknownMember(key string, members []string) error {
	fix := "remove it"
	if near := suggest.Closest(key, members); near != "" {
		fix = "did you mean " + near + "?"
	}
	return invalid(key, "there is no such key", fix)
}

func timeOf(n *yaml.Node) (time.Time, error) {
	text, err := textOf(n)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, invalid("", strconv.Quote(text)+" is not a time", "write it like 2027-01-31T00:00:00Z")
	}
	return t, nil
}

// identifier tells callers apart as the configuration says.
func (c Config) identifier() (door.Identifier, error) {
	if len(c.Tokens) == 0 && len(c.Anonymous) == 0 {
		return door.Open{}, nil
	}
	return door.NewTokens(c.Tokens, c.Anonymous)
}
