package server

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley/wire/httpapi"
)

// Route puts a pattern at a path of the user's choice.
type Route = httpapi.Alias

func routeFields() []Field {
	f := Field{
		Path: "routes", Type: "paths", Flag: "route", Usage: "PATH=PATTERN:TOPIC",
		Doc:     "Puts a pattern (publish, poll, sse or websocket) at a path of your own. In the file it is `PATH: {topic: NAME, as: PATTERN}`; the flag is `--route PATH=PATTERN:TOPIC`, which may be repeated and adds to the file's.",
		Example: "{/chat: {topic: chat, as: websocket}, /messages: {topic: messages, as: poll}}",
	}
	f.set = setRoutes
	return []Field{f}
}

func setRoutes(c *Config, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		for part := range strings.SplitSeq(n.Value, ",") {
			r, err := parseRoute(strings.TrimSpace(part))
			if err != nil {
				return err
			}
			c.addRoute(r)
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return invalid("", "is not a list of paths", "write PATH: {topic: NAME, as: PATTERN}")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		r, err := routeOf(key.Value, n.Content[i+1])
		if err == nil && seen[key.Value] {
			err = invalid("", "comes twice", "remove one of them")
		}
		if err == nil {
			err = httpapi.CheckAlias(r)
		}
		if err != nil {
			return at(key, below("["+strconv.Quote(key.Value)+"]", err))
		}
		seen[key.Value] = true
		c.addRoute(r)
	}
	return nil
}

// addRoute adds a route, or replaces the one of its path.
func (c *Config) addRoute(r Route) {
	for i := range c.Routes {
		if c.Routes[i].Path == r.Path {
			c.Routes[i] = r
			return
		}
	}
	c.Routes = append(c.Routes, r)
}

// parseRoute reads PATH=PATTERN:TOPIC.
func parseRoute(text string) (Route, error) {
	path, rest, ok := strings.Cut(text, "=")
	as, topic, both := strings.Cut(rest, ":")
	if !ok || !both {
		return Route{}, invalid("", strconv.Quote(text)+" is not PATH=PATTERN:TOPIC", "write it like /chat=websocket:chat")
	}
	r := Route{Path: path, As: as, Topic: topic}
	return r, httpapi.CheckAlias(r)
}

func routeOf(path string, n *yaml.Node) (Route, error) {
	r := Route{Path: path}
	if n.Kind != yaml.MappingNode {
		return r, invalid("", "does not say what is there", "write {topic: NAME, as: PATTERN}")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		var err error
		switch key := n.Content[i].Value; key {
		case "topic":
			r.Topic, err = textOf(n.Content[i+1])
		case "as":
			r.As, err = textOf(n.Content[i+1])
		default:
			return r, at(n.Content[i], unknownMember(key, []string{"topic", "as"}))
		}
		if err != nil {
			return r, at(n.Content[i+1], below(n.Content[i].Value, err))
		}
	}
	return r, nil
}
