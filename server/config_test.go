package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parleyhq/parley/base/topic"
)

// load reads a file's text with variables and flags.
func load(t *testing.T, text string, env []string, flags map[string][]string) (Loaded, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{File: name, Env: env, Flags: flags})
}

// problems gives what Load found, a line each: source, field, detail, fix.
func problems(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var all []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() { // Load joins
		var p *Problem
		if !errors.As(e, &p) {
			t.Fatalf("%v is no Problem", e)
		}
		all = append(all, p.Source+" | "+p.Err.Field+" | "+p.Err.Detail+" | "+p.Err.Fix)
	}
	return all
}

func TestDefaults(t *testing.T) {
	c := Default()
	if c.Listen != "127.0.0.1:7275" || c.GRPC != "127.0.0.1:7276" || !c.Topics.AutoCreate || c.Insecure || c.Drain != 5*time.Second {
		t.Errorf("defaults are %+v", c)
	}
	if c.Topics.Defaults.MaxBytes != topic.NoLimit || c.Topics.Defaults.MaxAge != topic.DefaultMaxAge || c.Topics.Defaults.MaxEvent != topic.DefaultMaxEvent {
		t.Errorf("defaults of topics are %+v", c.Topics.Defaults)
	}
	if err := c.check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
}

func TestLoadFile(t *testing.T) {
	l, err := load(t, `
# a comment
data: ":memory:"
listen: localhost:0
tls:
topics:
  auto_create: no
  defaults:
    partitions: 3
    max_age: none
    max_bytes: 1.5GiB
    durability: os
limits: {body: 64KiB, per_ip: 5}
routes:
  /chat: {topic: chat, as: websocket}
  /messages: {as: poll, topic: messages}
tokens:
  - name: app
    hash: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    scopes: [read, "publish:orders.>"]
    expires: 2031-01-31T00:00:00Z
    scram: {SCRAM-SHA-256: "4096:a:b:c"}
anonymous: read:public.>
http:
  origins: [https://a.example, "https://b.example:8443"]
drain: 1m
`, nil, nil)
	if err != nil {
		t.Fatalf("%q", problems(t, err))
	}
	c := l.Config
	if c.Topics.AutoCreate || c.Topics.Defaults != (topic.Settings{Partitions: 3, Durability: topic.OS, MaxAge: topic.NoLimit, MaxBytes: 3 << 29, MaxEvent: 1 << 20}) {
		t.Errorf("topics are %+v", c.Topics)
	}
	if c.Limits != (Limits{Body: 64 << 10, Connections: 100_000, PerIP: 5, Lives: 100_000, Memory: 1 << 30}) {
		t.Errorf("limits are %+v", c.Limits)
	}
	if len(c.Routes) != 2 || c.Routes[0] != (Route{Path: "/chat", As: "websocket", Topic: "chat"}) || c.Routes[1].As != "poll" {
		t.Errorf("routes are %+v", c.Routes)
	}
	if len(c.Tokens) != 1 || c.Tokens[0].Name != "app" || len(c.Tokens[0].Scopes) != 2 || c.Tokens[0].Expires.Year() != 2031 || c.Tokens[0].SCRAM["SCRAM-SHA-256"] == "" {
		t.Errorf("tokens are %+v", c.Tokens)
	}
	if strings.Join(c.Anonymous, " ") != "read:public.>" || strings.Join(c.HTTP.Origins, " ") != "https://a.example https://b.example:8443" || c.Drain != time.Minute {
		t.Errorf("the rest is %+v", c)
	}
	if l.From["limits.body"] != "parley.yaml:13" || l.From["drain"] != "parley.yaml:26" || l.From["grpc"] != "" {
		t.Errorf("sources are %v", l.From)
	}
}

