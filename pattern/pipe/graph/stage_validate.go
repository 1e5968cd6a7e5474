package graph

import "github.com/parleyhq/parley"

// makeValidate makes a stage that fails events which break a rule: an expression, or
// a JSON Schema.
func makeValidate(c *compiler, s *spec) (node, error) {
	rule, schema := s.text("expr"), s.text("schema")
	switch {
	case rule == "" && schema == "":
		return nil, s.wrong("expr", "it is missing", "write it like: "+s.kind.Example)
	case rule != "" && schema != "":
		return nil, s.wrong("schema", "there is an expression, too", "write a validate for each")
	case schema != "":
		return makeSchema(c, s, schema)
	}
	f, err := c.expr(s, "expr")
	return &each{lazy: true, do: func(it *item, to []item) ([]item, error) {
		ok, err := f.truth(it)
		if err == nil && !ok {
			err = parley.Errorf(parley.Unprocessable, "it is not so that %s", rule)
		}
		return append(to, *it), err
	}}, err
}

func makeSchema(c *compiler, s *spec, text string) (node, error) {
	if c.o.Schema == nil {
		return nil, s.wrong("schema", "schemas are not available here", "give Options.Schema")
	}
	fits, err := c.o.Schema(text)
	if err != nil {
		e, _ := errorsAs(err)
		return nil, s.wrong("schema", e.Detail, e.Fix)
	}
	return &each{do: func(it *item, to []item) ([]item, error) {
		e := &it.event
		switch {
		case len(e.Data) == 0:
			return to, parley.Errorf(parley.Unprocessable, "there is no data")
		case !parley.IsJSON(e.DataContentType) && (e.DataContentType != "" || !isOne(e.Data)):
			return to, parley.Errorf(parley.Unprocessable, "the data is no JSON")
		}
		if err := fits(e.Data); err != nil {
			return to, parley.Errorf(parley.Unprocessable, "the data does not fit the schema: %w", err)
		}
		return append(to, *it), nil
	}}, nil
}
