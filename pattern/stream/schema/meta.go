package schema

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const location = "urn:parley:schema"

// nothing loads nothing: a schema is one document.
type nothing struct{}

func (nothing) Load(url string) (any, error) { return nil, fmt.Errorf("%s is outside", url) }

// checkMeta holds a document to the standard's own schema of schemas. It comes
// after readDocument, whose bounds it relies on: of numbers, depths, patterns and
// subschemas.
func (d *document) checkMeta() (err error) {
	defer func() {
		if wrong := recover(); wrong != nil { // somebody else's code over hostile input
			err = refuse("", fmt.Sprint("cannot be understood: ", wrong))
		}
	}()
	value := d.value
	if root, ok := value.(map[string]any); ok && root["$id"] != nil {
		root = maps.Clone(root) // references are within the document, whatever it is called
		delete(root, "$id")
		value = root
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nothing{})
	if err := c.AddResource(location, value); err != nil {
		return refuse("", err.Error())
	}
	_, err = c.Compile(location)
	var of *jsonschema.SchemaValidationError // it does not unwrap
	var invalid *jsonschema.ValidationError
	if errors.As(err, &of) && errors.As(of.Err, &invalid) {
		leaf := deepest(invalid)
		path := ""
		for _, token := range leaf.InstanceLocation {
			path = child(path, token)
		}
		text := leaf.Error()
		if _, after, ok := strings.Cut(text, "': "); ok {
			text = after
		}
		return refuse(path, "is not as the standard has it: "+text)
	}
	if err != nil {
		return refuse("", "cannot be compiled: "+err.Error())
	}
	return nil
}

// deepest finds the cause that is furthest in; of several, the first by its text,
// since the library knows no order.
func deepest(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return e
	}
	var best *jsonschema.ValidationError
	for _, cause := range e.Causes {
		c := deepest(cause)
		if best == nil || len(c.InstanceLocation) > len(best.InstanceLocation) ||
			len(c.InstanceLocation) == len(best.InstanceLocation) && c.Error() < best.Error() {
			best = c
		}
	}
	return best
}

// compile reads a schema and checks everything about it. Errors are of the type
// *broken.
func compile(b []byte) (*document, error) {
	d, err := readDocument(b)
	if err != nil {
		return nil, err
	}
	return d, d.checkMeta()
}