// Each row is a file with one mistake, and all that is told of it.
func TestLoadFileErrors(t *testing.T) {
	token := "tokens:\n  - name: a\n    hash: sha256:" + strings.Repeat("0", 64) + "\n    scopes: [read]\n"
	for _, row := range []struct{ text, want string }{
		{"lisen: x", "parley.yaml:1 | lisen | there is no such key | did you mean listen?"},
		{"\n\nLISTEN: x", "parley.yaml:3 | LISTEN | there is no such key | see `parley config doc` for all keys"},
		{"topics:\n  auto_creat: true", "parley.yaml:2 | topics.auto_creat | there is no such key | did you mean topics.auto_create?"},
		{"topics:\n  defaults:\n    max_ages: 1h", "parley.yaml:3 | topics.defaults.max_ages | there is no such key | did you mean topics.defaults.max_age?"},
		{"limit:\n  body: 1", "parley.yaml:1 | limit | there is no such key | did you mean limits?"},
		{"auto_create: true", "parley.yaml:1 | auto_create | there is no such key | did you mean topics.auto_create?"},
		{"cert: x", "parley.yaml:1 | cert | there is no such key | did you mean tls.cert?"},
		{"listen: a\nlisten: b", "parley.yaml:1 | listen | a is not HOST:PORT | write it like 127.0.0.1:7275, or :7275 for all addresses"},
		{"data: a\nlog: {level: info}\ndata: b", "parley.yaml:3 | data | comes twice, first in line 1 | remove one of them"},
		{"listen:", "parley.yaml:1 | listen | has no value | write one, or remove the line"},
		{"listen: [a]", "parley.yaml:1 | listen | is a list, where one value belongs | write one value"},
		{"listen: {a: b}", "parley.yaml:1 | listen | has members, where one value belongs | write one value"},
		{"listen: 127.0.0.1:99999", "parley.yaml:1 | listen | 127.0.0.1:99999 is not HOST:PORT | write it like 127.0.0.1:7275, or :7275 for all addresses"},
		{"grpc: of", "parley.yaml:1 | grpc | of is not HOST:PORT | write it like 127.0.0.1:7275, or :7275 for all addresses"},
		{"data: \":memry:\"", "parley.yaml:1 | data | :memry: is no directory | did you mean :memory:?"},
		{"data: \"\"", "parley.yaml:1 | data | is empty | name a directory, or :memory:"},
		{"limits: {memory: 1MiB}", "parley.yaml:1 | limits.memory | 1MiB is too little | write at least 16MiB"},
		{"insecure: maybe", `parley.yaml:1 | insecure | "maybe" is neither true nor false | write true or false`},
		{"drain: 5", `parley.yaml:1 | drain | "5" is not a duration | write a number with a unit, such as 30s or 1h30m`},
		{"drain: -1s", "parley.yaml:1 | drain | -1s is out of bounds | write 0s to 10m0s"},
		{"limits:\n  body: 16Mib\n  lives: 0", `parley.yaml:3 | limits.lives | "0" is not a number that this field can have | write a whole number from 1 to 10000000`},
		{"limits: {body: 64 sheep}", `parley.yaml:1 | limits.body | "64 sheep" is not a size | write bytes, or a number with a unit, such as 64MiB`},
		{"limits: {body: 1GiB}", "parley.yaml:1 | limits.body | 1GiB is out of bounds | write 1KiB to 16MiB"},
		{"limits: 5", "parley.yaml:1 | limits | is not a list of settings | write one KEY: VALUE a line"},
		{"- a", "parley.yaml:1 |  | is not a list of settings | write one KEY: VALUE a line"},
		{"log: {level: warning}", `parley.yaml:1 | log.level | "warning" is not a value of this field | did you mean warn?`},
		{"log: {format: xml}", `parley.yaml:1 | log.format | "xml" is not a value of this field | use text or json`},
		{"topics: {defaults: {durability: disk}}", `parley.yaml:1 | topics.defaults.durability | "disk" is no durability | write fsync, os or memory`},
		{"topics: {defaults: {max_event: 9MiB}}", "parley.yaml:1 | topics.defaults.max_event | 9MiB is out of bounds | write 1 to 8MiB"},
		{"topics: {defaults: {max_bytes: 10}}", "parley.yaml:1 | topics.defaults.max_bytes | is 10 | send at least 1024, or -1 for no limit"},
		{"anonymous: [fly]", "parley.yaml:1 | anonymous | no such verb: fly | use publish, read, manage, enqueue, work, consume, throttle, admin or *"},
		{"http: {origins: [shop.example]}", `parley.yaml:1 | http.origins | "shop.example" is not an origin | write it like https://shop.example, without a path`},
		{"tls: {cert: a.pem}", "parley.yaml:1 | tls.cert | is set, and tls.key is not | set both, or neither"},
		{"routes: [a]", "parley.yaml:1 | routes | is not a list of paths | write PATH: {topic: NAME, as: PATTERN}"},
		{"routes:\n  /a: {topic: a, as: poll}\n  /b: {topic: b, as: ftp}", `parley.yaml:3 | routes["/b"].as | "ftp" is not a pattern that a path can have | use publish, poll, sse, websocket`},
		{"routes:\n  /v1/x: {topic: a, as: poll}", `parley.yaml:2 | routes["/v1/x"].path | /v1/x is taken | choose another path than those that begin with /v1`},
		{"routes:\n  /{x}: {topic: a, as: poll}", `parley.yaml:2 | routes["/{x}"].path | "/{x}" is not a path that can be served | write it like /chat, of letters, digits and -._~/`},
		{"routes:\n  /a: {topics: a, as: poll}", `parley.yaml:2 | routes["/a"].topics | there is no such key | did you mean topic?`},
		{"routes:\n  /a: {topic: a, as: poll}\n  /a: {topic: b, as: poll}", `parley.yaml:3 | routes["/a"] | comes twice | remove one of them`},
		{"tokens: {}", "parley.yaml:1 | tokens | is not a list | write what `parley token` prints"},
		{"tokens:\n  - name: a\n    hash: abc\n    scopes: [read]", "parley.yaml:2 | tokens[0].hash | is not sha256: and 64 hex digits | take what `parley token` prints"},
		{token + "    scope: read", "parley.yaml:5 | tokens[0].scope | there is no such key | did you mean scopes?"},
		{token + "    expires: tomorrow", `parley.yaml:5 | tokens[0].expires | "tomorrow" is not a time | write it like 2027-01-31T00:00:00Z`},
		{token + strings.TrimPrefix(token, "tokens:\n"), "parley.yaml:2 | tokens.name | is empty or comes twice | give every token a name of its own"},
		{"throttle: {limits: [a]}", "parley.yaml:1 | throttle.limits | is not a list of limits | write NAME: {limit: 100/1m}"},
		{"throttle:\n  limits:\n    api: {limit: ten}", `parley.yaml:3 | throttle.limits.api.limit | quota: "ten" is no whole number from 0 to 9223372036854775807, nor inf | write it like "100/1m burst=20", or "5/1h" with the algorithm sliding-log`},
		{"throttle:\n  limits:\n    api:\n      limit: 3/s\n      \"on\": [publsh]", `parley.yaml:3 | throttle.limits.api.on[0] | "publsh" is nothing that can be limited | use publish, subscribe, poll, enqueue, work, consume or request, and if wanted a pattern, as in publish:orders.>`},
		{"throttle:\n  limits:\n    api:\n      limit: 3/s\n      modus: shadow", `parley.yaml:5 | throttle.limits.api.modus | there is no such key | did you mean mode?`},
		{"throttle:\n  limits:\n    a b: 3/s", `parley.yaml:3 | throttle.limits.limit | holds " " | send letters, digits, "_" and "-" in levels separated by dots, at most 100 bytes`},
		{"throttle:\n  limits:\n    a: 3/s\n    a: 4/s", `parley.yaml:4 | throttle.limits.a | comes twice | remove one of them`},
		{"throttle: {trusted: [proxy.example]}", `parley.yaml:1 | throttle.trusted | "proxy.example" is neither an address nor a network | write it like 192.0.2.7 or 10.0.0.0/8`},
		{"data: *a", "parley.yaml |  | not YAML: unknown anchor 'a' referenced | see `parley config init` for an example"},
		{"a: &x 1\nlisten: *x", "parley.yaml:1 | a | there is no such key | see `parley config doc` for all keys"},
		{"data: :memory:", "parley.yaml |  | not YAML: mapping values are not allowed in this context | put values that hold \": \" or end in \":\" into quotes, as in data: \":memory:\""},
		{"data: \"x", "parley.yaml |  | not YAML: found unexpected end of stream | see `parley config init` for an example"},
		{"data: a\n---\ndata: b", "parley.yaml |  | not YAML: more than one document | see `parley config init` for an example"},
	} {
		_, err := load(t, row.text, nil, nil)
		if got := problems(t, err); len(got) == 0 || got[0] != row.want {
			t.Errorf("%q gives\n  %s\nwant\n  %s", row.text, strings.Join(got, "\n  "), row.want)
		}
	}
}

