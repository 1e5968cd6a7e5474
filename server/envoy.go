package server

import (
	"errors"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/parleyhq/parley"
	"github.com/parleyhq/parley/pattern/throttle/policy"
	"github.com/parleyhq/parley/wire/grpcapi/envoyrls"
)

func envoyFields() []Field {
	return []Field{list(Field{
		Path: "throttle.envoy", Type: "list of files", Example: "[ratelimit/edge.yaml]",
		Doc: "Serves Envoy's rate limit service (envoy.service.ratelimit.v3) over gRPC from these files, each one domain as the service's reference implementation writes it: `domain` and nested `descriptors` with `key`, `value`, `rate_limit`, `shadow_mode`. A path is taken from the folder in which the server is started.",
	}, func(c *Config) *[]string { return &c.Throttle.Envoy }, func(text string) error {
		if text == "" {
			return parley.BadField("", "is empty", "name a file")
		}
		return nil
	})}
}

// readDomains reads the files of Envoy's rate limit service; without any there is
// no service.
func readDomains(files []string, observe func(string, policy.Outcome)) (*envoyrls.Service, error) {
	if len(files) == 0 {
		return nil, nil
	}
	configs := make([]envoyrls.Config, len(files))
	for i, name := range files {
		text, err := readBounded(name)
		if err != nil {
			return nil, &parley.Error{Code: parley.NotFound, Field: "throttle.envoy", Detail: err.Error(), Fix: "name a file that can be read", Err: err}
		}
		d := yaml.NewDecoder(strings.NewReader(string(text)))
		d.KnownFields(true)
		if err := d.Decode(&configs[i]); err != nil && !errors.Is(err, io.EOF) {
			return nil, invalid("throttle.envoy["+strconv.Itoa(i)+"]", filepath.Base(name)+": "+strings.TrimPrefix(err.Error(), "yaml: "), "write it as Envoy's rate limit service reads it")
		}
	}
	service, err := envoyrls.New(configs, envoyrls.Options{Observe: observe})
	if err != nil {
		return nil, inside("throttle.envoy", err)
	}
	return service, nil
}
