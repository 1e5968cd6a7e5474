package graph

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// FormatYAML writes a file that ParseYAML takes in its one form: indented by two,
// with its comments and the order of its members.
func FormatYAML(src []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, err
	}
	return out.Bytes(), enc.Close()
}