// All problems of a file are told at once, in its order.
func TestLoadTellsAll(t *testing.T) {
	_, err := load(t, "lisen: a\ndrain: x\n", []string{"PARLEY_LIMITS_BODY=y"}, map[string][]string{"log-level": {"z"}})
	var sources []string
	for _, p := range problems(t, err) {
		source, _, _ := strings.Cut(p, " | ")
		sources = append(sources, source)
	}
	if got := strings.Join(sources, " "); got != "parley.yaml:1 parley.yaml:2 PARLEY_LIMITS_BODY --log-level" {
		t.Errorf("told of %s", got)
	}
}

func TestPrecedence(t *testing.T) {
	file := "listen: 127.0.0.1:1\ngrpc: 127.0.0.1:1\ndrain: 1s\nroutes: {/a: {topic: a, as: poll}}"
	env := []string{
		"HOME=/", "PARLEY_LISTEN=127.0.0.1:2", "PARLEY_GRPC=127.0.0.1:2", "PARLEY_TOPICS_AUTO_CREATE=false", "PARLEY_HTTP_ORIGINS=https://a.example, https://b.example",
		`PARLEY_TOKENS=[{name: x, hash: "sha256:` + strings.Repeat("1", 64) + `", scopes: [read]}]`,
	}
	l, err := load(t, file, env, map[string][]string{"listen": {"127.0.0.1:3"}, "route": {"/a=sse:b", "/c=publish:c"}})
	if err != nil {
		t.Fatalf("%q", problems(t, err))
	}
	c := l.Config
	if c.Listen != "127.0.0.1:3" || c.GRPC != "127.0.0.1:2" || c.Drain != time.Second || c.Topics.AutoCreate || len(c.HTTP.Origins) != 2 || len(c.Tokens) != 1 {
		t.Errorf("gives %+v", c)
	}
	if len(c.Routes) != 2 || c.Routes[0] != (Route{Path: "/a", As: "sse", Topic: "b"}) || c.Routes[1].Topic != "c" {
		t.Errorf("routes are %+v", c.Routes)
	}
	for path, want := range map[string]string{"listen": "--listen", "grpc": "PARLEY_GRPC", "drain": "parley.yaml:3", "routes": "--route", "tokens": "PARLEY_TOKENS"} {
		if l.From[path] != want {
			t.Errorf("%s comes from %q, want %q", path, l.From[path], want)
		}
	}
}

func TestRouteFlagErrors(t *testing.T) {
	for text, want := range map[string]string{
		"/chat":        `--route | routes | "/chat" is not PATH=PATTERN:TOPIC | write it like /chat=websocket:chat`,
		"/chat=poll":   `--route | routes | "/chat=poll" is not PATH=PATTERN:TOPIC | write it like /chat=websocket:chat`,
		"chat=poll:x":  `--route | routes.path | "chat" is not a path that can be served | write it like /chat, of letters, digits and -._~/`,
		"/chat=poll:":  "--route | routes.topic | is empty | ",
		"/chat=pull:x": `--route | routes.as | "pull" is not a pattern that a path can have | use publish, poll, sse, websocket`,
	} {
		_, err := load(t, "", nil, map[string][]string{"route": {text}})
		if got := problems(t, err); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("--route %s gives %q, want %q", text, got, want)
		}
	}
}

// Who can be reached from outside needs to know callers, or to be told that it
// does not matter.
func TestExposure(t *testing.T) {
	for address, open := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "LOCALHOST:1": true, "[::ffff:127.0.0.1]:1": true,
		"0.0.0.0:1": false, ":1": false, "[::]:1": false, "10.0.0.1:1": false, "parley.example:1": false, "localhost.example:1": false,
	} {
		for _, field := range []string{"listen", "grpc"} {
			flags := map[string][]string{field: {address}}
			_, err := load(t, "", nil, flags)
			if (err == nil) != open {
				t.Errorf("--%s %s gives %v", field, address, err)
			}
			if err != nil {
				if got := problems(t, err)[0]; !strings.HasPrefix(got, "--"+field+" | "+field+" | "+address+" can be reached") {
					t.Errorf("--%s %s gives %s", field, address, got)
				}
			}
			flags["insecure"] = []string{"true"}
			if _, err := load(t, "", nil, flags); err != nil {
				t.Errorf("--%s %s --insecure gives %v", field, address, err)
			}
		}
	}
}

func TestMissingFile(t *testing.T) {
	_, err := Load(Sources{File: filepath.Join(t.TempDir(), "nowhere.yaml")})
	if got := problems(t, err); len(got) != 1 || !strings.Contains(got[0], "no such file") {
		t.Errorf("a file that is named must be there: %q", got)
	}
	t.Chdir(t.TempDir())
	if l, err := Load(Sources{}); err != nil || l.File != "" {
		t.Errorf("without a file: %v, %v", l.File, err)
	}
	if err := os.WriteFile(FileName, []byte("drain: 9s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Load(Sources{}); err != nil || l.File != FileName || l.Config.Drain != 9*time.Second {
		t.Errorf("the file of the directory: %+v, %v", l, err)
	}
	if err := os.WriteFile(FileName, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(Sources{}); err == nil || !strings.Contains(err.Error(), "over 1048576 bytes") {
		t.Errorf("a huge file: %v", err)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "17": 17, "1b": 1, "64MiB": 64 << 20, "64 mib": 64 << 20, "1.5KiB": 1536, "2GB": 2e9, "1kB": 1000, "3TiB": 3 << 40, " 7 ": 7,
		"": -1, "MiB": -1, "-1": -1, "1.5": -1, "1.5b": -1, "1e3": 1000, "0x10": -1, "inf": -1, "nan": -1, "9e18": 9e18, "1e19": -1, "8388608TiB": -1, "1 MiB x": -1,
	} {
		if got, err := ParseSize(text); err != nil && want >= 0 || err == nil && got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{"listen: :1", "tokens: [{name: a}]", "routes: {/a: {topic: a, as: poll}}", "a: &a [*a]", "topics: {defaults: {}}", "? [a]\n: b", "limits: !!null", "- - -", "%YAML 1.2\n---\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := loader{Loaded: Loaded{Config: Default(), From: map[string]string{}}, fields: Fields()}
		l.parse("f", text)
		for _, p := range l.problems {
			if p.Error() == "" {
				t.Error("a problem without a word")
			}
		}
	})
}
